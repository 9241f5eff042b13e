import pytest

from services.core.prices import to_datetime
from services.market.measure import Window
from services.research.attribution import Attribution, attribute_alert, attribute_return
from tests.fakes.legs import proxy_closes, random_legs

LEGS = random_legs(300)
CLOSES = proxy_closes(LEGS.aligned.sessions, LEGS.proxy_prices)
PAST = LEGS.head(299)
LIVE = PAST.aligned.with_live(
    LEGS.aligned.sessions[-1].item(),
    to_datetime(LEGS.aligned.at[-1]),
    etf=float(LEGS.aligned.etf[-1]),
    crypto=float(LEGS.aligned.crypto[-1]),
)
KNOWN = proxy_closes(PAST.aligned.sessions, PAST.proxy_prices)


@pytest.mark.parametrize("window", [Window.D1, Window.D5, Window.D60])
def test_the_parts_equal_those_of_attribute_return_and_add_up(window: Window) -> None:
    result, expected = attribute_alert(LEGS.aligned, window, CLOSES), attribute_return(LEGS, window)
    assert result is not None
    assert isinstance(expected, Attribution)
    assert (expected.crypto, expected.proxy, expected.residual) == (result.crypto, result.ai, result.residual)
    assert result.etf_return == pytest.approx(
        result.crypto.amount + result.ai.amount + result.residual.amount, abs=1e-9
    )
    assert (window, expected.session, "SMH", "hand") == (result.window, result.session, result.proxy, result.source)


def test_a_live_row_is_attributed_like_a_close_at_the_same_prices() -> None:
    assert attribute_alert(LEGS.aligned, Window.D5, CLOSES) == attribute_alert(
        LIVE, Window.D5, KNOWN, float(LEGS.proxy_prices[-1])
    )


def test_a_live_row_never_uses_a_close_of_the_proxy() -> None:
    assert attribute_alert(LIVE, Window.D5, CLOSES) is None


def test_a_return_without_proxy_or_betas_has_no_attribution() -> None:
    assert attribute_alert(LEGS.aligned, Window.D5, proxy_closes(CLOSES.sessions[:0], CLOSES.prices[:0])) is None
    assert attribute_alert(LEGS.aligned.head(60), Window.D5, CLOSES) is None

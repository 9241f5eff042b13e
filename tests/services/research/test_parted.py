from __future__ import annotations

import pytest

from services.core.prices import moment
from services.market.measure import Window
from services.research.attribution import Attribution, attribute, attribute_alert
from tests.fakes.legs import proxy_closes, random_legs

LEGS = random_legs(300)
CLOSES = proxy_closes(LEGS.aligned.sessions, LEGS.proxy_prices)
PAST = LEGS.head(299)
LIVE = PAST.aligned.with_live(
    LEGS.aligned.sessions[-1].item(),
    moment(LEGS.aligned.at[-1]),
    etf=float(LEGS.aligned.etf[-1]),
    crypto=float(LEGS.aligned.crypto[-1]),
)
KNOWN = proxy_closes(PAST.aligned.sessions, PAST.proxy_prices)


@pytest.mark.parametrize("window", [Window.D1, Window.D5, Window.D60])
def test_the_parts_are_those_of_an_explanation_and_add_up(window: Window) -> None:
    found, expected = attribute_alert(LEGS.aligned, window, CLOSES), attribute(LEGS, window)
    assert found is not None
    assert isinstance(expected, Attribution)
    assert (expected.crypto, expected.proxy, expected.residual) == (found.crypto, found.ai, found.rest)
    assert found.etf_return == pytest.approx(found.crypto.amount + found.ai.amount + found.rest.amount, abs=1e-9)
    assert (window, expected.session, "SMH", "hand") == (found.window, found.session, found.proxy, found.source)


def test_live_prices_are_parted_as_the_close_will_be_where_they_stay() -> None:
    assert attribute_alert(LEGS.aligned, Window.D5, CLOSES) == attribute_alert(
        LIVE, Window.D5, KNOWN, float(LEGS.proxy_prices[-1])
    )


def test_a_close_of_the_session_that_is_open_does_not_stand_for_its_live_price() -> None:
    assert attribute_alert(LIVE, Window.D5, CLOSES) is None


def test_what_cannot_be_parted_has_no_parts() -> None:
    assert attribute_alert(LEGS.aligned, Window.D5, proxy_closes(CLOSES.sessions[:0], CLOSES.prices[:0])) is None
    assert attribute_alert(LEGS.aligned.head(60), Window.D5, CLOSES) is None

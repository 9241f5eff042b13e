from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import statsmodels.api as sm

from services.core.prices import Symbol, to_datetime
from services.core.reason import Code, Reason
from services.market.measure import NotMeasured, Window, returns
from services.market.sources.files.prices import read_etf_csv
from services.research.attribution import (
    Attribution,
    IntradayAttribution,
    Legs,
    attribute_alert,
    attribute_intraday,
    attribute_return,
)
from tests.fakes.alerts import AT
from tests.fakes.legs import legs_of, proxy_closes, random_legs, real_legs, spliced_legs
from tests.fakes.market import aligned_market
from tests.fakes.price_files import DATA, needs_data
from tests.fakes.reasons import reason

LEGS = random_legs(500)
DAILY = np.arange(500) - 1


def attributed(legs: Legs, window: Window = Window.D60) -> Attribution:
    result = attribute_return(legs, window)
    assert isinstance(result, Attribution)
    return result


def without(legs: Legs, *rows: int) -> Legs:
    """Return the legs without the proxy's close on some rows."""
    prices = legs.proxy_prices.copy()
    prices[list(rows)] = np.nan
    return replace(legs, proxy_prices=prices)


@pytest.mark.parametrize("window", Window, ids=lambda window: window.value)
@pytest.mark.parametrize("missing", [(), (497,), (440, 441, 460)], ids=["whole", "one missing", "several missing"])
def test_the_parts_add_up_to_the_return(window: Window, missing: tuple[int, ...]) -> None:
    result = attributed(without(LEGS, *missing), window)
    parts = result.crypto.amount + result.proxy.amount + result.residual.amount
    assert result.etf_return == pytest.approx(parts, abs=1e-9)


def test_a_part_is_the_prior_beta_times_the_factor_return() -> None:
    result = attributed(LEGS, Window.D1)
    etf, crypto, proxy = (returns(prices, DAILY) for prices in LEGS.columns)
    before = slice(499 - 126, 499)
    reference = sm.OLS(etf[before], sm.add_constant(np.column_stack([crypto, proxy])[before])).fit(cov_type="HC3")
    assert reference.params[1] * crypto[499] == pytest.approx(result.crypto.amount, rel=1e-9)
    assert reference.params[2] * proxy[499] == pytest.approx(result.proxy.amount, rel=1e-9)
    assert reference.bse[1] * abs(crypto[499]) == pytest.approx(result.crypto.error, rel=1e-9)
    assert reference.bse[2] * abs(proxy[499]) == pytest.approx(result.proxy.error, rel=1e-9)
    residual_test = reference.t_test([0, crypto[499], proxy[499]], use_t=True).sd[0][0]
    assert residual_test == pytest.approx(result.residual.error, rel=1e-9)


def test_sessions_are_linked_on_compounded_capital() -> None:
    """With exact betas, the part of a session is scaled by the fund's growth before it."""
    rng = np.random.default_rng(1)
    crypto, proxy = rng.normal(0, 0.03, 300), rng.normal(0, 0.02, 300)
    result = attributed(legs_of(0.5 * crypto + 1.0 * proxy, crypto, proxy, "2022-02-08"), Window.D5)
    growth = np.cumprod(np.append(1.0, 1 + (0.5 * crypto + proxy)[-5:]))[:-1]
    assert (growth * 0.5 * crypto[-5:]).sum() == pytest.approx(result.crypto.amount, rel=1e-9)
    assert (growth * proxy[-5:]).sum() == pytest.approx(result.proxy.amount, rel=1e-9)
    assert 0.0 == pytest.approx(result.residual.amount, abs=1e-12)


def test_standard_errors_match_a_simulation() -> None:
    """The factors stay fixed and the ETF's noise is redrawn; the parts scatter by their standard errors."""
    rng = np.random.default_rng(9)
    crypto, proxy = rng.normal(0, 0.03, 260), rng.normal(0, 0.02, 260)
    fixed, errors = legs_of(crypto, crypto, proxy, "2022-02-08"), []
    for _ in range(300):
        etf = 0.6 * crypto + 1.1 * proxy + rng.normal(0, 0.03, 260)
        path = np.cumprod(np.append(1.0, 1 + etf))
        legs = replace(fixed, aligned=replace(fixed.aligned, etf=path))
        result = attributed(legs, Window.D60)
        growth = legs.aligned.etf[-61:-1] / legs.aligned.etf[-61]
        truth = (growth * 0.6 * crypto[-60:]).sum(), (growth * 1.1 * proxy[-60:]).sum()
        errors.append(
            [
                (result.crypto.amount - truth[0]) / result.crypto.error,
                (result.proxy.amount - truth[1]) / result.proxy.error,
                (result.crypto.amount + result.proxy.amount - sum(truth)) / result.residual.error,
            ]
        )
    assert [1.0, 1.0, 1.0] == pytest.approx(np.std(errors, axis=0), abs=0.12)


def test_later_prices_do_not_change_an_attribution() -> None:
    other = random_legs(500, seed=6)
    changed = replace(
        LEGS,
        aligned=replace(
            LEGS.aligned,
            etf=np.append(LEGS.aligned.etf[:400], other.aligned.etf[400:]),
            crypto=np.append(LEGS.aligned.crypto[:400], other.aligned.crypto[400:]),
        ),
        proxy_prices=np.append(LEGS.proxy_prices[:400], other.proxy_prices[400:]),
    )
    assert attributed(LEGS.head(400)) == attributed(changed.head(400))
    assert attributed(LEGS) != attributed(changed)


def test_a_session_does_not_enter_its_own_betas() -> None:
    """An outlier in the last session does not change the betas of its own attribution."""
    before = attributed(LEGS, Window.D1)
    etf = LEGS.aligned.etf.copy()
    etf[-1] *= 1.5
    after = attributed(replace(LEGS, aligned=replace(LEGS.aligned, etf=etf)), Window.D1)
    assert (before.crypto, before.proxy) == (after.crypto, after.proxy)


@pytest.mark.parametrize(
    ("legs", "window", "reason"),
    [
        pytest.param(LEGS.head(5), Window.D5, reason(Code.HISTORY_BEGINS, session="2022-02-08"), id="short"),
        pytest.param(
            LEGS.head(120),
            Window.D60,
            reason(Code.TOO_FEW_PRICES_FOR_BETAS, lookback=126, needed=94.5, session="2022-05-04"),
            id="too short for betas",
        ),
        pytest.param(
            replace(LEGS, proxy_prices=2 * LEGS.aligned.crypto),
            Window.D1,
            reason(Code.FACTORS_MOVED_ALIKE, crypto="BTC", lookback=126, proxy="SMH", session="2024-02-02"),
            id="collinear factors",
        ),
        pytest.param(
            without(LEGS, 499),
            Window.D1,
            reason(Code.NO_PROXY_CLOSE, session="2024-02-05", source="hand", symbol="SMH"),
            id="proxy",
        ),
        pytest.param(
            without(LEGS, 498),
            Window.D1,
            reason(Code.NO_PROXY_CLOSE, session="2024-02-02", source="hand", symbol="SMH"),
            id="anchor",
        ),
    ],
)
def test_an_impossible_attribution_has_a_reason(legs: Legs, window: Window, reason: Reason) -> None:
    assert NotMeasured(window=window, reason=reason) == attribute_return(legs, window)


def test_a_missing_price_of_the_pair_is_named() -> None:
    market = aligned_market([1.0, None, 1.0], [1.0] * 3)
    result = attribute_return(Legs.of(market, proxy_closes(market.sessions, np.ones(3))), Window.D1)
    assert isinstance(result, NotMeasured)
    assert (
        reason(Code.MISSING_PRICE, reasons=(reason(Code.NO_CLOSE, source="hand", symbol="WGMI"),), session="2024-01-03")
        == result.reason
    )


def test_legs_end_with_the_last_complete_session() -> None:
    assert 498 == len(without(LEGS, 498, 499).until_complete().aligned)
    assert 0 == len(without(LEGS, *range(500)).until_complete().aligned)


@needs_data
@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(date(2026, 6, 18), (88.4, -38.7, 83.7, 43.4), id="at the high"),
        pytest.param(date(2026, 7, 31), (34.5, -39.6, 55.5, 18.6), id="in July"),
    ],
)
def test_real_prices_of_2026(last: date, expected: tuple[float, ...]) -> None:
    """IBIT stands in for bitcoin, because the coin's own bars end in April."""
    result = attributed(real_legs(read_etf_csv(DATA / "equities/IBIT.csv", Symbol("IBIT")), last), Window.YTD)
    parts = (result.etf_return, result.crypto.amount, result.proxy.amount, result.residual.amount)
    assert expected == pytest.approx([100 * part for part in parts], abs=0.05)


# Percentage points: the return; amount and error of bitcoin's part, of the proxy's and of the residual.
PARTS = [
    (Window.D60, date(2024, 2, 29), 35.7055, (86.2231, 7.38156), (26.9816, 6.13183), (-77.4993, 9.15459)),
    (Window.D252, date(2024, 2, 29), 119.78, (199.511, 14.9175), (70.7912, 11.9153), (-150.522, 18.8493)),
    (Window.YTD, date(2024, 2, 29), -5.33332, (54.2964, 4.95719), (12.8948, 3.44812), (-72.5245, 5.65407)),
    (Window.D60, date(2025, 9, 10), 88.176, (8.8826, 1.20252), (15.4596, 3.56343), (63.8338, 3.41348)),
    (Window.D252, date(2025, 9, 10), 137.884, (84.6231, 10.3518), (31.3051, 8.49839), (21.9558, 12.5192)),
    (Window.YTD, date(2025, 9, 10), 59.9369, (12.9185, 2.09123), (16.1064, 5.60493), (30.912, 5.35851)),
    (Window.D60, date(2026, 7, 31), -6.67392, (-23.3024, 4.57913), (7.70911, 2.27335), (8.91933, 5.88704)),
    (Window.D252, date(2026, 7, 31), 108.256, (-99.3492, 19.191), (110.285, 15.8958), (97.3201, 29.2457)),
    (Window.YTD, date(2026, 7, 31), 34.4656, (-40.1591, 8.36026), (55.8019, 8.91375), (18.8228, 14.2417)),
]


@needs_data
@pytest.mark.parametrize(
    ("window", "last", "total", "crypto", "proxy", "residual"), PARTS, ids=[f"{row[0].value} {row[1]}" for row in PARTS]
)
def test_parts_of_real_returns_and_their_errors(
    window: Window,
    last: date,
    total: float,
    crypto: tuple[float, float],
    proxy: tuple[float, float],
    residual: tuple[float, float],
) -> None:
    result = attributed(spliced_legs(last), window)
    parts = [(part.amount, part.error or np.nan) for part in (result.crypto, result.proxy, result.residual)]
    expected = [total, *crypto, *proxy, *residual]
    actual = [result.etf_return, *(number for part in parts for number in part)]
    assert expected == pytest.approx([float(f"{100 * number:.6g}") for number in actual], rel=1e-6)


def test_errors_are_withheld_if_one_session_determines_a_beta() -> None:
    crypto = LEGS.aligned.crypto.copy()
    crypto[450:] *= 100.0
    legs = replace(LEGS, aligned=replace(LEGS.aligned, crypto=crypto))
    result, live = attributed(legs, Window.D5), attribute_intraday(legs, AT, etf=0.1, crypto=0.1, proxy=0.1)
    assert live is not None
    for parts in (result, live):
        assert (None, None, None) == (parts.crypto.error, parts.proxy.error, parts.residual.error)
        total = parts.crypto.amount + parts.proxy.amount + parts.residual.amount
        assert parts.etf_return == pytest.approx(total, abs=1e-9)


UNTIL_YESTERDAY = LEGS.head(499)
RETURNS = [float(prices[499] / prices[498] - 1) for prices in LEGS.columns]


def intraday(etf: float = RETURNS[0]) -> IntradayAttribution:
    result = attribute_intraday(UNTIL_YESTERDAY, AT, etf=etf, crypto=RETURNS[1], proxy=RETURNS[2])
    assert result is not None
    return result


def test_an_open_session_is_attributed_like_its_close() -> None:
    live, closed = intraday(), attribute_return(LEGS, Window.D1)
    assert isinstance(closed, Attribution)
    assert closed.anchor == live.anchor
    for expected, actual in (
        (live.crypto, closed.crypto),
        (live.proxy, closed.proxy),
        (live.residual, closed.residual),
    ):
        assert (actual.amount, actual.error) == pytest.approx((expected.amount, expected.error), rel=1e-9)


def test_the_parts_add_up_and_their_errors_equal_statsmodels() -> None:
    live = intraday(etf=0.123)
    assert 0.123 == pytest.approx(live.crypto.amount + live.proxy.amount + live.residual.amount, abs=1e-12)
    etf, crypto, proxy = (returns(prices, np.arange(500) - 1)[499 - 126 : 499] for prices in LEGS.columns)
    reference = sm.OLS(etf, sm.add_constant(np.column_stack([crypto, proxy]))).fit(cov_type="HC3")
    residual_test = reference.t_test(np.array([0.0, RETURNS[1], RETURNS[2]]))
    assert float(residual_test.sd.item()) == pytest.approx(live.residual.error, rel=1e-9)


def test_a_missing_last_close_or_a_short_history_has_no_attribution() -> None:
    prices = UNTIL_YESTERDAY.proxy_prices.copy()
    prices[-1] = np.nan
    for legs in (replace(UNTIL_YESTERDAY, proxy_prices=prices), LEGS.head(40), LEGS.head(0)):
        assert attribute_intraday(legs, AT, etf=0.1, crypto=0.1, proxy=0.1) is None


SHORT_LEGS = random_legs(300)
PROXY = proxy_closes(SHORT_LEGS.aligned.sessions, SHORT_LEGS.proxy_prices)
PAST = SHORT_LEGS.head(299)
LIVE = PAST.aligned.with_live(
    SHORT_LEGS.aligned.sessions[-1].item(),
    to_datetime(SHORT_LEGS.aligned.at[-1]),
    etf=float(SHORT_LEGS.aligned.etf[-1]),
    crypto=float(SHORT_LEGS.aligned.crypto[-1]),
)
KNOWN = proxy_closes(PAST.aligned.sessions, PAST.proxy_prices)


@pytest.mark.parametrize("window", [Window.D1, Window.D5, Window.D60])
def test_the_parts_of_an_alert_equal_those_of_attribute_return_and_add_up(window: Window) -> None:
    result, expected = attribute_alert(SHORT_LEGS.aligned, window, PROXY), attribute_return(SHORT_LEGS, window)
    assert result is not None
    assert isinstance(expected, Attribution)
    assert (expected.crypto, expected.proxy, expected.residual) == (result.crypto, result.ai, result.residual)
    assert result.etf_return == pytest.approx(
        result.crypto.amount + result.ai.amount + result.residual.amount, abs=1e-9
    )
    assert (window, expected.session, "SMH", "hand") == (result.window, result.session, result.proxy, result.source)


def test_a_live_row_is_attributed_like_a_close_at_the_same_prices() -> None:
    assert attribute_alert(SHORT_LEGS.aligned, Window.D5, PROXY) == attribute_alert(
        LIVE, Window.D5, KNOWN, float(SHORT_LEGS.proxy_prices[-1])
    )


def test_a_live_row_never_uses_a_close_of_the_proxy() -> None:
    assert attribute_alert(LIVE, Window.D5, PROXY) is None


def test_a_return_without_proxy_or_betas_has_no_attribution() -> None:
    assert attribute_alert(SHORT_LEGS.aligned, Window.D5, proxy_closes(PROXY.sessions[:0], PROXY.prices[:0])) is None
    assert attribute_alert(SHORT_LEGS.aligned.head(60), Window.D5, PROXY) is None

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import statsmodels.api as sm

from services.core.prices import Symbol
from services.market.measure import NotMeasured, Window, returns
from services.market.sources.files.prices import read_etf_csv
from services.research.attribution import Attribution, Legs, attribute
from tests.fakes.legs import DATA, legs_of, proxy_closes, random_legs, real_legs
from tests.fakes.market import aligned_market

LEGS = random_legs(500)
DAILY = np.arange(500) - 1


def attributed(legs: Legs, window: Window = Window.D60) -> Attribution:
    found = attribute(legs, window)
    assert isinstance(found, Attribution)
    return found


def without(legs: Legs, *rows: int) -> Legs:
    """The same legs without the proxy's close on some rows."""
    prices = legs.proxy_prices.copy()
    prices[list(rows)] = np.nan
    return replace(legs, proxy_prices=prices)


@pytest.mark.parametrize("window", Window, ids=lambda window: window.value)
@pytest.mark.parametrize("missing", [(), (497,), (440, 441, 460)], ids=["whole", "one missing", "several missing"])
def test_the_parts_add_up_to_the_return(window: Window, missing: tuple[int, ...]) -> None:
    found = attributed(without(LEGS, *missing), window)
    parts = found.crypto.amount + found.proxy.amount + found.residual.amount
    assert found.etf_return == pytest.approx(parts, abs=1e-9)


def test_a_days_part_is_its_beta_from_before_times_its_factors_move() -> None:
    found = attributed(LEGS, Window.D1)
    etf, crypto, proxy = (returns(prices, DAILY) for prices in LEGS.columns)
    before = slice(499 - 126, 499)
    oracle = sm.OLS(etf[before], sm.add_constant(np.column_stack([crypto, proxy])[before])).fit()
    assert oracle.params[1] * crypto[499] == pytest.approx(found.crypto.amount, rel=1e-9)
    assert oracle.params[2] * proxy[499] == pytest.approx(found.proxy.amount, rel=1e-9)
    assert oracle.bse[1] * abs(crypto[499]) == pytest.approx(found.crypto.error, rel=1e-9)
    assert oracle.bse[2] * abs(proxy[499]) == pytest.approx(found.proxy.error, rel=1e-9)
    spread = oracle.t_test([0, crypto[499], proxy[499]]).sd[0][0]
    assert spread == pytest.approx(found.residual.error, rel=1e-9)


def test_days_are_linked_on_growing_capital() -> None:
    """With betas known exactly, a day's part counts by what a dollar had grown to before it."""
    rng = np.random.default_rng(1)
    crypto, proxy = rng.normal(0, 0.03, 300), rng.normal(0, 0.02, 300)
    found = attributed(legs_of(0.5 * crypto + 1.0 * proxy, crypto, proxy, "2022-02-08"), Window.D5)
    grown = np.cumprod(np.append(1.0, 1 + (0.5 * crypto + proxy)[-5:]))[:-1]
    assert (grown * 0.5 * crypto[-5:]).sum() == pytest.approx(found.crypto.amount, rel=1e-9)
    assert (grown * proxy[-5:]).sum() == pytest.approx(found.proxy.amount, rel=1e-9)
    assert 0.0 == pytest.approx(found.residual.amount, abs=1e-12)


def test_the_errors_are_those_that_many_markets_show() -> None:
    """Bitcoin's and the proxy's moves stay, the ETF's noise is drawn anew: parts scatter by their standard errors."""
    rng = np.random.default_rng(9)
    crypto, proxy = rng.normal(0, 0.03, 260), rng.normal(0, 0.02, 260)
    still, drawn = legs_of(crypto, crypto, proxy, "2022-02-08"), []
    for _ in range(300):
        etf = 0.6 * crypto + 1.1 * proxy + rng.normal(0, 0.03, 260)
        path = np.cumprod(np.append(1.0, 1 + etf))
        legs = replace(still, aligned=replace(still.aligned, etf=path))
        found = attributed(legs, Window.D60)
        grown = legs.aligned.etf[-61:-1] / legs.aligned.etf[-61]
        truth = (grown * 0.6 * crypto[-60:]).sum(), (grown * 1.1 * proxy[-60:]).sum()
        drawn.append(
            [
                (found.crypto.amount - truth[0]) / found.crypto.error,
                (found.proxy.amount - truth[1]) / found.proxy.error,
                (found.crypto.amount + found.proxy.amount - sum(truth)) / found.residual.error,
            ]
        )
    assert [1.0, 1.0, 1.0] == pytest.approx(np.std(drawn, axis=0), abs=0.12)


def test_the_future_does_not_change_the_past() -> None:
    other = random_legs(500, seed=6)
    bent = replace(
        LEGS,
        aligned=replace(
            LEGS.aligned,
            etf=np.append(LEGS.aligned.etf[:400], other.aligned.etf[400:]),
            crypto=np.append(LEGS.aligned.crypto[:400], other.aligned.crypto[400:]),
        ),
        proxy_prices=np.append(LEGS.proxy_prices[:400], other.proxy_prices[400:]),
    )
    assert attributed(LEGS.head(400)) == attributed(bent.head(400))
    assert attributed(LEGS) != attributed(bent)


def test_no_day_is_explained_by_itself() -> None:
    """A last day that nothing announces leaves the betas of its own attribution alone."""
    calm = attributed(LEGS, Window.D1)
    etf = LEGS.aligned.etf.copy()
    etf[-1] *= 1.5
    wild = attributed(replace(LEGS, aligned=replace(LEGS.aligned, etf=etf)), Window.D1)
    assert (calm.crypto, calm.proxy) == (wild.crypto, wild.proxy)


@pytest.mark.parametrize(
    ("legs", "window", "reason"),
    [
        pytest.param(LEGS.head(5), Window.D5, "the history begins on 2022-02-08", id="short"),
        pytest.param(
            LEGS.head(120),
            Window.D60,
            "fewer than 94 of the 126 sessions up to 2022-05-04 have all three prices",
            id="too short for betas",
        ),
        pytest.param(
            replace(LEGS, proxy_prices=2 * LEGS.aligned.crypto),
            Window.D1,
            "BTC and SMH moved alike in the 126 sessions up to 2024-02-02, so that their parts cannot be told apart",
            id="factors that are one",
        ),
        pytest.param(without(LEGS, 499), Window.D1, "2024-02-05: hand has no SMH close for this session", id="proxy"),
        pytest.param(without(LEGS, 498), Window.D1, "2024-02-02: hand has no SMH close for this session", id="anchor"),
    ],
)
def test_what_cannot_be_explained_says_why(legs: Legs, window: Window, reason: str) -> None:
    assert NotMeasured(window=window, reason=reason) == attribute(legs, window)


def test_a_session_without_a_price_of_the_pair_says_whose() -> None:
    market = aligned_market([1.0, None, 1.0], [1.0] * 3)
    found = attribute(Legs.of(market, proxy_closes(market.sessions, np.ones(3))), Window.D1)
    assert isinstance(found, NotMeasured)
    assert "2024-01-03: hand has no WGMI close for this session" == found.reason


def test_legs_end_with_the_last_session_that_all_three_have() -> None:
    assert 498 == len(without(LEGS, 498, 499).until_complete().aligned)
    assert 0 == len(without(LEGS, *range(500)).until_complete().aligned)


@pytest.mark.skipif(not DATA.exists(), reason="the vendor price files in ../shared/data are not here")
@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(date(2026, 6, 18), (88.4, -38.7, 83.7, 43.4), id="at the high"),
        pytest.param(date(2026, 7, 31), (34.5, -39.6, 55.5, 18.6), id="in July"),
    ],
)
def test_the_year_2026_on_real_prices(last: date, expected: tuple[float, ...]) -> None:
    """Bitcoin as the fund IBIT has it: the coin's own bars end in April."""
    found = attributed(real_legs(read_etf_csv(DATA / "equities/IBIT.csv", Symbol("IBIT")), last), Window.YTD)
    parts = (found.etf_return, found.crypto.amount, found.proxy.amount, found.residual.amount)
    assert expected == pytest.approx([100 * part for part in parts], abs=0.05)

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from services.core.prices import WGMI_BTC, Symbol
from services.core.reason import Code, Reason
from services.market.align import align
from services.market.holdings import Cohort, Holding, HoldingKind, Holdings
from services.market.measure import NotMeasured, Window
from services.market.sources.files.holdings import read_holdings_csv
from services.market.sources.files.prices import read_etf_csv
from services.research.holdings_effects import (
    HoldingContribution,
    HoldingsAttribution,
    attribute_to_holdings,
    brinson_effects,
)
from tests.fakes.market import CALENDAR, aligned_market, random_market
from tests.fakes.price_files import DATA, needs_data
from tests.fakes.reasons import reason, reason_with

MARKET = random_market(300)


def holdings(as_of: date, cash: float = 0.0, **weights: float) -> Holdings:
    shares = [Holding(ticker=ticker, weight=weight) for ticker, weight in weights.items()]
    cash_positions = [Holding(ticker="USD", weight=cash, kind=HoldingKind.CASH)] if cash else []
    return Holdings(fund=Symbol("WGMI"), as_of=as_of, source="hand", positions=(*shares, *cash_positions))


def attributed(*args: object, window: Window = Window.D60) -> HoldingsAttribution:
    result = attribute_to_holdings(args[0], window, args[1], args[2])  # type: ignore[arg-type]
    assert isinstance(result, HoldingsAttribution)
    return result


def random_prices(names: str, seed: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: 20 * np.exp(np.cumsum(rng.normal(0, 0.04, len(MARKET)))) for name in names}


@pytest.mark.parametrize("window", [Window.D1, Window.D20, Window.D252, Window.YTD], ids=lambda window: window.value)
def test_contributions_and_residual_add_up_to_the_funds_return(window: Window) -> None:
    prices = random_prices("ABC")
    prices["B"][280:] = np.nan
    history = [holdings(date(2022, 3, 1), A=0.5, B=0.3, C=0.1, cash=0.05), holdings(date(2023, 3, 1), A=0.2, C=0.7)]
    result = attributed(MARKET, history, prices, window=window)
    assert result.etf_return == pytest.approx(
        sum(holding.contribution for holding in result.holdings) + result.residual, abs=1e-12
    )


def test_a_buy_and_hold_fund_has_no_residual() -> None:
    """Weights drift with the fund's own value, so nothing is left over."""
    prices = random_prices("AB")
    start = 200
    value = 0.6 * prices["A"] / prices["A"][start] + 0.3 * prices["B"] / prices["B"][start] + 0.1
    market = aligned_market((25 * value).tolist(), [1.0] * 300, first="2022-02-08")
    bought_on = market.sessions[start].astype(object)
    result = attributed(market, [holdings(bought_on, A=0.6, B=0.3, cash=0.1)], prices, window=Window.D60)
    assert 0.0 == pytest.approx(result.residual, abs=1e-12)
    assert (bought_on,) == result.weight_dates
    assert not result.backfilled


def test_a_contribution_is_the_weight_times_the_return() -> None:
    market = aligned_market([100.0, 100.0, 103.0], [1.0] * 3)
    prices = {"A": np.array([10.0, 10.0, 11.0]), "B": np.array([10.0, 20.0, 19.0])}
    result = attributed(market, [holdings(date(2024, 1, 3), A=0.4, B=0.2)], prices, window=Window.D1)
    expected = [
        HoldingContribution(ticker="A", weight=0.4, own_return=0.1, contribution=0.04),
        HoldingContribution(ticker="B", weight=0.2, own_return=-0.05, contribution=-0.01),
    ]
    assert [holding.ticker for holding in expected] == [holding.ticker for holding in result.holdings]
    for wanted, actual in zip(expected, result.holdings, strict=True):
        assert (wanted.weight, wanted.own_return, wanted.contribution) == pytest.approx(
            (actual.weight, actual.own_return, actual.contribution)
        )
    assert (0.0, 0.6) == pytest.approx((result.residual, result.covered_weight))


def test_later_weights_are_backfilled_and_newer_weights_replace_them() -> None:
    prices = random_prices("AB")
    days = [MARKET.sessions[row].astype(object) for row in (260, 280)]
    result = attributed(MARKET, [holdings(days[0], A=1.0), holdings(days[1], B=1.0)], prices)
    assert (tuple(days), True) == (result.weight_dates, result.backfilled)
    assert {"A", "B"} == {holding.ticker for holding in result.holdings}


def test_a_share_without_prices_has_no_return_and_no_contribution() -> None:
    result = attributed(MARKET, [holdings(date(2022, 3, 1), A=0.5, Z=0.5)], random_prices("A"))
    assert [("Z", None, 0.0)] == [
        (holding.ticker, holding.own_return, holding.contribution)
        for holding in result.holdings
        if holding.own_return is None
    ]
    assert 0.0 < result.covered_weight < 1.0


def test_a_return_over_a_missing_price_counts_at_the_next_known_price() -> None:
    market = aligned_market([100.0] * 4 + [100.0, 110.0, 120.0], [1.0] * 7)
    prices = {"A": np.array([10.0, 20.0, 20.0, 20.0, 20.0, np.nan, 24.0])}
    result = attributed(market, [holdings(date(2024, 1, 3), A=1.0)], prices, window=Window.D5)
    (holding,) = result.holdings
    assert (0.2, 1.0) == pytest.approx((holding.own_return, holding.weight))
    linked = np.log(1.2) / 0.2
    assert holding.contribution == pytest.approx(0.2 * (np.log(12 / 11) / (1 / 11)) / linked)
    assert result.etf_return == pytest.approx(holding.contribution + result.residual)


def test_a_weight_drifts_with_the_last_known_price() -> None:
    market = aligned_market([100.0, 100.0, 150.0, 150.0, 165.0], [1.0] * 5)
    prices = {"A": np.array([10.0, 10.0, 20.0, np.nan, 22.0])}
    result = attributed(market, [holdings(date(2024, 1, 3), cash=0.5, A=0.5)], prices, window=Window.D1)
    assert 2 / 3 == pytest.approx(result.holdings[0].weight)


def test_a_price_before_the_window_is_not_its_start() -> None:
    market = aligned_market([100.0] * 8, [1.0] * 8)
    prices = {"A": np.array([10.0, 10.0, np.nan, 20.0, 20.0, 20.0, 20.0, 20.0])}
    result = attributed(market, [holdings(date(2024, 1, 2), A=1.0)], prices, window=Window.D5)
    assert [(None, 0.0)] == [(holding.own_return, holding.contribution) for holding in result.holdings]


@pytest.mark.parametrize(
    ("market", "window", "expected"),
    [
        pytest.param(MARKET.head(20), Window.D60, reason(Code.HISTORY_BEGINS, session="2022-02-08"), id="short"),
        pytest.param(
            aligned_market([1.0, None, 1.0], [1.0] * 3),
            Window.D1,
            reason_with(Code.MISSING_PRICE, session="2024-01-03"),
            id="missing",
        ),
    ],
)
def test_an_impossible_attribution_has_a_reason(market: object, window: Window, expected: Reason) -> None:
    result = attribute_to_holdings(market, window, [holdings(date(2022, 3, 1), A=1.0)], {})  # type: ignore[arg-type]
    assert isinstance(result, NotMeasured)
    assert expected == result.reason


@needs_data
def test_covered_weights_explain_their_share_of_the_2022_drawdown() -> None:
    """The fund halved in the 60 sessions to 2022-07-18; nine dates of weights are known, with 57% of the weight
    covered.
    """
    etf = read_etf_csv(DATA / "equities/WGMI.csv", WGMI_BTC.etf)
    rows = align(WGMI_BTC, etf, etf, CALENDAR).before(date(2022, 7, 19))
    history = read_holdings_csv(DATA / "holdings/wgmi_weights_2022.csv", WGMI_BTC.etf).snapshots
    names = {holding.ticker for holdings in history for holding in holdings.positions}
    files = {name: DATA / "equities" / f"{'KEEL' if name == 'BITF' else name}.csv" for name in names}
    prices = {name: _closes(path, rows.sessions) for name, path in files.items() if path.exists()}

    result = attributed(rows, history, prices)

    assert (-0.504, 0.573) == pytest.approx((result.etf_return, result.covered_weight), abs=0.001)
    assert 0.43 == pytest.approx(result.residual / result.etf_return, abs=0.05)
    assert not result.backfilled


def _closes(path: Path, sessions: np.ndarray) -> np.ndarray:
    closes = read_etf_csv(path, Symbol("X"))
    rows = np.searchsorted(closes.sessions, sessions).clip(max=len(closes) - 1)
    return np.where(closes.sessions[rows] == sessions, closes.prices[rows], np.nan)


COHORTS = {"IREN": Cohort.CONTRACTED, "WULF": Cohort.CONTRACTED, "CANG": Cohort.PURE}


def share(ticker: str, weight: float, own_return: float | None) -> HoldingContribution:
    return HoldingContribution(ticker=ticker, weight=weight, own_return=own_return, contribution=0.0)


NAMES = [share("IREN", 0.4, 0.5), share("WULF", 0.1, 0.1), share("CANG", 0.2, -0.2), share("NVDA", 0.1, 0.2)]


def test_allocation_and_selection_add_up_to_the_excess_over_equal_weights() -> None:
    result = brinson_effects(NAMES, COHORTS)
    fund = (0.4 * 0.5 + 0.1 * 0.1 - 0.2 * 0.2 + 0.1 * 0.2) / 0.8
    equal = (0.5 + 0.1 - 0.2 + 0.2) / 4
    assert fund - equal == pytest.approx(sum(effect.allocation + effect.selection for effect in result))
    assert [Cohort.CONTRACTED, Cohort.PURE, Cohort.OTHER] == [effect.cohort for effect in result]


def test_each_cohort_has_its_own_allocation_and_selection() -> None:
    ai = brinson_effects(NAMES, COHORTS)[0]
    assert (2, 0.625, 0.5) == pytest.approx((ai.name_count, ai.weight, ai.equal_weight))
    assert (0.42, 0.3) == pytest.approx((ai.fund_return, ai.equal_weight_return))
    assert (0.625 - 0.5) * (0.3 - 0.15) == pytest.approx(ai.allocation)
    assert 0.625 * (0.42 - 0.3) == pytest.approx(ai.selection)


def test_shares_without_a_return_or_a_weight_are_left_out() -> None:
    assert brinson_effects([*NAMES, share("HUT", 0.3, None), share("CORZ", 0.0, 0.9)], COHORTS) == brinson_effects(
        NAMES, COHORTS
    )
    assert () == brinson_effects([share("HUT", 0.3, None)], COHORTS)

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from services.core.prices import WGMI_BTC, Symbol
from services.market.align import align
from services.market.holdings import Holding, HoldingKind, Holdings
from services.market.measure import NotMeasured, Window
from services.market.sources.files.holdings import read_holdings_csv
from services.market.sources.files.prices import read_etf_csv
from services.research.holdings_effects import Contributions, Contributor, contribute
from tests.fakes.market import CALENDAR, aligned_market, random_market

DATA = Path("../shared/data")
MARKET = random_market(300)


def holdings(as_of: date, cash: float = 0.0, **weights: float) -> Holdings:
    shares = [Holding(ticker=ticker, weight=weight) for ticker, weight in weights.items()]
    owed = [Holding(ticker="USD", weight=cash, kind=HoldingKind.CASH)] if cash else []
    return Holdings(fund=Symbol("WGMI"), as_of=as_of, source="hand", positions=(*shares, *owed))


def found(*args: object, window: Window = Window.D60) -> Contributions:
    told = contribute(args[0], window, args[1], args[2])  # type: ignore[arg-type]
    assert isinstance(told, Contributions)
    return told


def walks(names: str, seed: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: 20 * np.exp(np.cumsum(rng.normal(0, 0.04, len(MARKET)))) for name in names}


@pytest.mark.parametrize("window", [Window.D1, Window.D20, Window.D252, Window.YTD], ids=lambda window: window.value)
def test_holdings_and_the_rest_add_up_to_the_funds_return(window: Window) -> None:
    prices = walks("ABC")
    prices["B"][280:] = np.nan
    history = [holdings(date(2022, 3, 1), A=0.5, B=0.3, C=0.1, cash=0.05), holdings(date(2023, 3, 1), A=0.2, C=0.7)]
    told = found(MARKET, history, prices, window=window)
    assert told.etf_return == pytest.approx(sum(one.added for one in told.contributors) + told.rest, abs=1e-12)


def test_a_fund_that_only_holds_is_explained_without_a_rest() -> None:
    """Bought once and never traded: weights drift as the fund's own value does, and nothing is left over."""
    prices = walks("AB")
    start = 200
    value = 0.6 * prices["A"] / prices["A"][start] + 0.3 * prices["B"] / prices["B"][start] + 0.1
    market = aligned_market((25 * value).tolist(), [1.0] * 300, first="2022-02-08")
    bought = market.sessions[start].astype(object)
    told = found(market, [holdings(bought, A=0.6, B=0.3, cash=0.1)], prices, window=Window.D60)
    assert 0.0 == pytest.approx(told.rest, abs=1e-12)
    assert (bought,) == told.known
    assert not told.carried_back


def test_a_days_contribution_is_its_weight_times_its_move() -> None:
    market = aligned_market([100.0, 100.0, 103.0], [1.0] * 3)
    prices = {"A": np.array([10.0, 10.0, 11.0]), "B": np.array([10.0, 20.0, 19.0])}
    told = found(market, [holdings(date(2024, 1, 3), A=0.4, B=0.2)], prices, window=Window.D1)
    expected = [
        Contributor(ticker="A", weight=0.4, moved=0.1, added=0.04),
        Contributor(ticker="B", weight=0.2, moved=-0.05, added=-0.01),
    ]
    assert [one.ticker for one in expected] == [one.ticker for one in told.contributors]
    for mine, theirs in zip(expected, told.contributors, strict=True):
        assert (mine.weight, mine.moved, mine.added) == pytest.approx((theirs.weight, theirs.moved, theirs.added))
    assert (0.0, 0.6) == pytest.approx((told.rest, told.covered))


def test_weights_that_begin_later_are_carried_back_and_a_new_day_takes_over() -> None:
    prices = walks("AB")
    days = [MARKET.sessions[row].astype(object) for row in (260, 280)]
    told = found(MARKET, [holdings(days[0], A=1.0), holdings(days[1], B=1.0)], prices)
    assert (tuple(days), True) == (told.known, told.carried_back)
    assert {"A", "B"} == {one.ticker for one in told.contributors}


def test_a_share_without_prices_adds_nothing_and_is_known_by_that() -> None:
    told = found(MARKET, [holdings(date(2022, 3, 1), A=0.5, Z=0.5)], walks("A"))
    assert [("Z", None, 0.0)] == [(one.ticker, one.moved, one.added) for one in told.contributors if one.moved is None]
    assert 0.0 < told.covered < 1.0


def test_a_move_over_a_session_without_a_price_counts_where_it_is_known_again() -> None:
    market = aligned_market([100.0] * 4 + [100.0, 110.0, 120.0], [1.0] * 7)
    prices = {"A": np.array([10.0, 20.0, 20.0, 20.0, 20.0, np.nan, 24.0])}
    told = found(market, [holdings(date(2024, 1, 3), A=1.0)], prices, window=Window.D5)
    (one,) = told.contributors
    assert (0.2, 1.0) == pytest.approx((one.moved, one.weight))
    linked = np.log(1.2) / 0.2
    assert one.added == pytest.approx(0.2 * (np.log(12 / 11) / (1 / 11)) / linked)
    assert told.etf_return == pytest.approx(one.added + told.rest)


def test_a_weight_drifts_with_the_last_price_over_a_session_without_one() -> None:
    market = aligned_market([100.0, 100.0, 150.0, 150.0, 165.0], [1.0] * 5)
    prices = {"A": np.array([10.0, 10.0, 20.0, np.nan, 22.0])}
    told = found(market, [holdings(date(2024, 1, 3), cash=0.5, A=0.5)], prices, window=Window.D1)
    assert 2 / 3 == pytest.approx(told.contributors[0].weight)


def test_a_price_before_the_window_is_no_beginning_of_it() -> None:
    market = aligned_market([100.0] * 8, [1.0] * 8)
    prices = {"A": np.array([10.0, 10.0, np.nan, 20.0, 20.0, 20.0, 20.0, 20.0])}
    told = found(market, [holdings(date(2024, 1, 2), A=1.0)], prices, window=Window.D5)
    assert [(None, 0.0)] == [(one.moved, one.added) for one in told.contributors]


@pytest.mark.parametrize(
    ("market", "reason"),
    [
        pytest.param(MARKET.head(20), "the history begins on 2022-02-08", id="short"),
        pytest.param(aligned_market([1.0, None, 1.0], [1.0] * 3), "2024-01-03: hand has no WGMI close", id="missing"),
    ],
)
def test_what_cannot_be_parted_says_why(market: object, reason: str) -> None:
    window = Window.D1 if reason[:4] == "2024" else Window.D60
    told = contribute(market, window, [holdings(date(2022, 3, 1), A=1.0)], {})  # type: ignore[arg-type]
    assert isinstance(told, NotMeasured)
    assert told.reason.startswith(reason)


@pytest.mark.skipif(not DATA.exists(), reason="the vendor price files in ../shared/data are not here")
def test_what_is_covered_explains_its_share_of_the_fall_of_2022() -> None:
    """Of the 60 sessions to 18 July 2022, in which the fund halved, on weights of nine days and 57% of it covered."""
    etf = read_etf_csv(DATA / "equities/WGMI.csv", WGMI_BTC.etf)
    rows = align(WGMI_BTC, etf, etf, CALENDAR).before(date(2022, 7, 19))
    history = read_holdings_csv(DATA / "holdings/wgmi_weights_2022.csv", WGMI_BTC.etf).snapshots
    names = {one.ticker for holdings in history for one in holdings.positions}
    files = {name: DATA / "equities" / f"{'KEEL' if name == 'BITF' else name}.csv" for name in names}
    prices = {name: _closes(path, rows.sessions) for name, path in files.items() if path.exists()}

    told = found(rows, history, prices)

    assert (-0.504, 0.573) == pytest.approx((told.etf_return, told.covered), abs=0.001)
    assert 0.43 == pytest.approx(told.rest / told.etf_return, abs=0.05)
    assert not told.carried_back


def _closes(path: Path, sessions: np.ndarray) -> np.ndarray:
    closes = read_etf_csv(path, Symbol("X"))
    rows = np.searchsorted(closes.sessions, sessions).clip(max=len(closes) - 1)
    return np.where(closes.sessions[rows] == sessions, closes.prices[rows], np.nan)

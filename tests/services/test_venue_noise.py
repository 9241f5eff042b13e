"""Real prices with the noise of real venues: the default rules fire the same with any honest source first."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.core.prices import WGMI_BTC, Bars, Closes, Symbol
from services.core.sessions import sessions_between
from services.market.align import align
from services.market.consensus.closes import consensus_bars
from services.market.sources.files.prices import read_crypto_csv, read_etf_csv
from services.rules.decide import Change, Side
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from services.rules.rule import DEFAULT_RULES

ReplayedChanges = list[tuple[str, date, Change, Side]]


DATA = Path(__file__).parents[3] / "shared/data"
ETF, BTC_HOURS = DATA / "equities/WGMI.csv", DATA / "btc/btcusdt_binance_1h.csv"
BTC = Symbol("BTC")
MEDIAN, P99 = 0.0003, 0.0037  # relative differences between venues
NORMAL_MEDIAN = 0.674490  # the median of |z| for a standard normal
EARLY, LATE = ("20d 30pp", "2025-07-17"), ("20d 30pp", "2025-07-22")  # one episode: 29.995pp on the first date
RULES = [parse_rule(text) for text in DEFAULT_RULES]

pytestmark = pytest.mark.skipif(not BTC_HOURS.exists(), reason="needs the vendors' real prices beside this repository")


@pytest.fixture(scope="module")
def etf() -> Closes:
    return read_etf_csv(ETF, WGMI_BTC.etf)


@pytest.fixture(scope="module")
def market() -> Bars:
    return read_crypto_csv(BTC_HOURS, BTC)


@pytest.fixture(scope="module")
def venues(market: Bars) -> list[Bars]:
    """Return three venues around one market; any two of them differ as much as two real ones."""
    rng = np.random.default_rng(20260304)
    return [
        replace(market, source=name, closes=market.closes * (1 + _noise(rng, len(market)))) for name in ("A", "B", "C")
    ]


def _noise(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Return a venue's deviation from the market: normal, with a wider spread in 6% of the hours for a fat tail."""
    wild = rng.random(count) < 0.06
    calm_sigma = MEDIAN / NORMAL_MEDIAN / np.sqrt(2) * 0.9
    wild_sigma = P99 / 1.24 / np.sqrt(2)
    off: NDArray[np.float64] = rng.normal(0, np.where(wild, wild_sigma, calm_sigma))
    return off


def replayed_changes(etf: Closes, bars: Bars) -> ReplayedChanges:
    first, last = etf.sessions[[0, -1]].tolist()
    aligned = align(WGMI_BTC, etf, bars, sessions_between(first, last + np.timedelta64(7, "D").item()))
    return [
        (str(one.rule), step.session, step.change, step.side)
        for one in replay(aligned, RULES).rules
        for step in one.steps
    ]


def consensus(venues: Sequence[Bars]) -> Bars:
    prices = consensus_bars(BTC, venues, requires_witness=True).prices
    assert isinstance(prices, Bars)
    return prices


def test_the_noise_is_that_of_real_venues(venues: list[Bars]) -> None:
    apart = np.abs(venues[0].closes / venues[1].closes - 1)

    assert [MEDIAN, P99] == pytest.approx(np.quantile(apart, [0.5, 0.99]).tolist(), rel=0.03)


def test_the_order_of_venues_does_not_change_the_alerts(etf: Closes, venues: list[Bars]) -> None:
    pairs = [consensus(order) for order in permutations(venues[:2])]
    threes = [consensus(order) for order in permutations(venues)]

    assert pairs[0].closes.tolist() == pairs[1].closes.tolist()
    assert 6 == sum(bars.closes.tolist() == threes[0].closes.tolist() for bars in threes)
    assert 1 == len({tuple(replayed_changes(etf, bars)) for bars in pairs})
    assert 1 == len({tuple(replayed_changes(etf, bars)) for bars in threes})


def test_venues_differ_from_the_market_only_in_a_few_close_calls(etf: Closes, market: Bars, venues: list[Bars]) -> None:
    """Of 96 episodes: first those that only the venues have, then those that only the market has."""
    first, second, third = venues
    of_market = _fired(replayed_changes(etf, market))

    assert {
        "A": ({("1d 8pp", "2025-05-16"), EARLY}, {("1d 8pp", "2023-11-02"), LATE}),
        "B": ({("1d 8pp", "2024-06-11"), ("5d 15pp", "2024-06-11")}, {("5d 15pp", "2024-06-12")}),
        "A and B": ({("5d 15pp", "2024-06-11")}, {("1d 8pp", "2023-11-02"), ("5d 15pp", "2024-06-12")}),
        "all three": ({EARLY}, {LATE}),
    } == {
        name: (seen - of_market, of_market - seen)
        for name, bars in {
            "A": first,
            "B": second,
            "A and B": consensus([first, second]),
            "all three": consensus([first, second, third]),
        }.items()
        for seen in [_fired(replayed_changes(etf, bars))]
    }
    assert 96 == len(of_market)


def _fired(steps: ReplayedChanges) -> set[tuple[str, str]]:
    return {(rule, f"{session}") for rule, session, to, _side in steps if to is Change.FIRING}

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from services.core.errors import SourceError
from services.core.prices import AI_PROXY, WGMI_BTC, Symbol, instant
from services.core.sessions import sessions_between
from services.market.align import Aligned, align
from services.market.sources.simulated.market import Simulated
from services.research.attribution import Legs
from services.research.explain import beta_gauge
from services.rules.grammar import parse_rule
from services.rules.replay import RuleReplay, replay
from tests.fakes.clock import SetClock

WGMI, BTC, MARA, ETH = Symbol("WGMI"), Symbol("BTC"), Symbol("MARA"), Symbol("ETH")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BEGIN, END = datetime(2021, 1, 1, tzinfo=UTC), datetime(2040, 12, 31, 23, 59, tzinfo=UTC)
SEEDS = (1, 2, 3)
EVEN, ODD = range(2022, 2041, 2), range(2023, 2041, 2)
YEARS = [*EVEN, *ODD]
OPEN, CLOSE = datetime(2026, 6, 18, 13, 30, tzinfo=UTC), datetime(2026, 6, 18, 20, 0, tzinfo=UTC)
HALF_DAY_CLOSE = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)


def market(at: datetime = END, seed: int = 1) -> Simulated:
    return Simulated(SetClock(at), seed=seed)


@dataclass(frozen=True)
class Past:
    """The whole simulated past of one seed, aligned."""

    aligned: Aligned

    def rows(self, year: int) -> NDArray[np.bool_]:
        rows: NDArray[np.bool_] = self.aligned.sessions.astype("datetime64[Y]") == np.datetime64(str(year), "Y")
        return rows

    def etf_gain(self, year: int) -> float:
        return float(self.aligned.etf[self.rows(year)][-1] / self.aligned.etf[self.rows(year - 1)][-1] - 1)

    def deepest(self, year: int) -> tuple[float, int, int]:
        """The deepest fall below the year's running high, and how far into the year its high and its low stand."""
        prices = self.aligned.crypto[self.rows(year)]
        fall = 1 - prices / np.maximum.accumulate(prices)
        low = int(np.argmax(fall))
        return float(fall[low]), int(np.argmax(prices[:low])), low

    def legs(self, year: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """One-day returns of ETF and bitcoin."""
        etf, crypto = self.aligned.etf, self.aligned.crypto
        rows = self.rows(year)[1:]
        return (np.diff(etf) / etf[:-1])[rows], (np.diff(crypto) / crypto[:-1])[rows]

    def replayed(self, rule: str, year: int) -> RuleReplay:
        [result] = replay(self.aligned, [parse_rule(rule)], first=date(year, 1, 1), last=date(year, 12, 31)).rules
        return result


@pytest.fixture(scope="module", params=SEEDS)
def past(request: pytest.FixtureRequest) -> Past:
    source = market(seed=request.param)
    closes = asyncio.run(source.prices(WGMI, BEGIN.date())).closes
    bars = asyncio.run(source.bars(BTC, HOUR, BEGIN, END))
    return Past(align(WGMI_BTC, closes, bars, sessions_between(BEGIN.date(), date(2041, 12, 31))))


def test_every_session_has_both_prices(past: Past) -> None:
    assert past.aligned.complete.all()
    assert () == past.aligned.left_out


def test_in_even_years_bitcoin_makes_a_high_and_falls_to_60_percent_below_it(past: Past) -> None:
    falls = [past.deepest(year) for year in EVEN]

    assert [] == [depth for depth, _high, _low in falls if not 0.60 <= depth <= 0.62]
    assert all(high < 90 < low for _depth, high, low in falls)


def test_each_high_is_the_highest_of_all_time(past: Past) -> None:
    highs = [past.aligned.crypto[past.rows(year)].max() for year in EVEN]

    assert sorted(highs) == highs
    assert all(past.aligned.crypto[past.rows(year)].max() < highs[0] for year in ODD)


def test_in_even_years_the_etf_ends_nine_tenths_higher(past: Past) -> None:
    gains = [past.etf_gain(year) for year in EVEN]

    assert [] == [gain for gain in gains if not 0.85 <= gain <= 0.95]


def test_in_odd_years_bitcoin_recovers_and_the_etf_ends_where_its_two_years_began(past: Past) -> None:
    bitcoin = [past.aligned.crypto[past.rows(year)] for year in ODD]
    etf = [(1 + past.etf_gain(year - 1)) * (1 + past.etf_gain(year)) for year in ODD]

    assert all(prices[-1] > 1.3 * prices[0] for prices in bitcoin)
    assert [] == [both for both in etf if abs(both - 1) > 0.1]


def test_in_odd_years_the_etf_moves_with_bitcoin(past: Past) -> None:
    legs = [past.legs(year) for year in ODD]
    etf, crypto = np.concatenate([leg[0] for leg in legs]), np.concatenate([leg[1] for leg in legs])

    beta = np.cov(etf, crypto)[0, 1] / np.var(crypto, ddof=1)

    assert 1.0 < beta < 1.2


def test_the_spread_is_as_noisy_as_the_real_one(past: Past) -> None:
    spreads = [np.std(np.subtract(*past.legs(year))) for year in YEARS]

    assert [] == [spread for spread in spreads if not 0.03 <= spread <= 0.041]


def test_the_usual_daily_rule_fires_about_once_a_month_and_resolves_the_day_after(past: Past) -> None:
    results = [past.replayed("1d 8pp", year) for year in YEARS]

    assert [] == [result.episodes for result in results if not 8 <= result.episodes <= 14]
    assert all(result.lengths.count(1) >= 0.8 * result.episodes for result in results)


def test_the_usual_20_day_rule_fires_a_few_times_a_year(past: Past) -> None:
    fired = [past.replayed("20d 30pp", year).episodes for year in YEARS]

    assert 2 <= np.mean(fired) <= 5
    assert max(fired) <= 8


def test_a_drawdown_rule_on_60_percent_fires_in_even_years(past: Past) -> None:
    assert [1] * len(EVEN) == [past.replayed("drawdown 60%", year).episodes for year in EVEN]


def test_prices_stay_in_their_range(past: Past) -> None:
    assert 15 < past.aligned.etf.min()
    assert past.aligned.etf.max() < 150
    assert np.mean((past.aligned.etf > 20) & (past.aligned.etf < 100)) > 0.98
    assert 30_000 < past.aligned.crypto.min()
    assert past.aligned.crypto.max() < 150_000


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(BEGIN, id="at-the-beginning"),
        pytest.param(datetime(2026, 6, 18, 13, 29, 59, tzinfo=UTC), id="before-the-opening"),
        pytest.param(CLOSE, id="at-the-close"),
        pytest.param(datetime(2026, 6, 18, 20, 0, 1, tzinfo=UTC), id="after-the-close"),
        pytest.param(datetime(2026, 6, 21, 3, 0, tzinfo=UTC), id="on-a-sunday"),
        pytest.param(HALF_DAY_CLOSE, id="at-an-early-close"),
        pytest.param(datetime(2026, 11, 27, 19, 30, tzinfo=UTC), id="after-an-early-close"),
        pytest.param(END, id="at-the-end"),
    ],
)
async def test_out_of_the_session_the_quote_is_the_last_close(at: datetime) -> None:
    prices = await market(at).prices(WGMI, date(2020, 1, 1))
    sessions = sessions_between(date(2020, 12, 1), date(2041, 1, 31))
    last = sessions.last_closed(at)

    assert prices.quote is not None
    assert sessions.closes_at[last] == instant(prices.quote.at)
    if at > BEGIN:
        assert (sessions.days[last], prices.quote.price) == (prices.closes.sessions[-1], prices.closes.prices[-1])


@pytest.mark.parametrize(
    ("now", "quoted_at"),
    [
        pytest.param(OPEN, OPEN, id="at-the-opening"),
        pytest.param(OPEN + 59.9 * timedelta(seconds=1), OPEN, id="in-the-first-minute"),
        pytest.param(OPEN + 90 * MINUTE, OPEN + 90 * MINUTE, id="on-the-minute"),
        pytest.param(CLOSE - timedelta(microseconds=1), CLOSE - MINUTE, id="just-before-the-close"),
    ],
)
async def test_in_the_session_the_quote_is_the_price_of_the_last_whole_minute(
    now: datetime, quoted_at: datetime
) -> None:
    prices = await market(now).prices(WGMI, date(2026, 6, 1))

    assert prices.quote is not None
    assert quoted_at == prices.quote.at
    assert prices.closes.sessions[-1] == np.datetime64("2026-06-17"), "the open session has no close yet"


async def test_a_session_opens_with_the_first_quote_of_its_day() -> None:
    opened = (await market(OPEN).prices(WGMI, OPEN.date())).quote
    told = (await market(CLOSE).prices(WGMI, OPEN.date())).closes

    assert opened is not None
    assert told.prices[0] / opened.price - 1 == pytest.approx(told.known_inside[0], abs=1e-12)
    assert told.known_inside[0] != 0


async def test_the_etf_moves_within_the_session() -> None:
    clock = SetClock(OPEN)
    source = Simulated(clock)
    prices = []
    while clock.at <= CLOSE:
        quote = (await source.prices(WGMI, CLOSE.date())).quote
        prices.append(quote.price if quote else 0)
        clock.advance(MINUTE)

    assert 391 == len(prices)
    assert len(set(prices)) > 50
    assert max(abs(after / before - 1) for before, after in itertools.pairwise(prices)) < 0.02


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(OPEN, id="in-the-session"),
        pytest.param(CLOSE, id="at-the-close"),
        pytest.param(datetime(2026, 6, 21, 3, 7, tzinfo=UTC), id="on-a-sunday"),
        pytest.param(BEGIN + MINUTE, id="at-the-beginning"),
        pytest.param(END, id="at-the-end"),
    ],
)
async def test_a_bitcoin_quote_is_the_close_of_the_minute_that_has_just_ended(at: datetime) -> None:
    source = market(at + timedelta(seconds=42))

    quote = await source.quote(BTC)
    minute = await source.bars(BTC, MINUTE, at - MINUTE, at)

    assert (at, [quote.price]) == (quote.at, minute.closes.tolist())
    assert "SIMULATED" == quote.source


async def test_longer_bars_close_with_the_last_of_the_shorter_ones() -> None:
    source = market()
    start = CLOSE - timedelta(days=3)

    minutes = await source.bars(BTC, MINUTE, start, CLOSE)
    hours = await source.bars(BTC, HOUR, start, CLOSE)
    days = await source.bars(BTC, timedelta(days=1), start, CLOSE)

    assert minutes.closes[59::60].tolist() == hours.closes.tolist()
    assert hours.closes[27::24].tolist() == days.closes.tolist()
    assert 72 == len(hours)


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [
        pytest.param(OPEN, OPEN + HOUR, 0, id="no-whole-hour"),
        pytest.param(OPEN, OPEN + 90 * MINUTE, 1, id="one-whole-hour"),
        pytest.param(CLOSE, OPEN, 0, id="an-end-before-the-start"),
        pytest.param(datetime(2020, 1, 1, tzinfo=UTC), BEGIN + HOUR, 1, id="before-the-beginning"),
        pytest.param(END, END + timedelta(days=9), 0, id="after-the-clock"),
    ],
)
async def test_bars_are_whole_and_within_the_span(start: datetime, end: datetime, count: int) -> None:
    assert count == len(await market().bars(BTC, HOUR, start, end))


async def test_nothing_later_than_the_clock_is_told() -> None:
    source = market(CLOSE + 30 * MINUTE)

    bars = await source.bars(BTC, HOUR, CLOSE - HOUR, END)
    prices = await source.prices(WGMI, date(2026, 6, 1))

    assert [instant(CLOSE)] == bars.ended_at.tolist()
    assert np.datetime64("2026-06-18") == prices.closes.sessions[-1]


async def test_answers_do_not_depend_on_what_was_asked_before() -> None:
    asked, fresh = market(), market()
    for symbol in (ETH, BTC):
        await asked.bars(symbol, HOUR, BEGIN, BEGIN + timedelta(days=30))
    await asked.prices(MARA, date(2039, 1, 1))
    await asked.quote(BTC)

    whole = await asked.bars(BTC, HOUR, CLOSE - timedelta(days=9), CLOSE)
    part = await fresh.bars(BTC, HOUR, CLOSE - timedelta(days=1), CLOSE)
    closes = (await asked.prices(WGMI, date(2021, 1, 1))).closes
    recent = (await fresh.prices(WGMI, date(2026, 6, 1))).closes

    assert whole.closes[-24:].tolist() == part.closes.tolist()
    assert closes.prices[-len(recent) :].tolist() == recent.prices.tolist()


async def test_a_later_clock_does_not_change_the_past() -> None:
    then = (await market(CLOSE).prices(WGMI, date(2026, 1, 1))).closes
    now = (await market(END).prices(WGMI, date(2026, 1, 1))).closes

    assert then.prices.tolist() == now.prices[: len(then)].tolist()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param((1, WGMI, BTC), (2, WGMI, BTC), id="another-seed"),
        pytest.param((1, WGMI, BTC), (1, MARA, ETH), id="another-symbol"),
        pytest.param((1, MARA, ETH), (1, Symbol("RIOT"), Symbol("SOL")), id="two-others"),
    ],
)
async def test_seeds_and_symbols_have_paths_of_their_own(
    first: tuple[int, Symbol, Symbol], second: tuple[int, Symbol, Symbol]
) -> None:
    moves = []
    for seed, etf, crypto in (first, second):
        source = market(seed=seed)
        closes = (await source.prices(etf, date(2035, 1, 1))).closes.prices
        bars = (await source.bars(crypto, timedelta(days=1), datetime(2035, 1, 1, tzinfo=UTC), END)).closes
        moves.append((np.diff(np.log(closes)), np.diff(np.log(bars))))

    assert np.corrcoef(moves[0][0], moves[1][0])[0, 1] < 0.9
    assert abs(np.corrcoef(moves[0][1], moves[1][1])[0, 1]) < 0.2


async def test_any_other_miner_follows_the_simulated_bitcoin() -> None:
    source = market()
    closes = (await source.prices(MARA, date(2025, 1, 2))).closes
    aligned = align(
        WGMI_BTC,
        closes,
        await source.bars(BTC, HOUR, datetime(2025, 1, 1, tzinfo=UTC), END),
        sessions_between(date(2025, 1, 1), date(2041, 1, 1)),
    )

    assert np.corrcoef(np.diff(np.log(aligned.etf)), np.diff(np.log(aligned.crypto)))[0, 1] > 0.4


@pytest.mark.parametrize("seed", SEEDS)
async def test_miners_turn_to_what_moves_with_chips(seed: int) -> None:
    source = market(datetime(2026, 10, 1, tzinfo=UTC), seed=seed)
    etf, proxy = [(await source.prices(symbol, date(2023, 1, 3))).closes for symbol in (WGMI, AI_PROXY)]
    bars = await source.bars(BTC, HOUR, datetime(2023, 1, 1, tzinfo=UTC), END)
    aligned = align(WGMI_BTC, etf, bars, sessions_between(date(2023, 1, 1), date(2027, 1, 1)))
    read = beta_gauge(Legs.of(aligned, proxy))

    assert read is not None
    assert read.now.proxy.value > read.then.proxy.value + read.then.proxy.error
    assert 0.9 < read.now.proxy.value < 1.5


@pytest.mark.parametrize("at", [BEGIN - MINUTE, datetime(2041, 1, 1, tzinfo=UTC)])
async def test_outside_its_years_the_market_says_so(at: datetime) -> None:
    source = market(at)

    with pytest.raises(SourceError, match="runs from 2021 to 2040"):
        await source.prices(WGMI, date(2021, 1, 1))
    with pytest.raises(SourceError, match="runs from 2021 to 2040"):
        await source.bars(BTC, HOUR, BEGIN, END)
    with pytest.raises(SourceError, match="runs from 2021 to 2040") as caught:
        await source.quote(BTC)

    assert not caught.value.retryable


def test_the_simulated_market_says_what_it_is() -> None:
    usual, other = market(BEGIN), Simulated(SetClock(BEGIN), seed=7)

    assert ("SIMULATED", "SIMULATED 7", True) == (usual.name, other.name, Simulated.simulated)

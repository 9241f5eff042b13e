import asyncio
import itertools
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from services.core.errors import SourceError
from services.core.prices import AI_PROXY, WGMI_BTC, Symbol, to_datetime64
from services.core.sessions import sessions_between
from services.market.align import Aligned, align
from services.market.sources.simulated.market import SimulatedMarket
from services.research.attribution import Legs
from services.research.explain import rolling_betas
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


def market(at: datetime = END, seed: int = 1) -> SimulatedMarket:
    return SimulatedMarket(SetClock(at), seed=seed)


@dataclass(frozen=True)
class SimulatedHistory:
    """The whole simulated history of one seed, aligned."""

    aligned: Aligned

    def in_year(self, year: int) -> NDArray[np.bool_]:
        in_year: NDArray[np.bool_] = self.aligned.sessions.astype("datetime64[Y]") == np.datetime64(str(year), "Y")
        return in_year

    def etf_gain(self, year: int) -> float:
        return float(self.aligned.etf[self.in_year(year)][-1] / self.aligned.etf[self.in_year(year - 1)][-1] - 1)

    def max_drawdown(self, year: int) -> tuple[float, int, int]:
        """The largest drawdown from the year's running high, and the sessions of its high and low within the year."""
        prices = self.aligned.crypto[self.in_year(year)]
        fall = 1 - prices / np.maximum.accumulate(prices)
        low = int(np.argmax(fall))
        return float(fall[low]), int(np.argmax(prices[:low])), low

    def legs(self, year: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """One-session returns of ETF and bitcoin."""
        etf, crypto = self.aligned.etf, self.aligned.crypto
        in_year = self.in_year(year)[1:]
        return (np.diff(etf) / etf[:-1])[in_year], (np.diff(crypto) / crypto[:-1])[in_year]

    def replay_rule(self, rule: str, year: int) -> RuleReplay:
        [result] = replay(self.aligned, [parse_rule(rule)], first=date(year, 1, 1), last=date(year, 12, 31)).rules
        return result


@pytest.fixture(scope="module", params=SEEDS)
def history(request: pytest.FixtureRequest) -> SimulatedHistory:
    source = market(seed=request.param)
    closes = asyncio.run(source.prices(WGMI, BEGIN.date())).closes
    bars = asyncio.run(source.bars(BTC, HOUR, BEGIN, END))
    return SimulatedHistory(align(WGMI_BTC, closes, bars, sessions_between(BEGIN.date(), date(2041, 12, 31))))


def test_every_session_has_both_prices(history: SimulatedHistory) -> None:
    assert history.aligned.complete.all()
    assert () == history.aligned.exclusions


def test_in_even_years_bitcoin_makes_a_high_and_falls_60_percent_below_it(history: SimulatedHistory) -> None:
    falls = [history.max_drawdown(year) for year in EVEN]

    assert [] == [depth for depth, _high, _low in falls if not 0.60 <= depth <= 0.62]
    assert all(high < 90 < low for _depth, high, low in falls)


def test_each_high_is_an_all_time_high(history: SimulatedHistory) -> None:
    highs = [history.aligned.crypto[history.in_year(year)].max() for year in EVEN]

    assert sorted(highs) == highs
    assert all(history.aligned.crypto[history.in_year(year)].max() < highs[0] for year in ODD)


def test_in_even_years_the_etf_ends_90_percent_higher(history: SimulatedHistory) -> None:
    gains = [history.etf_gain(year) for year in EVEN]

    assert [] == [gain for gain in gains if not 0.85 <= gain <= 0.95]


def test_in_odd_years_bitcoin_recovers_and_the_etf_ends_where_its_two_years_began(history: SimulatedHistory) -> None:
    bitcoin = [history.aligned.crypto[history.in_year(year)] for year in ODD]
    etf = [(1 + history.etf_gain(year - 1)) * (1 + history.etf_gain(year)) for year in ODD]

    assert all(prices[-1] > 1.3 * prices[0] for prices in bitcoin)
    assert [] == [both for both in etf if abs(both - 1) > 0.1]


def test_in_odd_years_the_etf_moves_with_bitcoin(history: SimulatedHistory) -> None:
    legs = [history.legs(year) for year in ODD]
    etf, crypto = np.concatenate([leg[0] for leg in legs]), np.concatenate([leg[1] for leg in legs])

    beta = np.cov(etf, crypto)[0, 1] / np.var(crypto, ddof=1)

    assert 1.0 < beta < 1.2


def test_the_spread_is_as_noisy_as_the_real_one(history: SimulatedHistory) -> None:
    spreads = [np.std(np.subtract(*history.legs(year))) for year in YEARS]

    assert [] == [spread for spread in spreads if not 0.03 <= spread <= 0.041]


def test_the_usual_daily_rule_fires_about_once_a_month_and_resolves_the_day_after(history: SimulatedHistory) -> None:
    results = [history.replay_rule("1d 8pp", year) for year in YEARS]

    assert [] == [result.episodes for result in results if not 8 <= result.episodes <= 14]
    assert all(result.episode_lengths.count(1) >= 0.8 * result.episodes for result in results)


def test_the_usual_20_day_rule_fires_a_few_times_a_year(history: SimulatedHistory) -> None:
    fired = [history.replay_rule("20d 30pp", year).episodes for year in YEARS]

    assert 2 <= np.mean(fired) <= 5
    assert max(fired) <= 8


def test_a_drawdown_rule_on_60_percent_fires_in_even_years(history: SimulatedHistory) -> None:
    assert [1] * len(EVEN) == [history.replay_rule("drawdown 60%", year).episodes for year in EVEN]


def test_prices_stay_in_their_range(history: SimulatedHistory) -> None:
    assert 15 < history.aligned.etf.min()
    assert history.aligned.etf.max() < 150
    assert np.mean((history.aligned.etf > 20) & (history.aligned.etf < 100)) > 0.98
    assert 30_000 < history.aligned.crypto.min()
    assert history.aligned.crypto.max() < 150_000


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
async def test_outside_the_session_the_quote_is_the_last_close(at: datetime) -> None:
    prices = await market(at).prices(WGMI, at.date() - timedelta(days=14))
    sessions = sessions_between(date(2020, 12, 1), date(2041, 1, 31))
    last = sessions.last_closed(at)

    assert prices.quote is not None
    assert sessions.closes_at[last] == to_datetime64(prices.quote.at)
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
async def test_in_the_session_the_quote_is_the_last_whole_minutes_price(now: datetime, quoted_at: datetime) -> None:
    prices = await market(now).prices(WGMI, date(2026, 6, 1))

    assert prices.quote is not None
    assert quoted_at == prices.quote.at
    assert prices.closes.sessions[-1] == np.datetime64("2026-06-17"), "the open session has no close yet"


async def test_a_session_opens_with_the_first_quote_of_its_day() -> None:
    opened = (await market(OPEN).prices(WGMI, OPEN.date())).quote
    closes = (await market(CLOSE).prices(WGMI, OPEN.date())).closes

    assert opened is not None
    assert closes.prices[0] / opened.price - 1 == pytest.approx(closes.known_open_to_close[0], abs=1e-12)
    assert closes.known_open_to_close[0] != 0


async def test_the_etf_moves_within_the_session() -> None:
    clock = SetClock(OPEN)
    source = SimulatedMarket(clock)
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
async def test_a_bitcoin_quote_is_the_close_of_the_last_minute(at: datetime) -> None:
    source = market(at + timedelta(seconds=42))

    quote = await source.quote(BTC)
    minute = await source.bars(BTC, MINUTE, at - MINUTE, at)

    assert (at, [quote.price]) == (quote.at, minute.closes.tolist())
    assert "SIMULATED" == quote.source


async def test_longer_bars_close_with_their_last_shorter_bar() -> None:
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
async def test_bars_are_complete_and_within_the_range(start: datetime, end: datetime, count: int) -> None:
    assert count == len(await market().bars(BTC, HOUR, start, end))


async def test_nothing_later_than_the_clock_is_returned() -> None:
    source = market(CLOSE + 30 * MINUTE)

    bars = await source.bars(BTC, HOUR, CLOSE - HOUR, END)
    prices = await source.prices(WGMI, date(2026, 6, 1))

    assert [to_datetime64(CLOSE)] == bars.ended_at.tolist()
    assert np.datetime64("2026-06-18") == prices.closes.sessions[-1]


async def test_results_do_not_depend_on_earlier_requests() -> None:
    asked, fresh = market(CLOSE), market(CLOSE)
    for symbol in (ETH, BTC):
        await asked.bars(symbol, HOUR, BEGIN, BEGIN + timedelta(days=30))
    await asked.prices(MARA, date(2025, 1, 1))
    await asked.quote(BTC)

    whole = await asked.bars(BTC, HOUR, CLOSE - timedelta(days=9), CLOSE)
    part = await fresh.bars(BTC, HOUR, CLOSE - timedelta(days=1), CLOSE)
    closes = (await asked.prices(WGMI, date(2025, 1, 1))).closes
    recent = (await fresh.prices(WGMI, date(2026, 6, 1))).closes

    assert whole.closes[-24:].tolist() == part.closes.tolist()
    assert closes.prices[-len(recent) :].tolist() == recent.prices.tolist()


async def test_a_later_clock_does_not_change_the_past() -> None:
    then = (await market(CLOSE).prices(WGMI, date(2026, 1, 1))).closes
    now = (await market(CLOSE.replace(year=2027)).prices(WGMI, date(2026, 1, 1))).closes

    assert then.prices.tolist() == now.prices[: len(then)].tolist()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param((1, WGMI, BTC), (2, WGMI, BTC), id="another-seed"),
        pytest.param((1, WGMI, BTC), (1, MARA, ETH), id="another-symbol"),
        pytest.param((1, MARA, ETH), (1, Symbol("RIOT"), Symbol("SOL")), id="two-others"),
    ],
)
async def test_each_seed_and_symbol_has_its_own_path(
    first: tuple[int, Symbol, Symbol], second: tuple[int, Symbol, Symbol]
) -> None:
    moves = []
    for seed, etf, crypto in (first, second):
        source = market(datetime(2036, 12, 31, tzinfo=UTC), seed=seed)
        closes = (await source.prices(etf, date(2035, 1, 1))).closes.prices
        bars = (await source.bars(crypto, timedelta(days=1), datetime(2035, 1, 1, tzinfo=UTC), END)).closes
        moves.append((np.diff(np.log(closes)), np.diff(np.log(bars))))

    assert np.corrcoef(moves[0][0], moves[1][0])[0, 1] < 0.9
    assert abs(np.corrcoef(moves[0][1], moves[1][1])[0, 1]) < 0.2


async def test_any_other_miner_follows_the_simulated_bitcoin() -> None:
    source = market(datetime(2027, 12, 31, tzinfo=UTC))
    closes = (await source.prices(MARA, date(2025, 1, 2))).closes
    aligned = align(
        WGMI_BTC,
        closes,
        await source.bars(BTC, HOUR, datetime(2025, 1, 1, tzinfo=UTC), END),
        sessions_between(date(2025, 1, 1), date(2028, 1, 1)),
    )

    assert np.corrcoef(np.diff(np.log(aligned.etf)), np.diff(np.log(aligned.crypto)))[0, 1] > 0.4


@pytest.mark.parametrize("seed", SEEDS)
async def test_miners_move_more_with_chips_each_year(seed: int) -> None:
    source = market(datetime(2026, 10, 1, tzinfo=UTC), seed=seed)
    etf, proxy = [(await source.prices(symbol, date(2023, 1, 3))).closes for symbol in (WGMI, AI_PROXY)]
    bars = await source.bars(BTC, HOUR, datetime(2023, 1, 1, tzinfo=UTC), END)
    aligned = align(WGMI_BTC, etf, bars, sessions_between(date(2023, 1, 1), date(2027, 1, 1)))
    read = rolling_betas(Legs.of(aligned, proxy))

    assert read is not None
    assert read.last.proxy.value > read.first.proxy.value + (read.first.proxy.error or np.inf)
    assert 0.9 < read.last.proxy.value < 1.5


@pytest.mark.parametrize("at", [BEGIN - MINUTE, datetime(2041, 1, 1, tzinfo=UTC)])
async def test_a_time_outside_its_years_is_an_error(at: datetime) -> None:
    source = market(at)

    with pytest.raises(SourceError, match="runs from 2021 to 2040"):
        await source.prices(WGMI, date(2021, 1, 1))
    with pytest.raises(SourceError, match="runs from 2021 to 2040"):
        await source.bars(BTC, HOUR, BEGIN, END)
    with pytest.raises(SourceError, match="runs from 2021 to 2040") as caught:
        await source.quote(BTC)

    assert not caught.value.retryable


def test_the_simulated_market_is_marked_as_simulated() -> None:
    usual, other = market(BEGIN), SimulatedMarket(SetClock(BEGIN), seed=7)

    assert ("SIMULATED", "SIMULATED 7", True) == (usual.name, other.name, SimulatedMarket.simulated)

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import httpx
import numpy as np
import pytest

from services.core.prices import Symbol
from services.core.reason import Code
from services.market.consensus.corporate_actions import DeclaredActions
from services.market.feeds.crypto import CoinFeed, CoinFeeds
from services.market.feeds.equities import EquityFeed, EquityFeeds
from services.market.feeds.freshness import HISTORY_START
from services.market.ports import CryptoSource, EquityPrices, EquitySource
from services.market.sources.simulated.market import SimulatedMarket
from services.storage import SqlStore
from tests.fakes.clock import SetClock
from tests.fakes.market import CALENDAR
from tests.fakes.reasons import reason
from tests.fakes.store_snapshots import open_snapshot
from tests.fakes.vendors import Vendors

WGMI, IBIT, BTC = Symbol("WGMI"), Symbol("IBIT"), Symbol("BTC")
OPEN = datetime(2026, 3, 4, 14, 30, tzinfo=UTC)
IN_SESSION = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)
CLOSE = datetime(2026, 3, 4, 21, 0, tzinfo=UTC)
TODAY = date(2026, 3, 4)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    store = await open_snapshot()
    yield store
    await store.aclose()


class Feeds:
    """One share source and one coin source."""

    def __init__(self, equity: EquitySource, crypto: CryptoSource, store: SqlStore) -> None:
        self.shares, self.coins = EquityFeeds(equity, store), CoinFeeds(crypto, store)

    async def etf(self, symbol: Symbol, now: datetime) -> EquityFeed:
        return await self.shares.read(symbol, now, CALENDAR)

    async def coin(self, symbol: Symbol, now: datetime) -> CoinFeed:
        return await self.coins.read(symbol, now)


class RateLimitedYahoo:
    """Yahoo with a minimum interval of three minutes between requests, and with volumes in its closes."""

    name, simulated, min_interval = "Yahoo", False, timedelta(minutes=3)

    def __init__(self, yahoo: EquitySource, volume: float) -> None:
        self.yahoo, self.volume = yahoo, volume
        self.asked = list[Symbol]()

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        self.asked.append(symbol)
        answer = await self.yahoo.prices(symbol, since)
        return replace(answer, closes=replace(answer.closes, volumes=np.full(len(answer.closes), self.volume)))


def make_feeds(vendors: Vendors, store: SqlStore) -> Feeds:
    return Feeds(vendors.yahoo(), vendors.coinbase(), store)


async def test_the_first_start_fetches_and_stores_the_whole_lookback(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))

    etf = await make_feeds(vendors, store).etf(WGMI, IN_SESSION)
    coin = await make_feeds(vendors, store).coin(BTC, IN_SESSION)

    assert len(etf.closes) > 2 * 252
    assert np.datetime64("2026-03-04T16:00") == coin.bars.ended_at[-1]
    assert len(etf.closes) == len(await store.load_closes(WGMI, "Yahoo", date(2020, 1, 1)))
    assert len(coin.bars) == len(
        await store.load_bars(BTC, "Coinbase", timedelta(hours=1), datetime(2020, 1, 1, tzinfo=UTC))
    )


async def test_a_restart_fetches_only_the_last_sessions(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    first = make_feeds(vendors, store)
    await first.etf(WGMI, IN_SESSION)
    await first.coin(BTC, IN_SESSION)
    vendors.requests.clear()

    later = vendors.clock.advance(timedelta(hours=1))
    again = make_feeds(vendors, store)
    etf, coin = await again.etf(WGMI, later), await again.coin(BTC, later)

    assert len(etf.closes) > 2 * 252
    assert np.datetime64("2026-03-04T17:00") == coin.bars.ended_at[-1]
    (chart,) = vendors.calls("chart")
    assert timedelta(days=9) > later - datetime.fromtimestamp(int(chart.url.params["period1"]), UTC)
    (candles,) = vendors.calls("candles")
    assert "2026-03-04T14:00:00Z" == candles.url.params["start"]


async def test_a_restart_fetches_what_an_earlier_answer_left_out(store: SqlStore) -> None:
    """One page of bars is empty, and one close is missing from a chart; neither is an error."""
    vendors = Vendors(SetClock(IN_SESSION), no_trade_sessions={date(2026, 1, 20)})
    vendors.faults["coinbase candles"] = [*[None] * 40, httpx.Response(200, json=[])]
    first = make_feeds(vendors, store)
    await first.etf(WGMI, IN_SESSION)
    incomplete = (await first.coin(BTC, IN_SESSION)).bars
    vendors.no_trade_sessions.clear()
    vendors.requests.clear()

    later = vendors.clock.advance(timedelta(hours=1))
    again = make_feeds(vendors, store)
    closes, bars = (await again.etf(WGMI, later)).closes, (await again.coin(BTC, later)).bars

    assert np.timedelta64(301, "h") == np.diff(incomplete.opened_at).max()
    assert {np.timedelta64(1, "h")} == set(np.diff(bars.opened_at).tolist())
    assert np.datetime64("2026-01-20") in closes.sessions
    assert (1, 2) == (len(vendors.calls("chart")), len(vendors.calls("candles")))


async def test_the_price_of_the_open_session_is_a_quote_and_not_a_close(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION), etf_last=(25.0, IN_SESSION))

    etf = await make_feeds(vendors, store).etf(WGMI, IN_SESSION)

    assert date(2026, 3, 3) == etf.closes.sessions[-1].astype(object)
    assert etf.quote is not None
    assert (25.0, IN_SESSION) == (etf.quote.price, etf.quote.at)


@pytest.mark.parametrize(
    ("after", "last_trade", "expected"),
    [
        pytest.param(timedelta(minutes=1), timedelta(minutes=-2), date(2026, 3, 3), id="the last trade is still older"),
        pytest.param(timedelta(minutes=1), timedelta(0), TODAY, id="the vendor's clock has passed the close"),
        pytest.param(timedelta(minutes=15), timedelta(minutes=-20), TODAY, id="a thin close has settled"),
        pytest.param(
            timedelta(minutes=16),
            timedelta(minutes=-21),
            date(2026, 3, 3),
            id="a frozen trade does not confirm the close",
        ),
        pytest.param(timedelta(minutes=120), timedelta(minutes=-21), TODAY, id="the maximum wait is over"),
    ],
)
async def test_a_close_is_final_once_the_vendors_clock_has_passed_it(
    store: SqlStore, after: timedelta, last_trade: timedelta, expected: date
) -> None:
    vendors = Vendors(SetClock(CLOSE + after), etf_last=(25.0, CLOSE + last_trade))

    etf = await make_feeds(vendors, store).etf(WGMI, CLOSE + after)

    assert expected == etf.closes.sessions[-1].astype(object)


async def test_out_of_hours_the_etf_is_fetched_once(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(hours=1)))
    feeds = make_feeds(vendors, store)

    for _ in range(3):
        await feeds.etf(WGMI, vendors.clock.advance(MINUTE))

    assert 1 == len(vendors.calls("chart"))


async def test_an_hour_after_the_close_it_is_fetched_again_once(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(minutes=20)))
    feeds = make_feeds(vendors, store)
    await feeds.etf(WGMI, vendors.clock.at)
    vendors.etf_moves[TODAY] = 23.0
    vendors.requests.clear()

    asked = [await feeds.etf(WGMI, vendors.clock.advance(timedelta(minutes=20))) for _ in range(6)]

    assert 23.0 == asked[-1].closes.prices[-1]
    assert 1 == len(vendors.calls("chart"))


async def test_an_older_trade_from_a_cache_does_not_replace_a_newer_one(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION), etf_last=(25.0, IN_SESSION))
    feeds = make_feeds(vendors, store)
    await feeds.etf(WGMI, IN_SESSION)

    vendors.etf_last = (20.0, IN_SESSION - timedelta(days=1))
    etf = await feeds.etf(WGMI, vendors.clock.advance(MINUTE))

    assert etf.quote is not None
    assert (25.0, IN_SESSION) == (etf.quote.price, etf.quote.at)


async def test_a_trade_in_the_future_is_rejected(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION), etf_last=(25.0, IN_SESSION + timedelta(minutes=2)))

    etf = await make_feeds(vendors, store).etf(WGMI, IN_SESSION)

    assert (
        None,
        reason(
            Code.SOURCE_FAULT,
            fault=reason(Code.TRADE_AHEAD_OF_CLOCK, at="2026-03-04T16:02:00+00:00"),
            source="Yahoo",
            symbol="WGMI",
        ),
    ) == (etf.quote, etf.problem)


async def test_closes_of_a_source_without_last_trades_settle_by_the_clock(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(minutes=1)), last_trade_known=False)
    feeds = make_feeds(vendors, store)

    early = await feeds.etf(WGMI, vendors.clock.at)
    late = await feeds.etf(WGMI, vendors.clock.advance(timedelta(minutes=14)))

    assert [date(2026, 3, 3), TODAY] == [feed.closes.sessions[-1].astype(object) for feed in (early, late)]
    assert (None, None) == (early.quote, late.quote)


async def test_an_answer_without_a_last_trade_keeps_the_known_one(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION), etf_last=(25.0, IN_SESSION))
    feeds = make_feeds(vendors, store)
    before = await feeds.etf(WGMI, IN_SESSION)

    vendors.last_trade_known = False
    after = await feeds.etf(WGMI, vendors.clock.advance(MINUTE))

    assert before.quote == after.quote is not None


async def test_an_unknown_symbol_uses_no_memory(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = make_feeds(vendors, store)
    vendors.faults["yahoo"] = [httpx.Response(404)] * 50

    for number in range(50):
        await feeds.etf(Symbol(f"NONE{number}"), IN_SESSION)

    assert (0, 0) == (len(feeds.shares._known), len(feeds.shares._locks))  # noqa: SLF001 -- memory is what this is about


async def test_each_simulated_market_has_its_own_prices(store: SqlStore) -> None:
    clock = SetClock(IN_SESSION)
    markets = [SimulatedMarket(clock, seed=seed) for seed in (1, 7, 1)]

    first, other, again = [
        (await Feeds(market, market, store).etf(WGMI, IN_SESSION)).closes.prices.tolist() for market in markets
    ]

    assert first == again != other


async def test_a_split_replaces_all_old_prices(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = make_feeds(vendors, store)
    before = (await feeds.etf(WGMI, IN_SESSION)).closes

    vendors.etf_scale, vendors.etf_since = 0.1, before.sessions[9].astype(object)
    after = (await feeds.etf(WGMI, vendors.clock.advance(MINUTE))).closes

    assert after.prices.max() < 3
    assert after.prices.tolist() == (await store.load_closes(WGMI, "Yahoo", date(2000, 1, 1))).prices.tolist()


async def test_bitcoin_bars_are_fetched_hourly_and_the_last_trade_on_every_read(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = make_feeds(vendors, store)
    await feeds.coin(BTC, IN_SESSION)
    vendors.requests.clear()

    for _ in range(61):
        await feeds.coin(BTC, vendors.clock.advance(timedelta(minutes=1)))

    assert (1, 61) == (len(vendors.calls("candles")), len(vendors.calls("ticker")))


async def test_a_close_that_the_vendor_corrects_is_corrected_in_the_store(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = make_feeds(vendors, store)
    await feeds.etf(WGMI, IN_SESSION)

    vendors.etf_moves[date(2026, 3, 2)] = 20.5
    etf = await feeds.etf(WGMI, vendors.clock.advance(MINUTE))

    assert 20.5 == etf.closes.prices[etf.closes.sessions == np.datetime64("2026-03-02")][0]
    stored = await store.load_closes(WGMI, "Yahoo", date(2026, 3, 2))
    assert 20.5 == stored.prices[0]


@pytest.mark.parametrize("scale", [pytest.param(0.1, id="10 for 1"), pytest.param(10 / 11, id="11 for 10")])
async def test_a_split_refetches_the_whole_history(store: SqlStore, scale: float) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = make_feeds(vendors, store)
    before = (await feeds.etf(WGMI, IN_SESSION)).closes.prices.copy()

    vendors.etf_scale = scale
    after = (await feeds.etf(WGMI, vendors.clock.advance(MINUTE))).closes

    np.testing.assert_allclose(after.prices, before * scale)
    stored = await store.load_closes(WGMI, "Yahoo", date(2020, 1, 1))
    np.testing.assert_allclose(stored.prices, before * scale)


async def test_a_failing_vendor_keeps_its_known_data_and_a_problem(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = make_feeds(vendors, store)
    known = len((await feeds.etf(WGMI, IN_SESSION)).closes)
    vendors.faults["yahoo"] = [httpx.Response(429, text="Too Many Requests\r\n")]

    failed = await feeds.etf(WGMI, vendors.clock.advance(MINUTE))

    assert (known, "Yahoo (WGMI): throttled") == (len(failed.closes), str(failed.problem)[:23])
    recovered = await feeds.etf(WGMI, vendors.clock.advance(timedelta(minutes=16)))
    assert recovered.problem is None


async def test_an_interrupted_first_fetch_resumes(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    vendors.faults["coinbase"] = [None] * 8 + [httpx.Response(404, json={"message": "NotFound"})]
    feeds = make_feeds(vendors, store)

    problem = (await feeds.coin(BTC, IN_SESSION)).problem
    vendors.requests.clear()
    whole = await feeds.coin(BTC, vendors.clock.advance(MINUTE))

    assert "check the spelling" in str(problem)
    assert (
        "2023-10-30T22:00:00Z" == vendors.calls("candles")[0].url.params["start"]
    )  # two hours before the interruption
    assert (None, True) == (whole.problem, len(whole.bars) > 21_000)


async def test_simulated_and_real_prices_are_never_mixed(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    simulated = Feeds(SimulatedMarket(vendors.clock), SimulatedMarket(vendors.clock), store)
    simulated_closes = (await simulated.etf(WGMI, IN_SESSION)).closes
    await simulated.coin(BTC, IN_SESSION)

    real = make_feeds(vendors, store)
    etf, coin = await real.etf(WGMI, IN_SESSION), await real.coin(BTC, IN_SESSION)

    assert ("SIMULATED", "Yahoo", "Coinbase") == (simulated_closes.source, etf.closes.source, coin.bars.source)
    assert etf.closes.prices.max() < 21
    assert coin.bars.closes.max() < 51_000
    again = Feeds(SimulatedMarket(vendors.clock), SimulatedMarket(vendors.clock), store)
    assert simulated_closes.prices.tolist() == (await again.etf(WGMI, IN_SESSION)).closes.prices.tolist()


async def test_unchanged_closes_are_not_saved_again(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = make_feeds(vendors, store)
    before = (await feeds.etf(WGMI, IN_SESSION)).closes

    after = (await feeds.etf(WGMI, vendors.clock.advance(MINUTE))).closes

    assert before is after


async def test_a_volume_that_arrives_later_updates_the_close(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(hours=1)))
    feeds = EquityFeeds(RateLimitedYahoo(vendors.yahoo(), 0.0), store)
    before = await feeds.read(WGMI, vendors.clock.at, CALENDAR)

    feeds.source = RateLimitedYahoo(vendors.yahoo(), 500.0)
    after = await feeds.read(WGMI, vendors.clock.advance(timedelta(days=1)), CALENDAR)
    stored = await store.load_closes(WGMI, "Yahoo", TODAY)

    assert 0.0 == before.closes.known_volumes[-1]
    assert TODAY == after.closes.sessions[-2].astype(object)
    assert 500.0 == after.closes.known_volumes[-2] == stored.known_volumes[0]


async def test_a_stored_history_without_openings_is_fetched_again(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(hours=1)))
    answer = await vendors.yahoo().prices(WGMI, HISTORY_START)
    await store.save_closes(replace(answer.closes, open_to_close=None), vendors.clock.at)

    read = await EquityFeeds(vendors.yahoo(), store).read(WGMI, vendors.clock.at, CALENDAR)
    stored = await store.load_closes(WGMI, "Yahoo", HISTORY_START)

    for closes in (read.closes, stored):
        np.testing.assert_allclose(closes.known_open_to_close, np.full(len(answer.closes), 0.01), rtol=1e-9)
    assert [] == await store.revisions(WGMI, 1)


async def test_a_database_with_the_last_years_only_gets_all_sessions_since_the_listing_in_one_call(
    store: SqlStore,
) -> None:
    vendors = Vendors(SetClock(IN_SESSION), etf_since=date(2022, 2, 8))
    answer, recent = await vendors.yahoo().prices(WGMI, date(2023, 8, 17)), date(2023, 8, 17)
    declared = DeclaredActions(source="Yahoo", since=recent, actions=answer.actions)
    await store.save_closes(answer.closes, IN_SESSION, declared)
    vendors.requests.clear()

    closes = (await make_feeds(vendors, store).etf(WGMI, IN_SESSION)).closes
    again = (await make_feeds(vendors, store).etf(WGMI, vendors.clock.advance(timedelta(hours=1)))).closes

    assert [np.datetime64("2022-02-08")] * 2 == [closes.sessions[0], again.sessions[0]]
    first, second = (int(call.url.params["period1"]) for call in vendors.calls("chart"))
    assert ("1d", 2010) == (vendors.calls("chart")[0].url.params["interval"], datetime.fromtimestamp(first, UTC).year)
    assert timedelta(days=9) > vendors.clock.at - datetime.fromtimestamp(second, UTC)


async def test_a_share_that_was_another_business_before_a_merger_begins_after_it(store: SqlStore) -> None:
    closes = (await make_feeds(Vendors(SetClock(IN_SESSION)), store).etf(Symbol("WULF"), IN_SESSION)).closes
    assert np.datetime64("2021-12-14") == closes.sessions[0]


async def test_requests_to_a_source_with_a_small_quota_are_spaced(store: SqlStore) -> None:
    """Read two shares every minute of a whole session; no request exceeds the quota."""
    vendors = Vendors(SetClock(OPEN), etf_last=(20.0, OPEN))
    source = RateLimitedYahoo(vendors.yahoo(), 500.0)
    feeds = EquityFeeds(source, store)
    for symbol in (WGMI, IBIT):
        await feeds.read(symbol, OPEN, CALENDAR)
    source.asked.clear()

    for minute in range(1, 391):
        now = vendors.clock.at = OPEN + minute * MINUTE
        vendors.etf_last = (20.0, now)
        feeds_read = [await feeds.read(symbol, now, CALENDAR) for symbol in (WGMI, IBIT)]
        assert [None, None] == [feed.problem for feed in feeds_read]
        assert all(feed.quote is not None and feed.quote.age(now) < timedelta(minutes=6) for feed in feeds_read)

    assert {WGMI: 65, IBIT: 65} == {symbol: source.asked.count(symbol) for symbol in (WGMI, IBIT)}


async def test_a_share_requested_once_frees_its_quota_after_an_hour(store: SqlStore) -> None:
    vendors = Vendors(SetClock(OPEN), etf_last=(20.0, OPEN))
    source = RateLimitedYahoo(vendors.yahoo(), 500.0)
    feeds = EquityFeeds(source, store)
    for symbol in (WGMI, IBIT):
        await feeds.read(symbol, OPEN, CALENDAR)
    source.asked.clear()

    asked = []
    for minute in range(1, 121):
        now = vendors.clock.at = OPEN + minute * MINUTE
        vendors.etf_last = (20.0, now)
        await feeds.read(WGMI, now, CALENDAR)
        asked.append(len(source.asked))

    assert (9, 20) == (asked[58], asked[118] - asked[58])


async def test_the_last_trade_is_fetched_even_if_the_bars_fail(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = make_feeds(vendors, store)
    await feeds.coin(BTC, IN_SESSION)
    vendors.faults["coinbase candles"] = [httpx.Response(404, json={"message": "NotFound"})]

    coin = await feeds.coin(BTC, vendors.clock.advance(timedelta(hours=1)))

    assert coin.quote is not None
    assert vendors.clock.at == coin.quote.at
    assert "Coinbase (BTC)" in str(coin.problem)


async def test_stored_history_is_never_dropped(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = make_feeds(vendors, store)
    first, before = (await feeds.etf(WGMI, IN_SESSION)).closes, (await feeds.coin(BTC, IN_SESSION)).bars

    later = vendors.clock.advance(timedelta(days=500))
    await feeds.etf(WGMI, later)
    await feeds.coin(BTC, later)
    again = make_feeds(vendors, store)
    etf, coin = await again.etf(WGMI, later), await again.coin(BTC, later)

    assert (first.sessions[0], before.opened_at[0]) == (etf.closes.sessions[0], coin.bars.opened_at[0])


async def test_concurrent_reads_share_one_fetch(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(hours=1)))
    feeds = make_feeds(vendors, store)

    await asyncio.gather(*(feeds.etf(WGMI, vendors.clock.at) for _ in range(5)))
    bars = await asyncio.gather(*(feeds.coin(BTC, vendors.clock.at) for _ in range(5)))

    assert 1 == len(vendors.calls("chart"))
    pages = [request.url.params["start"] for request in vendors.calls("candles")]
    assert len(pages) == len(set(pages))
    assert len({id(feed) for feed in bars}) == 1


async def test_after_a_restart_at_night_the_last_trade_is_fetched(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(hours=1)))
    await make_feeds(vendors, store).etf(WGMI, vendors.clock.at)

    again = await make_feeds(vendors, store).etf(WGMI, vendors.clock.at)

    assert again.quote is not None


@pytest.mark.parametrize(
    "day", [pytest.param(date(2026, 2, 24), id="oldest"), pytest.param(date(2026, 3, 2), id="newer")]
)
async def test_a_correction_of_a_tenth_is_not_a_split(store: SqlStore, day: date) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = make_feeds(vendors, store)
    await feeds.etf(WGMI, IN_SESSION)
    vendors.requests.clear()

    vendors.etf_moves[day] = 22.0
    await feeds.etf(WGMI, vendors.clock.advance(MINUTE))
    vendors.etf_moves[day] = 30.0
    await feeds.etf(WGMI, vendors.clock.advance(MINUTE))

    assert 3 == len(vendors.calls("chart"))  # one for the correction, two for what looks like a split

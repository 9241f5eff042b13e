import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import httpx
import numpy as np
import pytest

from services.core.prices import Symbol
from services.market.feeds.crypto import CoinFeed, CoinFeeds
from services.market.feeds.equities import EquityFeed, EquityFeeds
from services.market.feeds.freshness import BEGINNING, oldest_needed
from services.market.ports import CryptoSource, EquityPrices, EquitySource
from services.market.sources.simulated.market import Simulated
from services.storage import SqlStore
from tests.fakes.clock import SetClock
from tests.fakes.market import CALENDAR
from tests.fakes.vendors import Vendors

WGMI, IBIT, BTC = Symbol("WGMI"), Symbol("IBIT"), Symbol("BTC")
OPEN = datetime(2026, 3, 4, 14, 30, tzinfo=UTC)
IN_SESSION = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)
CLOSE = datetime(2026, 3, 4, 21, 0, tzinfo=UTC)
TODAY = date(2026, 3, 4)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    store = await SqlStore.open("sqlite://")
    yield store
    await store.aclose()


class Feeds:
    """One source of shares and one of coins."""

    def __init__(self, equity: EquitySource, crypto: CryptoSource, store: SqlStore) -> None:
        self.shares, self.coins = EquityFeeds(equity, store), CoinFeeds(crypto, store)

    async def etf(self, symbol: Symbol, now: datetime) -> EquityFeed:
        return await self.shares.read(symbol, now, CALENDAR)

    async def coin(self, symbol: Symbol, now: datetime) -> CoinFeed:
        return await self.coins.read(symbol, now)


class Unhurried:
    """Yahoo as a source that allows a call every three minutes, and that knows the volumes of its closes."""

    name, simulated, spacing = "Yahoo", False, timedelta(minutes=3)

    def __init__(self, yahoo: EquitySource, volume: float) -> None:
        self.yahoo, self.volume = yahoo, volume
        self.asked = list[Symbol]()

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        self.asked.append(symbol)
        told = await self.yahoo.prices(symbol, since)
        return replace(told, closes=replace(told.closes, volumes=np.full(len(told.closes), self.volume)))


def the_feeds(vendors: Vendors, store: SqlStore) -> Feeds:
    return Feeds(vendors.yahoo(), vendors.coinbase(), store)


async def test_the_first_start_fetches_all_that_the_windows_need_and_keeps_it(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))

    etf = await the_feeds(vendors, store).etf(WGMI, IN_SESSION)
    coin = await the_feeds(vendors, store).coin(BTC, IN_SESSION)

    assert len(etf.closes) > 2 * 252
    assert np.datetime64("2026-03-04T16:00") == coin.bars.ended_at[-1]
    assert len(etf.closes) == len(await store.load_closes(WGMI, "Yahoo", date(2020, 1, 1)))
    assert len(coin.bars) == len(
        await store.load_bars(BTC, "Coinbase", timedelta(hours=1), datetime(2020, 1, 1, tzinfo=UTC))
    )


async def test_a_restart_fetches_only_the_last_sessions(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    first = the_feeds(vendors, store)
    await first.etf(WGMI, IN_SESSION)
    await first.coin(BTC, IN_SESSION)
    vendors.requests.clear()

    later = vendors.clock.advance(timedelta(hours=1))
    again = the_feeds(vendors, store)
    etf, coin = await again.etf(WGMI, later), await again.coin(BTC, later)

    assert len(etf.closes) > 2 * 252
    assert np.datetime64("2026-03-04T17:00") == coin.bars.ended_at[-1]
    (chart,) = vendors.calls("chart")
    assert timedelta(days=9) > later - datetime.fromtimestamp(int(chart.url.params["period1"]), UTC)
    (candles,) = vendors.calls("candles")
    assert "2026-03-04T14:00:00Z" == candles.url.params["start"]


async def test_what_a_first_start_was_not_given_a_later_one_asks_for_again(store: SqlStore) -> None:
    """A page of bars comes back empty, and a chart without one of its closes; neither is an error."""
    vendors = Vendors(SetClock(IN_SESSION), shut={date(2026, 1, 20)})
    vendors.faults["coinbase candles"] = [*[None] * 40, httpx.Response(200, json=[])]
    first = the_feeds(vendors, store)
    await first.etf(WGMI, IN_SESSION)
    torn = (await first.coin(BTC, IN_SESSION)).bars
    vendors.shut.clear()
    vendors.requests.clear()

    later = vendors.clock.advance(timedelta(hours=1))
    again = the_feeds(vendors, store)
    closes, bars = (await again.etf(WGMI, later)).closes, (await again.coin(BTC, later)).bars

    assert np.timedelta64(301, "h") == np.diff(torn.opened_at).max()
    assert {np.timedelta64(1, "h")} == set(np.diff(bars.opened_at).tolist())
    assert np.datetime64("2026-01-20") in closes.sessions
    assert (1, 2) == (len(vendors.calls("chart")), len(vendors.calls("candles")))


async def test_the_price_of_the_open_session_is_a_quote_and_no_close(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION), etf_last=(25.0, IN_SESSION))

    etf = await the_feeds(vendors, store).etf(WGMI, IN_SESSION)

    assert date(2026, 3, 3) == etf.closes.sessions[-1].astype(object)
    assert etf.quote is not None
    assert (25.0, IN_SESSION) == (etf.quote.price, etf.quote.at)


@pytest.mark.parametrize(
    ("after", "last_trade", "expected"),
    [
        pytest.param(timedelta(minutes=1), timedelta(minutes=-2), date(2026, 3, 3), id="the last trade is still older"),
        pytest.param(timedelta(minutes=1), timedelta(0), TODAY, id="the vendor's clock has passed the close"),
        pytest.param(timedelta(minutes=15), timedelta(minutes=-20), TODAY, id="a thin close has settled"),
        pytest.param(timedelta(minutes=16), timedelta(minutes=-21), date(2026, 3, 3), id="a frozen trade is no close"),
        pytest.param(timedelta(minutes=120), timedelta(minutes=-21), TODAY, id="nothing newer can be hoped for"),
    ],
)
async def test_a_close_is_final_once_the_vendor_has_passed_it(
    store: SqlStore, after: timedelta, last_trade: timedelta, expected: date
) -> None:
    vendors = Vendors(SetClock(CLOSE + after), etf_last=(25.0, CLOSE + last_trade))

    etf = await the_feeds(vendors, store).etf(WGMI, CLOSE + after)

    assert expected == etf.closes.sessions[-1].astype(object)


async def test_out_of_hours_the_etf_is_asked_once(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(hours=1)))
    feeds = the_feeds(vendors, store)

    for _ in range(3):
        await feeds.etf(WGMI, vendors.clock.advance(MINUTE))

    assert 1 == len(vendors.calls("chart"))


async def test_an_hour_after_the_close_it_is_confirmed_once(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(minutes=20)))
    feeds = the_feeds(vendors, store)
    await feeds.etf(WGMI, vendors.clock.at)
    vendors.etf_moves[TODAY] = 23.0
    vendors.requests.clear()

    asked = [await feeds.etf(WGMI, vendors.clock.advance(timedelta(minutes=20))) for _ in range(6)]

    assert 23.0 == asked[-1].closes.prices[-1]
    assert 1 == len(vendors.calls("chart"))


async def test_an_older_trade_from_a_cache_does_not_replace_a_newer_one(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION), etf_last=(25.0, IN_SESSION))
    feeds = the_feeds(vendors, store)
    await feeds.etf(WGMI, IN_SESSION)

    vendors.etf_last = (20.0, IN_SESSION - timedelta(days=1))
    etf = await feeds.etf(WGMI, vendors.clock.advance(MINUTE))

    assert etf.quote is not None
    assert (25.0, IN_SESSION) == (etf.quote.price, etf.quote.at)


async def test_a_trade_of_the_future_is_not_believed(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION), etf_last=(25.0, IN_SESSION + timedelta(minutes=2)))

    etf = await the_feeds(vendors, store).etf(WGMI, IN_SESSION)

    assert (None, "Yahoo on WGMI: its last trade is of 16:02:00 UTC, ahead of our clock") == (etf.quote, etf.problem)


async def test_a_source_that_knows_no_last_trade_gives_closes_that_settle(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(minutes=1)), last_trade_known=False)
    feeds = the_feeds(vendors, store)

    early = await feeds.etf(WGMI, vendors.clock.at)
    late = await feeds.etf(WGMI, vendors.clock.advance(timedelta(minutes=14)))

    assert [date(2026, 3, 3), TODAY] == [one.closes.sessions[-1].astype(object) for one in (early, late)]
    assert (None, None) == (early.quote, late.quote)


async def test_a_last_trade_that_an_answer_leaves_out_is_kept(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION), etf_last=(25.0, IN_SESSION))
    feeds = the_feeds(vendors, store)
    before = await feeds.etf(WGMI, IN_SESSION)

    vendors.last_trade_known = False
    after = await feeds.etf(WGMI, vendors.clock.advance(MINUTE))

    assert before.quote == after.quote is not None


async def test_nothing_is_kept_of_a_symbol_that_nobody_knows(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = the_feeds(vendors, store)
    vendors.faults["yahoo"] = [httpx.Response(404)] * 50

    for number in range(50):
        await feeds.etf(Symbol(f"NONE{number}"), IN_SESSION)

    assert (0, 0) == (len(feeds.shares._known), len(feeds.shares._locks))  # noqa: SLF001 -- memory is what this is about


async def test_each_simulated_market_has_its_own_prices(store: SqlStore) -> None:
    clock = SetClock(IN_SESSION)
    markets = [Simulated(clock, seed=seed) for seed in (1, 7, 1)]

    first, other, again = [
        (await Feeds(market, market, store).etf(WGMI, IN_SESSION)).closes.prices.tolist() for market in markets
    ]

    assert first == again != other


async def test_a_split_leaves_none_of_the_old_prices_behind(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = the_feeds(vendors, store)
    before = (await feeds.etf(WGMI, IN_SESSION)).closes

    vendors.etf_scale, vendors.etf_begins = 0.1, before.sessions[9].astype(object)
    after = (await feeds.etf(WGMI, vendors.clock.advance(MINUTE))).closes

    assert after.prices.max() < 3
    assert after.prices.tolist() == (await store.load_closes(WGMI, "Yahoo", date(2000, 1, 1))).prices.tolist()


async def test_bitcoin_bars_are_asked_for_once_an_hour_and_the_last_trade_each_time(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = the_feeds(vendors, store)
    await feeds.coin(BTC, IN_SESSION)
    vendors.requests.clear()

    for _ in range(61):
        await feeds.coin(BTC, vendors.clock.advance(timedelta(minutes=1)))

    assert (1, 61) == (len(vendors.calls("candles")), len(vendors.calls("ticker")))


async def test_a_close_that_the_vendor_corrects_is_corrected_here_too(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = the_feeds(vendors, store)
    await feeds.etf(WGMI, IN_SESSION)

    vendors.etf_moves[date(2026, 3, 2)] = 20.5
    etf = await feeds.etf(WGMI, vendors.clock.advance(MINUTE))

    assert 20.5 == etf.closes.prices[etf.closes.sessions == np.datetime64("2026-03-02")][0]
    stored = await store.load_closes(WGMI, "Yahoo", date(2026, 3, 2))
    assert 20.5 == stored.prices[0]


@pytest.mark.parametrize("scale", [pytest.param(0.1, id="10 for 1"), pytest.param(10 / 11, id="11 for 10")])
async def test_a_split_makes_the_whole_past_be_fetched_anew(store: SqlStore, scale: float) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = the_feeds(vendors, store)
    before = (await feeds.etf(WGMI, IN_SESSION)).closes.prices.copy()

    vendors.etf_scale = scale
    after = (await feeds.etf(WGMI, vendors.clock.advance(MINUTE))).closes

    np.testing.assert_allclose(after.prices, before * scale)
    stored = await store.load_closes(WGMI, "Yahoo", date(2020, 1, 1))
    np.testing.assert_allclose(stored.prices, before * scale)


async def test_a_vendor_that_fails_leaves_what_is_known_and_says_why(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = the_feeds(vendors, store)
    known = len((await feeds.etf(WGMI, IN_SESSION)).closes)
    vendors.faults["yahoo"] = [httpx.Response(429, text="Too Many Requests\r\n")]

    failed = await feeds.etf(WGMI, vendors.clock.advance(MINUTE))

    assert (known, "Yahoo on WGMI: throttled") == (len(failed.closes), (failed.problem or "")[:24])
    mended = await feeds.etf(WGMI, vendors.clock.advance(timedelta(minutes=16)))
    assert mended.problem is None


async def test_a_long_first_fetch_that_breaks_off_goes_on_where_it_was(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    vendors.faults["coinbase"] = [None] * 8 + [httpx.Response(404, json={"message": "NotFound"})]
    feeds = the_feeds(vendors, store)

    problem = (await feeds.coin(BTC, IN_SESSION)).problem
    vendors.requests.clear()
    whole = await feeds.coin(BTC, vendors.clock.advance(MINUTE))

    assert "check the symbol" in (problem or "")
    assert "2023-10-30T22:00:00Z" == vendors.calls("candles")[0].url.params["start"]  # two hours before the break
    assert (None, True) == (whole.problem, len(whole.bars) > 21_000)


async def test_simulated_prices_never_lie_among_the_real(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    simulated = Feeds(Simulated(vendors.clock), Simulated(vendors.clock), store)
    made_up = (await simulated.etf(WGMI, IN_SESSION)).closes
    await simulated.coin(BTC, IN_SESSION)

    real = the_feeds(vendors, store)
    etf, coin = await real.etf(WGMI, IN_SESSION), await real.coin(BTC, IN_SESSION)

    assert ("SIMULATED", "Yahoo", "Coinbase") == (made_up.source, etf.closes.source, coin.bars.source)
    assert etf.closes.prices.max() < 21
    assert coin.bars.closes.max() < 51_000
    again = Feeds(Simulated(vendors.clock), Simulated(vendors.clock), store)
    assert made_up.prices.tolist() == (await again.etf(WGMI, IN_SESSION)).closes.prices.tolist()


async def test_what_has_not_changed_is_not_written_again(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = the_feeds(vendors, store)
    before = (await feeds.etf(WGMI, IN_SESSION)).closes

    after = (await feeds.etf(WGMI, vendors.clock.advance(MINUTE))).closes

    assert before is after


async def test_a_close_whose_volume_comes_later_was_traded_after_all(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(hours=1)))
    feeds = EquityFeeds(Unhurried(vendors.yahoo(), 0.0), store)
    before = await feeds.read(WGMI, vendors.clock.at, CALENDAR)

    feeds.source = Unhurried(vendors.yahoo(), 500.0)
    after = await feeds.read(WGMI, vendors.clock.advance(timedelta(days=1)), CALENDAR)
    kept = await store.load_closes(WGMI, "Yahoo", TODAY)

    assert 0.0 == before.closes.known_volumes[-1]
    assert TODAY == after.closes.sessions[-2].astype(object)
    assert 500.0 == after.closes.known_volumes[-2] == kept.known_volumes[0]


async def test_a_history_that_was_kept_without_openings_is_fetched_anew_with_them(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(hours=1)))
    told = await vendors.yahoo().prices(WGMI, oldest_needed(vendors.clock.at))
    await store.save_closes(replace(told.closes, inside=None), vendors.clock.at)

    read = await EquityFeeds(vendors.yahoo(), store).read(WGMI, vendors.clock.at, CALENDAR)
    kept = await store.load_closes(WGMI, "Yahoo", BEGINNING)

    for closes in (read.closes, kept):
        np.testing.assert_allclose(closes.known_inside, np.full(len(told.closes), 0.01), rtol=1e-9)
    assert [] == await store.revisions(WGMI, 1)


async def test_a_source_that_allows_few_calls_is_asked_so_seldom_that_they_last(store: SqlStore) -> None:
    """Two shares through a whole session, at every minute: none fails for want of calls, and none is asked for more."""
    vendors = Vendors(SetClock(OPEN), etf_last=(20.0, OPEN))
    source = Unhurried(vendors.yahoo(), 500.0)
    feeds = EquityFeeds(source, store)
    for symbol in (WGMI, IBIT):
        await feeds.read(symbol, OPEN, CALENDAR)
    source.asked.clear()

    for minute in range(1, 391):
        now = vendors.clock.at = OPEN + minute * MINUTE
        vendors.etf_last = (20.0, now)
        seen = [await feeds.read(symbol, now, CALENDAR) for symbol in (WGMI, IBIT)]
        assert [None, None] == [one.problem for one in seen]
        assert all(one.quote is not None and one.quote.age(now) < timedelta(minutes=6) for one in seen)

    assert {WGMI: 65, IBIT: 65} == {symbol: source.asked.count(symbol) for symbol in (WGMI, IBIT)}


async def test_a_share_that_was_asked_for_once_leaves_the_others_their_calls_after_an_hour(store: SqlStore) -> None:
    vendors = Vendors(SetClock(OPEN), etf_last=(20.0, OPEN))
    source = Unhurried(vendors.yahoo(), 500.0)
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


async def test_the_last_trade_is_asked_for_even_where_bars_cannot_be_had(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = the_feeds(vendors, store)
    await feeds.coin(BTC, IN_SESSION)
    vendors.faults["coinbase candles"] = [httpx.Response(404, json={"message": "NotFound"})]

    coin = await feeds.coin(BTC, vendors.clock.advance(timedelta(hours=1)))

    assert coin.quote is not None
    assert vendors.clock.at == coin.quote.at
    assert "Coinbase on BTC" in (coin.problem or "")


async def test_what_has_been_kept_never_rolls_off(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = the_feeds(vendors, store)
    first, before = (await feeds.etf(WGMI, IN_SESSION)).closes, (await feeds.coin(BTC, IN_SESSION)).bars

    later = vendors.clock.advance(timedelta(days=500))
    await feeds.etf(WGMI, later)
    await feeds.coin(BTC, later)
    again = the_feeds(vendors, store)
    etf, coin = await again.etf(WGMI, later), await again.coin(BTC, later)

    assert (first.sessions[0], before.opened_at[0]) == (etf.closes.sessions[0], coin.bars.opened_at[0])


async def test_many_who_ask_at_once_fetch_once(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(hours=1)))
    feeds = the_feeds(vendors, store)

    await asyncio.gather(*(feeds.etf(WGMI, vendors.clock.at) for _ in range(5)))
    bars = await asyncio.gather(*(feeds.coin(BTC, vendors.clock.at) for _ in range(5)))

    assert 1 == len(vendors.calls("chart"))
    pages = [request.url.params["start"] for request in vendors.calls("candles")]
    assert len(pages) == len(set(pages))
    assert len({id(one) for one in bars}) == 1


async def test_after_a_restart_in_the_night_the_last_trade_is_asked_for(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(hours=1)))
    await the_feeds(vendors, store).etf(WGMI, vendors.clock.at)

    again = await the_feeds(vendors, store).etf(WGMI, vendors.clock.at)

    assert again.quote is not None


@pytest.mark.parametrize(
    "day", [pytest.param(date(2026, 2, 24), id="oldest"), pytest.param(date(2026, 3, 2), id="newer")]
)
async def test_a_close_that_is_corrected_by_a_tenth_is_no_split(store: SqlStore, day: date) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    feeds = the_feeds(vendors, store)
    await feeds.etf(WGMI, IN_SESSION)
    vendors.requests.clear()

    vendors.etf_moves[day] = 22.0
    await feeds.etf(WGMI, vendors.clock.advance(MINUTE))
    vendors.etf_moves[day] = 30.0
    await feeds.etf(WGMI, vendors.clock.advance(MINUTE))

    assert 3 == len(vendors.calls("chart"))  # one for the correction, two for what looks like a split

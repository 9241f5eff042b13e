import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import httpx
import numpy as np
import pytest

from services.core.prices import WGMI_BTC, Bars, Symbol
from services.market.backfill import IDLE, MAX_RETRY, PAGE_PAUSE, Backfill
from services.market.basis import pair_basis
from services.market.feeds.crypto import DAY, HOUR, CoinFeeds, midnight
from services.market.ports import CryptoSource
from services.market.price_history import PriceHistory
from services.market.sources.vendors.bitstamp import Bitstamp
from services.rules.market_service import align_legs
from services.storage import SqlStore
from tests.fakes.clock import SetClock
from tests.fakes.store_snapshots import open_snapshot
from tests.fakes.vendors import Vendors

LISTED, VENUE_BEGAN = date(2022, 2, 8), datetime(2015, 7, 20, tzinfo=UTC)
EVENING = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
LIVE_SINCE = date(2024, 5, 14)  # 930 days before
BUDGET = 160  # calls of one vendor
BTC = WGMI_BTC.crypto


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    store = await open_snapshot()
    yield store
    await store.aclose()


@pytest.fixture
def vendors() -> Vendors:
    return Vendors(SetClock(EVENING), etf_since=LISTED, crypto_since=VENUE_BEGAN)


class UnlimitedBitstamp(Bitstamp):
    """Bitstamp without its rate limit, which never frees a slot if the clock does not move."""

    limits = ()  # type: ignore[assignment]


def bitstamp(vendors: Vendors) -> Bitstamp:
    return UnlimitedBitstamp(vendors.client(), vendors.clock)


def history_of(vendors: Vendors, store: SqlStore, *venues: CryptoSource) -> PriceHistory:
    return PriceHistory([vendors.yahoo()], venues or [vendors.coinbase()], store)


def backfill_of(vendors: Vendors, history: PriceHistory) -> Backfill:
    return Backfill(history=history, clock=vendors.clock)


def candles(vendors: Vendors, step: timedelta) -> list[httpx.Request]:
    seconds = f"{step.total_seconds():.0f}"
    return [request for request in vendors.calls("candles") if request.url.params["granularity"] == seconds]


async def board_basis(history: PriceHistory) -> tuple[date, bool]:
    etf, crypto = await history.pair(WGMI_BTC, EVENING)
    basis = pair_basis(align_legs(WGMI_BTC, etf, crypto, history.sessions(EVENING), EVENING), loading=crypto.loading)
    assert basis is not None
    return basis.first, basis.loading


async def bars_of(history: PriceHistory) -> Bars:
    prices = (await history.leg(BTC, EVENING)).history.prices
    assert isinstance(prices, Bars)
    return prices


async def test_the_whole_history_loads_within_the_budget_of_each_vendor(vendors: Vendors, store: SqlStore) -> None:
    """It is bitcoin's hours since the listing of the ETF, its days since 2015, and one call for the ETF."""
    history = history_of(vendors, store, vendors.coinbase(), bitstamp(vendors))
    first = await board_basis(history)
    await backfill_of(vendors, history).complete()

    assert ((LIVE_SINCE, True), (LISTED, False)) == (first, await board_basis(history))
    leg = await history.leg(BTC, EVENING)
    assert leg.daily is not None
    assert np.datetime64("2015-07-20") == leg.daily.opened_at[0]
    assert np.datetime64("2022-02-08T00") == (await bars_of(history)).opened_at[0]
    assert np.all(np.diff((await bars_of(history)).opened_at) == np.timedelta64(HOUR))
    assert 1 == len(vendors.calls("chart"))
    assert len(vendors.calls("candles")) <= BUDGET
    assert len(vendors.calls("ohlc")) <= BUDGET


async def test_the_first_board_comes_before_older_prices_and_says_that_they_are_loading(
    vendors: Vendors, store: SqlStore
) -> None:
    history = history_of(vendors, store)
    assert (LIVE_SINCE, True) == await board_basis(history)
    assert [] == candles(vendors, DAY)
    assert midnight(LIVE_SINCE) == history.source_health(BTC, EVENING)[0].loading_since
    etf, crypto = await history.pair(WGMI_BTC, EVENING)
    assert () == align_legs(WGMI_BTC, etf, crypto, history.sessions(EVENING), EVENING).exclusions

    await backfill_of(vendors, history).complete()
    assert history.source_health(BTC, EVENING)[0].loading_since is None


async def test_pages_are_loaded_one_at_a_time_with_the_newest_first(vendors: Vendors, store: SqlStore) -> None:
    history = history_of(vendors, store)
    await board_basis(history)
    vendors.requests.clear()
    backfill = backfill_of(vendors, history)

    pauses = [await backfill.step() for _ in range(20)]

    starts = [request.url.params["start"] for request in vendors.calls("candles")]
    assert {PAGE_PAUSE} == set(pauses)
    assert len(starts) == len(set(starts)) == 20
    assert sorted(starts[:15], reverse=True) == starts[:15]
    assert "2024-05-01T12:00:00Z" == starts[15]


async def test_a_restart_goes_on_and_asks_for_nothing_that_is_stored(vendors: Vendors, store: SqlStore) -> None:
    history = history_of(vendors, store)
    await board_basis(history)
    backfill = backfill_of(vendors, history)
    for _ in range(30):
        await backfill.step()
    loaded = {(one.url.params["granularity"], one.url.params["start"]) for one in vendors.calls("candles")}
    vendors.requests.clear()

    again = history_of(vendors, store)
    await board_basis(again)
    live = len(vendors.calls("candles"))
    await backfill_of(vendors, again).complete()

    asked = {(one.url.params["granularity"], one.url.params["start"]) for one in vendors.calls("candles")[live:]}
    empty_page = {("86400", "2014-09-23T00:00:00Z")}  # before the venue's first day; nothing to store
    assert empty_page == asked & loaded
    assert (LISTED, False) == await board_basis(again)
    assert len(loaded) + len(asked) <= BUDGET


async def test_a_page_that_is_cancelled_is_not_saved_in_part(
    vendors: Vendors, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = history_of(vendors, store)
    await board_basis(history)
    waiting, forever = asyncio.Event(), asyncio.Event()
    save_bars = store.save_bars

    async def never_saved(bars: Bars) -> None:
        waiting.set()
        await forever.wait()
        await save_bars(bars)

    monkeypatch.setattr(store, "save_bars", never_saved)
    running = asyncio.create_task(backfill_of(vendors, history).run())
    await waiting.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert 0 == len(await store.load_bars(BTC, "Coinbase", DAY, VENUE_BEGAN))


async def test_a_failing_venue_is_asked_again_after_longer_and_longer_waits(
    vendors: Vendors, store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    history = history_of(vendors, store)
    await board_basis(history)
    vendors.requests.clear()
    backfill = backfill_of(vendors, history)
    vendors.faults["coinbase candles"] = [httpx.Response(400)] * 9

    waits = list[int]()
    for minute in range(300):
        vendors.clock.at = EVENING + minute * IDLE
        before = len(vendors.calls("candles"))
        assert await backfill.step() in {IDLE, PAGE_PAUSE}
        if len(vendors.calls("candles")) > before and vendors.faults["coinbase candles"]:
            waits.append(minute)

    assert [0, 1, 3, 7, 15, 31, 63, 123][: len(waits)] == waits[:8]
    assert timedelta(hours=1) == MAX_RETRY
    assert "next try in 0:01:00" in caplog.text


async def test_a_venue_that_fails_does_not_hold_up_the_other(vendors: Vendors, store: SqlStore) -> None:
    history = history_of(vendors, store, vendors.coinbase(), bitstamp(vendors))
    await board_basis(history)
    vendors.faults["coinbase candles"] = [httpx.Response(400)] * 9
    await backfill_of(vendors, history).complete()

    assert (LISTED, True) == await board_basis(history)


async def test_a_process_that_shares_the_database_reads_what_the_other_one_saved(
    vendors: Vendors, store: SqlStore
) -> None:
    worker, web = history_of(vendors, store), history_of(vendors, store)
    await board_basis(worker)
    await board_basis(web)
    await backfill_of(vendors, worker).complete()
    vendors.requests.clear()
    reader = backfill_of(vendors, web)
    reader.only_stored_until = EVENING + timedelta(minutes=10)

    assert IDLE == await reader.step()
    assert IDLE == await reader.step()
    assert [] == vendors.calls("candles")
    assert LISTED == (await board_basis(web))[0]

    vendors.clock.advance(timedelta(minutes=10))
    await reader.complete()
    assert (LISTED, False) == await board_basis(web)
    assert len(vendors.calls("candles")) <= 2


async def test_progress_and_completion_are_logged(
    vendors: Vendors, store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    history = history_of(vendors, store)
    await board_basis(history)
    with caplog.at_level(logging.INFO, "services.market.backfill"):
        await backfill_of(vendors, history).complete()

    assert "Coinbase (BTC): loading older hourly prices, now back to 2024-05-01" in caplog.text
    assert "Coinbase (BTC): all older daily prices are loaded, back to 2015-07-20" in caplog.text
    assert "Coinbase (BTC): all older hourly prices are loaded, back to 2022-02-08" in caplog.text


async def test_an_unexpected_error_does_not_end_the_loop(
    vendors: Vendors, store: SqlStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, waits = history_of(vendors, store), list[float]()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) > 1:
            raise asyncio.CancelledError

    def fail(_now: datetime) -> list[object]:
        raise ZeroDivisionError

    monkeypatch.setattr(PriceHistory, "wanted_older", lambda _history, now: fail(now))
    with pytest.raises(asyncio.CancelledError):
        await Backfill(history=history, clock=vendors.clock, sleep=sleep).run()
    assert [MAX_RETRY.total_seconds()] * 2 == waits
    assert "loading older prices failed" in caplog.text


async def test_a_coin_that_is_dropped_from_memory_meanwhile_has_no_progress_to_log(
    vendors: Vendors, store: SqlStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    history = history_of(vendors, store)
    await board_basis(history)
    load = CoinFeeds.load_older

    async def load_and_forget(
        feeds: CoinFeeds, symbol: Symbol, interval: timedelta, since: datetime, now: datetime
    ) -> None:
        await load(feeds, symbol, interval, since, now)
        feeds.forget(symbol)

    monkeypatch.setattr(CoinFeeds, "load_older", load_and_forget)
    with caplog.at_level(logging.INFO, "services.market.backfill"):
        await backfill_of(vendors, history).step()

    assert [] == caplog.messages

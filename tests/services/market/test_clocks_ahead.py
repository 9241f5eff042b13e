"""Prices of a session or hour that is not over are never kept as final while our clock is ahead."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime

import httpx
import numpy as np
import pytest

from services.core.clock import Clock
from services.core.prices import Bars, Symbol
from services.market.consensus.quorum import CONFIRMED
from services.market.feeds.crypto import CoinFeeds
from services.market.feeds.equities import EquityFeeds
from services.market.feeds.freshness import HISTORY_START
from services.market.ports import EquitySource
from services.market.price_history import PriceHistory
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.alpaca import Alpaca
from services.market.sources.vendors.bitstamp import Bitstamp
from services.market.sources.vendors.nasdaq import Nasdaq
from services.market.sources.vendors.tiingo import Tiingo
from services.market.sources.vendors.twelvedata import TwelveData
from services.market.sources.vendors.yahoo import Yahoo
from services.storage import SqlStore
from tests.fakes.clock import SetClock
from tests.fakes.market import CALENDAR
from tests.fakes.store_snapshots import open_snapshot
from tests.fakes.vendors import Vendors, no_wait

WGMI, BTC = Symbol("WGMI"), Symbol("BTC")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
CLOSE = datetime(2026, 3, 4, 21, 0, tzinfo=UTC)
TODAY, YESTERDAY = date(2026, 3, 4), date(2026, 3, 3)
HALF_PAST = datetime(2026, 3, 4, 11, 30, tzinfo=UTC)


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    store = await open_snapshot()
    yield store
    await store.aclose()


class OpenHourBitstamp:
    """Bitstamp's real behaviour: the bar that is still open is in the answer, with the last trade as its close."""

    def __init__(self, vendors: Vendors) -> None:
        self.vendors = vendors

    def respond(self, request: httpx.Request) -> httpx.Response:
        answer = self.vendors.handle(request)
        body = answer.json()
        if "ohlc" not in body.get("data", {}):
            return answer
        true_now = self.vendors.clock.at.timestamp()
        rows = [row for row in body["data"]["ohlc"] if int(row["timestamp"]) <= true_now]
        for row in rows:
            if int(row["timestamp"]) + 3600 > true_now:
                row["close"] = "1.00"
        body["data"]["ohlc"] = rows
        return httpx.Response(200, json=body, headers=dict(answer.headers.multi_items()[:1]))

    def source(self, clock: Clock) -> Bitstamp:
        return Bitstamp(HttpClient(transport=httpx.MockTransport(self.respond), sleep=no_wait), clock)


def calm(clock: SetClock) -> Vendors:
    return Vendors(clock, crypto_since=clock.at - timedelta(days=2), etf_since=clock.at.date() - timedelta(days=20))


async def stored_bars(store: SqlStore) -> Bars:
    return await store.load_bars(BTC, "Bitstamp", HOUR, HALF_PAST - timedelta(days=9))


async def stored_sessions(store: SqlStore, source: str) -> list[date]:
    days: list[date] = (await store.load_closes(WGMI, source, HISTORY_START)).sessions.tolist()
    return days


@pytest.mark.parametrize("step", [timedelta(0), HOUR, timedelta(days=1)], ids=str)
async def test_an_hour_that_is_not_over_at_the_venue_is_not_kept(store: SqlStore, step: timedelta) -> None:
    vendors = calm(SetClock(HALF_PAST))
    ours = SetClock(HALF_PAST + step)
    feeds = CoinFeeds(OpenHourBitstamp(vendors).source(ours), store)

    feed = await feeds.read(BTC, ours.at)

    assert HALF_PAST.replace(minute=0, tzinfo=None) == feed.bars.ended_at[-1].astype(object)
    assert 1.0 not in (await stored_bars(store)).closes

    ours.at = vendors.clock.advance(HOUR + MINUTE)
    corrected = await feeds.read(BTC, ours.at)
    assert vendors.crypto_at(HALF_PAST + 30 * MINUTE) == pytest.approx(corrected.bars.closes[-1], abs=0.01)


@pytest.mark.parametrize("restarts", [False, True], ids=["same process", "restarted"])
async def test_an_hour_that_was_stored_too_early_is_corrected_when_it_is_over(store: SqlStore, restarts: bool) -> None:
    vendors = calm(SetClock(HALF_PAST))
    source = OpenHourBitstamp(vendors).source(vendors.clock)
    feeds = CoinFeeds(source, store)
    opened = np.array([HALF_PAST.replace(minute=0, tzinfo=None)], dtype="datetime64[s]")
    await store.save_bars(Bars(symbol=BTC, interval=HOUR, opened_at=opened, closes=np.array([1.0]), source="Bitstamp"))

    during = await feeds.read(BTC, HALF_PAST)
    if restarts:
        feeds = CoinFeeds(source, store)
    after = await feeds.read(BTC, vendors.clock.advance(31 * MINUTE))

    assert 1.0 not in during.bars.closes
    assert 1.0 not in after.bars.closes
    assert opened[0] == after.bars.opened_at[-1]
    assert 1.0 not in (await stored_bars(store)).closes


@pytest.mark.parametrize("name", ["Yahoo", "Nasdaq"])
@pytest.mark.parametrize("true_at", [CLOSE - 15 * MINUTE, CLOSE - 5 * MINUTE, CLOSE - HOUR], ids=str)
@pytest.mark.parametrize("step", [HOUR, 3 * HOUR, timedelta(days=1)], ids=str)
async def test_a_session_that_is_not_over_at_the_vendor_has_no_final_close(
    store: SqlStore, name: str, true_at: datetime, step: timedelta
) -> None:
    vendors = calm(SetClock(true_at))
    vendors.etf_last = (25.0, true_at)
    ours = SetClock(true_at + step)
    transport = httpx.MockTransport(lambda request: _with_todays_row(vendors, request))
    client = HttpClient(transport=transport, sleep=no_wait)
    source: EquitySource = Yahoo(client, ours) if name == "Yahoo" else Nasdaq(client, ours)
    feeds = EquityFeeds(source, store)

    await feeds.read(WGMI, ours.at, CALENDAR)
    early = await stored_sessions(store, name)
    ours.at = vendors.clock.at = CLOSE + 2 * HOUR + 11 * MINUTE
    vendors.etf_last = (26.0, CLOSE)
    after = await feeds.read(WGMI, ours.at, CALENDAR)

    assert YESTERDAY == early[-1]
    assert TODAY == after.closes.sessions.tolist()[-1]
    assert vendors.etf_close(TODAY) == pytest.approx(after.closes.prices[-1], abs=0.001)


def _with_todays_row(vendors: Vendors, request: httpx.Request) -> httpx.Response:
    """Answer as Nasdaq does during a session: with a row of today that holds the last trade."""
    answer = vendors.handle(request)
    body = answer.json()
    rows = body.get("data", {}).get("tradesTable", {}).get("rows")
    if rows and rows[0]["date"] != f"{TODAY:%m/%d/%Y}":
        rows.insert(0, {"date": f"{TODAY:%m/%d/%Y}", "close": "$25.00", "open": "$25.00"})
    return httpx.Response(200, json=body, headers={"Date": answer.headers["Date"]})


async def test_a_close_that_was_stored_during_its_session_is_corrected_at_the_close(store: SqlStore) -> None:
    vendors = calm(SetClock(CLOSE - HOUR))
    history = PriceHistory([vendors.yahoo(), vendors.nasdaq()], [], store)
    await history.leg(WGMI, vendors.clock.at)
    for source in ("Yahoo", CONFIRMED):
        known = await store.load_closes(WGMI, source, HISTORY_START)
        wrong = known.select(known.sessions == known.sessions[-1])
        wrong.sessions[:], wrong.prices[:] = np.datetime64(TODAY), 25.0
        await store.save_closes(wrong, CLOSE - HOUR)
    history = PriceHistory([vendors.yahoo()], [], store)

    vendors.etf_last = (20.1, CLOSE - HOUR)
    during = await history.leg(WGMI, vendors.clock.at)
    vendors.etf_last = (vendors.etf_close(TODAY), CLOSE)
    after = await history.leg(WGMI, vendors.clock.advance(HOUR + MINUTE))

    assert YESTERDAY == during.history.prices.sessions.tolist()[-1]  # type: ignore[union-attr]
    assert (TODAY, pytest.approx(vendors.etf_close(TODAY))) == (
        after.history.prices.sessions.tolist()[-1],  # type: ignore[union-attr]
        after.history.prices.prices[-1],  # type: ignore[union-attr]
    )
    confirmed = await store.load_closes(WGMI, CONFIRMED, HISTORY_START)
    assert YESTERDAY == confirmed.sessions.tolist()[-1]
    assert [(25.0, TODAY)] == [
        (one.old, one.session) for one in await store.revisions(WGMI, 5) if one.source == "Yahoo"
    ]


async def test_the_fetch_an_hour_after_the_close_is_not_used_up_by_a_clock_ahead(store: SqlStore) -> None:
    vendors = calm(SetClock(CLOSE + 10 * MINUTE))
    ours = SetClock(CLOSE + 10 * MINUTE + HOUR)
    feeds = EquityFeeds(Yahoo(vendors.client(), ours), store)
    await feeds.read(WGMI, ours.at, CALENDAR)
    ours.at = vendors.clock.at = CLOSE + HOUR + MINUTE
    vendors.close_overrides = {("yahoo", TODAY): 20.5}

    corrected = await feeds.read(WGMI, ours.at, CALENDAR)

    assert 20.5 == corrected.closes.prices[-1]


TIINGO_ROWS = [{"date": f"{day}T00:00:00.000Z", "close": 20.0} for day in (YESTERDAY, TODAY)]
TWELVEDATA = {
    "status": "ok",
    "meta": {"symbol": "WGMI", "currency": "USD", "exchange_timezone": "America/New_York"},
    "values": [{"datetime": f"{day}", "close": "20.0"} for day in (YESTERDAY, TODAY)],
}
ALPACA_BARS = [{"t": f"{day}T05:00:00Z", "c": 20.0, "n": 5} for day in (YESTERDAY, TODAY)]


@pytest.mark.parametrize(
    ("make", "bodies"),
    [
        pytest.param(
            lambda client, clock: Tiingo(client, clock, "key"), {"/daily/": TIINGO_ROWS, "/iex/": []}, id="Tiingo"
        ),
        pytest.param(
            lambda client, clock: TwelveData(client, clock, "key"), {"/time_series": TWELVEDATA}, id="Twelve Data"
        ),
        pytest.param(
            lambda client, clock: Alpaca(client, clock, "key", "secret"),
            {"/bars": {"bars": {"WGMI": ALPACA_BARS}, "next_page_token": None}, "/trades": {"trades": {}}},
            id="Alpaca",
        ),
    ],
)
async def test_a_row_of_today_counts_only_when_the_vendors_own_day_is_over(
    make: Callable[[HttpClient, Clock], EquitySource], bodies: dict[str, object]
) -> None:
    sent_at = SetClock(CLOSE - HOUR)

    def respond(request: httpx.Request) -> httpx.Response:
        body = next(body for part, body in bodies.items() if part in request.url.path)
        return httpx.Response(200, json=body, headers={"Date": format_datetime(sent_at.at, usegmt=True)})

    ours = SetClock(CLOSE + 2 * HOUR)
    source = make(HttpClient(transport=httpx.MockTransport(respond), sleep=no_wait), ours)

    early = await source.prices(WGMI, YESTERDAY)
    sent_at.at = ours.at
    late = await source.prices(WGMI, YESTERDAY)

    assert ([YESTERDAY], [YESTERDAY, TODAY]) == (early.closes.sessions.tolist(), late.closes.sessions.tolist())
    assert (CLOSE - HOUR, ours.at) == (early.answered_at, late.answered_at)

"""Questions about other symbols leave the watched ones their calls, and don't fill the memory."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from bot.app import build
from bot.settings import Settings
from services.core.errors import NoHistoryError
from services.core.identity import Channel
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.market import price_history
from services.market.price_history import MAX_UNWATCHED, PriceHistory
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.tiingo import Tiingo
from services.rules.grammar import parse_rule
from services.rules.market_service import MarketService
from services.storage import SqlStore
from tests.fakes.clock import SetClock
from tests.fakes.store_snapshots import open_snapshot
from tests.fakes.vendors import Vendors, no_wait

WGMI = Symbol("WGMI")
OPEN = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
DAYS = [f"{day}" for day in np.arange("2026-01-05", "2026-03-04", dtype="datetime64[D]") if np.is_busday(day)]


class TiingoServer:
    """Answers for every ticker, and records the tickers that were asked for."""

    def __init__(self, clock: SetClock) -> None:
        self.clock, self.asked = clock, list[str]()

    def respond(self, request: httpx.Request) -> httpx.Response:
        ticker = request.url.path.split("/")[3 if "/daily/" in request.url.path else 2]
        self.asked.append(ticker)
        if "/daily/" in request.url.path:
            return httpx.Response(200, json=[{"date": f"{day}T00:00:00.000Z", "close": 20.0} for day in DAYS])
        last = {"ticker": ticker, "last": 20.0, "lastSaleTimestamp": self.clock.at.isoformat()}
        return httpx.Response(200, json=[last])


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    store = await open_snapshot()
    yield store
    await store.aclose()


async def test_forty_questions_leave_the_watched_quote_fresh(store: SqlStore) -> None:
    clock = SetClock(OPEN)
    server = TiingoServer(clock)
    client = HttpClient(transport=httpx.MockTransport(server.respond), sleep=no_wait)
    history = PriceHistory([Tiingo(client, clock, "key")], [], store)
    history.watch({WGMI})

    ages = []
    for minute in range(60):
        if minute < 40:
            await history.leg(Symbol(f"Q{minute}"), clock.at)
        leg = await history.leg(WGMI, clock.at)
        assert leg.quote is not None
        ages.append(leg.quote.age(clock.at))
        clock.advance(timedelta(minutes=1))

    questions = [ticker for ticker in server.asked if ticker != "wgmi"]
    assert max(ages) <= timedelta(minutes=4)
    assert 0 < len(questions) <= 50 // 4
    assert len(server.asked) <= 50


async def test_a_question_without_a_call_left_says_when_to_ask_again(store: SqlStore) -> None:
    clock = SetClock(OPEN)
    client = HttpClient(transport=httpx.MockTransport(TiingoServer(clock).respond), sleep=no_wait)
    history = PriceHistory([Tiingo(client, clock, "key")], [], store)
    history.watch({WGMI})
    for number in range(6):
        await history.leg(Symbol(f"Q{number}"), clock.at)

    refused = await history.leg(Symbol("LATE"), clock.at)

    [problem] = refused.problems
    assert "has no requests left for symbols without a rule; next try at 11:00:00 AM ET" in str(problem)


async def test_without_watched_symbols_a_question_may_use_the_whole_quota(store: SqlStore) -> None:
    clock = SetClock(OPEN)
    server = TiingoServer(clock)
    client = HttpClient(transport=httpx.MockTransport(server.respond), sleep=no_wait)
    history = PriceHistory([Tiingo(client, clock, "key")], [], store)

    for number in range(25):
        await history.leg(Symbol(f"Q{number}"), clock.at)

    assert 50 == len(server.asked)


async def test_only_the_pairs_used_last_stay_in_memory(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    vendors = Vendors(SetClock(OPEN), crypto_since=OPEN - timedelta(days=9), etf_since=OPEN.date() - timedelta(days=9))
    vendors.etf_last = (20.0, OPEN)
    market = MarketService(PriceHistory([vendors.yahoo()], [vendors.coinbase()], store))
    monkeypatch.setattr(price_history, "MAX_UNWATCHED", 3)
    monkeypatch.setattr("services.rules.market_service.MAX_UNWATCHED", 3)
    market.watch([WGMI_BTC])
    pairs = [WGMI_BTC, *(Pair(etf=Symbol(f"Q{number}"), crypto=WGMI_BTC.crypto) for number in range(6))]

    for pair in pairs:
        await market.view(pair, OPEN)

    assert [pairs[0], *pairs[-3:]] == [pair for pair in pairs if market.has_history(pair)]
    assert ["WGMI", "Q3", "Q4", "Q5"] == [
        pair.etf for pair in pairs if any(health.newest for health in market.history.source_health(pair.etf, OPEN))
    ]
    assert pairs[1] == (await market.view(pairs[1], OPEN)).pair
    assert MAX_UNWATCHED == 64


async def test_forty_backtests_in_a_web_process_leave_the_watched_pairs_their_calls(tmp_path: Path) -> None:
    """A web process never ticks; it learns from the database which pairs other processes watch."""
    clock = SetClock(OPEN)
    server = TiingoServer(clock)
    client = HttpClient(transport=httpx.MockTransport(server.respond), sleep=no_wait)
    vendors = Vendors(clock, crypto_since=OPEN - timedelta(days=99))
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'minerpulse.db'}",
        slack_bot_token=SecretStr("xoxb-test"),
        slack_signing_secret=SecretStr("0" * 32),
    )
    async with build(
        settings, clock=clock, equity=Tiingo(client, clock, "key"), crypto=vendors.coinbase(), network_sources=()
    ) as web:
        await web.commands.add_rule(Channel(team="T1", id="C1"), "1d 8pp on MARA/BTC", "U1")
        server.asked.clear()
        refused = 0
        for number in range(40):
            rule = parse_rule(f"1d 8pp on Q{number}/BTC")
            try:
                await web.research.backtest(rule, clock.at)
            except NoHistoryError as error:
                refused += "has no requests left" in str(error)
            clock.advance(timedelta(seconds=30))
        asked, mara = [*server.asked], await web.history.leg(Symbol("MARA"), clock.at)

    assert 0 < len(asked) <= 50 // 4
    assert 40 - len(asked) // 2 == refused
    assert mara.quote is not None
    assert clock.at == mara.quote.at

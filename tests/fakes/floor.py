"""The trading floor: the real services over an in-memory store, with vendors and a clock that tests set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from services.alerting.alert import Alert, Entry
from services.alerting.monitor import Monitor
from services.alerting.rule_index import RuleIndex
from services.channels.commands import ChannelCommands
from services.channels.maintenance import Maintenance
from services.core.identity import Channel
from services.core.prices import WGMI_BTC
from services.delivery.ports import ThreadMessage
from services.market.network_service import NetworkService
from services.market.ports import CryptoSource, EquitySource
from services.market.price_history import PriceHistory
from services.market.sources.files.cohorts import read_cohorts
from services.research.holdings_report import HoldingsReporter
from services.research.service import ResearchService
from services.rules.market_service import MarketService
from services.storage import SqlStore
from tests.fakes.clock import SetClock
from tests.fakes.image import MEMORY, keep, opened
from tests.fakes.vendors import Vendors

DESK, OTHER_DESK = Channel(team="T1", id="C1"), Channel(team="T1", id="C2")
TODAY, YESTERDAY = date(2026, 3, 4), date(2026, 3, 3)
OPEN = datetime(2026, 3, 4, 14, 30, tzinfo=UTC)
CLOSE = datetime(2026, 3, 4, 21, 0, tzinfo=UTC)


@dataclass(slots=True, repr=False)  # asyncio writes down what a fixture gives, and this would be a book
class Floor:
    """`spread` moves the ETF against yesterday's close of 20 dollars while bitcoin stands still at 50,000."""

    clock: SetClock
    vendors: Vendors
    store: SqlStore
    market: MarketService
    monitor: Monitor
    upkeep: Maintenance
    desk: ChannelCommands
    study: ResearchService
    nudges: list[datetime] = field(default_factory=list)

    async def tick(self, at: datetime, spread: float | None = None) -> int | None:
        """One tick at `at`, with a trade at that instant where a spread is given."""
        self.clock.at = at
        if spread is not None:
            self.vendors.etf_last = (20.0 * (1 + spread), at)
        return await self.monitor.tick(at)

    async def ticks(self, begin: datetime, spreads: list[float | None]) -> datetime:
        """A tick every five minutes; give the time of the last."""
        for step, spread in enumerate(spreads):
            await self.tick(begin + step * timedelta(minutes=5), spread)
        return self.clock.at

    async def told(self) -> list[Entry]:
        """Deliver everything, and give the lines that threads gained by it, in their order."""
        now, entries = self.clock.at, list[Entry]()
        while due := await self.store.due(now):
            for delivery in due:
                if isinstance(delivery.told, ThreadMessage):
                    entries.append(delivery.told.entry)
                await self.store.mark_sent(delivery, f"{delivery.id}", now)
        return entries

    async def open_alerts(self, channel: Channel | None = None) -> list[Alert]:
        return [stored.alert for stored in await self.store.open_alerts(channel)]


@asynccontextmanager
async def trading_floor(
    url: str = MEMORY,
    clock: SetClock | None = None,
    *,
    warm: bool = True,
    witnessed: bool = False,
    mining: NetworkService | None = None,
) -> AsyncIterator[Floor]:
    """Open the floor shortly before the session of 2026-03-04, with no rules and, where `warm`, with prices known.

    A `witnessed` one has a second source for each leg, Nasdaq for closes only. Without `mining` nothing is known of the
    bitcoin network.
    """
    mining = mining or NetworkService([])
    clock = clock or SetClock(OPEN - timedelta(minutes=10))
    vendors = Vendors(clock, etf_moves={YESTERDAY: 20.0}, crypto_moves={datetime(2026, 3, 3, tzinfo=UTC): 50_000.0})
    begun = ("floor", witnessed, clock.at) if warm and url == MEMORY else None
    store = await (opened(begun) if begun else SqlStore.open(url))
    equities: list[EquitySource] = [vendors.yahoo(), *([vendors.nasdaq()] if witnessed else [])]
    cryptos: list[CryptoSource] = [vendors.coinbase(), *([vendors.bitstamp()] if witnessed else [])]
    market = MarketService(PriceHistory(equities, cryptos, store, witnessed=witnessed), mining)
    watchlist = RuleIndex(store)
    nudges: list[datetime] = []
    floor = Floor(
        clock=clock,
        vendors=vendors,
        store=store,
        market=market,
        monitor=Monitor(
            store=store,
            market=market,
            watchlist=watchlist,
            pair=WGMI_BTC,
            nudge=lambda: nudges.append(clock.at),
        ),
        upkeep=Maintenance(store=store, market=market, watchlist=watchlist, nudge=lambda: nudges.append(clock.at)),
        desk=ChannelCommands(store=store, market=market, clock=clock, nudge=lambda: nudges.append(clock.at)),
        study=ResearchService(
            market.history, mining, HoldingsReporter(market.history, store, WGMI_BTC.etf, read_cohorts())
        ),
        nudges=nudges,
    )
    if warm:
        await market.view(WGMI_BTC, clock.at)
    if begun:
        keep(begun, store)
    try:
        yield floor
    finally:
        await store.aclose()

"""Test harness: the real services over an in-memory store, with fake vendors and a clock set by tests."""

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from services.alerting.alert import Alert, TimelineEntry
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
from tests.fakes.store_snapshots import MEMORY, open_snapshot, save_snapshot
from tests.fakes.vendors import Vendors

CHANNEL, OTHER_CHANNEL = Channel(team="T1", id="C1"), Channel(team="T1", id="C2")
TODAY, YESTERDAY = date(2026, 3, 4), date(2026, 3, 3)
OPEN = datetime(2026, 3, 4, 14, 30, tzinfo=UTC)
CLOSE = datetime(2026, 3, 4, 21, 0, tzinfo=UTC)


@dataclass(slots=True, repr=False)  # pytest-asyncio logs fixture values, and this one is huge
class Harness:
    """The services and their fakes; a test's `spread` moves the ETF from yesterday's $20 close while bitcoin stays at
    50,000.

    `wake_ups` has the times at which the dispatcher was woken.
    """

    clock: SetClock
    vendors: Vendors
    store: SqlStore
    market: MarketService
    monitor: Monitor
    maintenance: Maintenance
    commands: ChannelCommands
    research: ResearchService
    wake_ups: list[datetime] = field(default_factory=list)

    async def tick(self, at: datetime, spread: float | None = None) -> int | None:
        """Run one tick at `at`, with a trade at that instant if a spread is given."""
        self.clock.at = at
        if spread is not None:
            self.vendors.etf_last = (20.0 * (1 + spread), at)
        return await self.monitor.tick(at)

    async def ticks(self, begin: datetime, spreads: list[float | None]) -> datetime:
        """Run a tick every five minutes, and return the time of the last."""
        for step, spread in enumerate(spreads):
            await self.tick(begin + step * timedelta(minutes=5), spread)
        return self.clock.at

    async def deliver_all(self) -> list[TimelineEntry]:
        """Mark all messages as delivered, and return the new thread entries in order."""
        now, entries = self.clock.at, list[TimelineEntry]()
        while due := await self.store.due(now):
            for delivery in due:
                if isinstance(delivery.message, ThreadMessage):
                    entries.append(delivery.message.entry)
                await self.store.mark_sent(delivery, f"{delivery.id}", now)
        return entries

    async def open_alerts(self, channel: Channel | None = None) -> list[Alert]:
        return [stored.alert for stored in await self.store.open_alerts(channel)]


@asynccontextmanager
async def open_harness(
    url: str = MEMORY,
    clock: SetClock | None = None,
    *,
    warm: bool = True,
    two_sources: bool = False,
    network: NetworkService | None = None,
) -> AsyncIterator[Harness]:
    """Open a harness shortly before the session of 2026-03-04, without rules and, if `warm`, with prices loaded.

    With `two_sources`, each leg has a second source; Nasdaq has closes only. Without `network`, there is no data on the
    bitcoin network.
    """
    network = network or NetworkService([])
    clock = clock or SetClock(OPEN - timedelta(minutes=10))
    vendors = Vendors(clock, etf_moves={YESTERDAY: 20.0}, crypto_moves={datetime(2026, 3, 3, tzinfo=UTC): 50_000.0})
    snapshot_key = ("harness", two_sources, clock.at) if warm and url == MEMORY else None
    store = await (open_snapshot(snapshot_key) if url == MEMORY else SqlStore.open(url))
    equities: list[EquitySource] = [vendors.yahoo(), *([vendors.nasdaq()] if two_sources else [])]
    cryptos: list[CryptoSource] = [vendors.coinbase(), *([vendors.bitstamp()] if two_sources else [])]
    market = MarketService(PriceHistory(equities, cryptos, store, requires_witness=two_sources), network)
    rule_index = RuleIndex(store)
    wake_ups: list[datetime] = []
    harness = Harness(
        clock=clock,
        vendors=vendors,
        store=store,
        market=market,
        monitor=Monitor(
            store=store,
            market=market,
            rule_index=rule_index,
            pair=WGMI_BTC,
            nudge=lambda: wake_ups.append(clock.at),
        ),
        maintenance=Maintenance(
            store=store, market=market, rule_index=rule_index, nudge=lambda: wake_ups.append(clock.at)
        ),
        commands=ChannelCommands(store=store, market=market, clock=clock, nudge=lambda: wake_ups.append(clock.at)),
        research=ResearchService(
            market.history, network, HoldingsReporter(market.history, store, WGMI_BTC.etf, read_cohorts())
        ),
        wake_ups=wake_ups,
    )
    if snapshot_key in _warm_markets:
        _copy_memory(_warm_markets[snapshot_key], market)
    elif warm:
        await market.view(WGMI_BTC, clock.at)
        vendors.requests.clear()
    if snapshot_key and snapshot_key not in _warm_markets:
        save_snapshot(snapshot_key, store)
        _warm_markets[snapshot_key] = MarketService(PriceHistory(equities, cryptos, store), network)
        _copy_memory(market, _warm_markets[snapshot_key])
    try:
        yield harness
    finally:
        await store.aclose()


_warm_markets: dict[Hashable, MarketService] = {}  # templates by the store's snapshot; copied, never used


def _copy_memory(source: MarketService, target: MarketService) -> None:
    """Copy the prices in memory, which are immutable, behind the services' backs: to load them again takes 0.1 s."""
    target._views |= source._views  # noqa: SLF001
    target._closes |= source._closes  # noqa: SLF001
    target.history._consensus |= source.history._consensus  # noqa: SLF001
    target.history._wanted_since |= source.history._wanted_since  # noqa: SLF001
    for equity, copy in zip(source.history._equity_feeds, target.history._equity_feeds, strict=True):  # noqa: SLF001
        copy._known |= equity._known  # noqa: SLF001
    for coin, coin_copy in zip(source.history._crypto_feeds, target.history._crypto_feeds, strict=True):  # noqa: SLF001
        coin_copy._known |= coin._known  # noqa: SLF001

"""The trading floor: the real services over an in-memory store, with vendors and a clock that tests set."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from services.constituents import Constituents
from services.desk import Desk
from services.domain.episode import Alert, Channel, Entry
from services.domain.prices import WGMI_BTC
from services.history import History
from services.market import Market
from services.mining import Mining
from services.monitor import Monitor
from services.ports import LineTold
from services.sources.cohorts_file import read_cohorts
from services.store import SqlStore
from services.study import Study
from services.upkeep import Upkeep
from services.watchlist import Watchlist
from tests.fakes.clock import SetClock
from tests.fakes.image import MEMORY, keep, opened
from tests.fakes.vendors import Vendors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.ports import CryptoSource, EquitySource

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
    market: Market
    monitor: Monitor
    upkeep: Upkeep
    desk: Desk
    study: Study
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
                if isinstance(delivery.told, LineTold):
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
    mining: Mining | None = None,
) -> AsyncIterator[Floor]:
    """Open the floor shortly before the session of 2026-03-04, with no rules and, where `warm`, with prices known.

    A `witnessed` one has a second source for each leg, Nasdaq for closes only. Without `mining` nothing is known of the
    bitcoin network.
    """
    mining = mining or Mining([])
    clock = clock or SetClock(OPEN - timedelta(minutes=10))
    vendors = Vendors(clock, etf_moves={YESTERDAY: 20.0}, crypto_moves={datetime(2026, 3, 3, tzinfo=UTC): 50_000.0})
    begun = ("floor", witnessed, clock.at) if warm and url == MEMORY else None
    store = await (opened(begun) if begun else SqlStore.open(url))
    equities: list[EquitySource] = [vendors.yahoo(), *([vendors.nasdaq()] if witnessed else [])]
    cryptos: list[CryptoSource] = [vendors.coinbase(), *([vendors.bitstamp()] if witnessed else [])]
    market = Market(History(equities, cryptos, store, witnessed=witnessed), mining)
    watchlist = Watchlist(store)
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
        upkeep=Upkeep(store=store, market=market, watchlist=watchlist, nudge=lambda: nudges.append(clock.at)),
        desk=Desk(store=store, market=market, clock=clock, nudge=lambda: nudges.append(clock.at)),
        study=Study(market.history, mining, Constituents(market.history, store, WGMI_BTC.etf, read_cohorts())),
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

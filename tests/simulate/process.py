"""A process: the services as `bot.app` wires them, behind one gate, on a disk and a Slack that outlive it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from bot.scheduler import TickScheduler
from handlers.notifier import SlackNotifier
from services.alerting.monitor import Monitor
from services.alerting.rule_index import RuleIndex
from services.channels.commands import ChannelCommands
from services.channels.maintenance import Maintenance
from services.core.prices import WGMI_BTC, Pair
from services.delivery.outbox import Outbox
from services.market.network_service import NetworkService
from services.market.price_history import PriceHistory
from services.rules.market_service import MarketService, MarketView
from tests.simulate.gate import Gate, GatedStore
from tests.simulate.loop import VirtualClock
from tests.simulate.plan import POOL
from tests.simulate.slack import connect
from tests.simulate.sources import Pool, Vendor, Venue
from tests.simulate.witness import Witness

if TYPE_CHECKING:
    from tests.simulate.world import World

EVERY = timedelta(minutes=5)
AGAIN_AFTER_S, AT_MOST = 61, 2
IDLE = timedelta(hours=1)  # a process that polls would spend the run on that; see `World.nudge`


@dataclass(slots=True)
class WatchedMarket(MarketService):
    """The market, which shows the witness what it shows the monitor."""

    witness: Witness = field(kw_only=True)

    async def view(self, pair: Pair, now: datetime) -> MarketView:
        """Fetch, align and measure a pair."""
        self.witness.look(None)
        seen = await super(WatchedMarket, self).view(pair, now)
        self.witness.look(seen)
        return seen

    async def view_with_network(self, pair: Pair, now: datetime) -> MarketView:
        """Do the same, and look at the bitcoin network too."""
        self.witness.look(None)
        seen = await super(WatchedMarket, self).view_with_network(pair, now)
        self.witness.look(seen)
        return seen


@dataclass(slots=True)
class Process:
    """One life of a process on one machine, from its start to its death or the end of the run."""

    name: str
    world: World
    clock: VirtualClock
    gate: Gate
    desk: ChannelCommands
    outbox: Outbox
    ticker: TickScheduler
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def run(self, looks: Sequence[datetime]) -> None:
        """Deliver, and tick at once and then at each of these true instants."""
        self.tasks = [asyncio.ensure_future(self.outbox.run()), asyncio.ensure_future(self._tick(looks))]

    async def end(self) -> None:
        """Let nothing of it go on."""
        self.gate.dead = True
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _tick(self, looks: Sequence[datetime]) -> None:
        await self._tick_until_done()
        for at in looks:
            wait = (at - self.world.now()).total_seconds()
            if wait > 0:
                await asyncio.sleep(wait)
                await self._tick_until_done()

    async def _tick_until_done(self) -> None:
        """Tick, and where that failed once more a minute later, as the scheduler does between long rounds."""
        for _ in range(AT_MOST):
            before = self.clock.now()
            await self.ticker.tick()
            if self.ticker.last_good_at is not None and self.ticker.last_good_at >= before:
                return
            await asyncio.sleep(AGAIN_AFTER_S)


def start(name: str, world: World, clock: VirtualClock) -> Process:
    """Wire a process anew from nothing but the disk."""
    gate = Gate(name, world.passages, lambda: world.bury(name))

    def store(witness: Witness) -> Any:  # noqa: ANN401 -- stands in for each of the store's ports
        return GatedStore(world.disk.store(), gate, witness)

    seen = Witness(world.ledger, ticks=True)
    watched = store(seen)
    desk_store, outbox_store, upkeep_store = (store(Witness(world.ledger)) for _ in range(3))
    history = PriceHistory(
        [Vendor(one, world.tape, world.now) for one in ("Alpha", "Beta")],
        [Venue(one, world.tape, world.now) for one in ("Gamma", "Delta")],
        watched,
    )
    mining = NetworkService([Pool(POOL, world.tape, world.now)])
    market = WatchedMarket(history, mining, witness=seen)
    notifier = SlackNotifier(connect(world.slack, gate, clock.now), clock)
    outbox = Outbox(store=outbox_store, notifier=notifier, clock=clock, max_sleep=IDLE)
    watchlist = RuleIndex(cast("Any", watched))
    monitor = Monitor(
        store=watched,
        market=market,
        rule_index=watchlist,
        pair=WGMI_BTC,
        nudge=world.nudge,
        every=EVERY,
    )
    upkeep = Maintenance(store=upkeep_store, market=market, rule_index=watchlist, nudge=world.nudge)
    return Process(
        name=name,
        world=world,
        clock=clock,
        gate=gate,
        desk=ChannelCommands(store=desk_store, market=market, clock=clock, nudge=world.nudge),
        outbox=outbox,
        ticker=TickScheduler(monitor=monitor, clock=clock, maintenance=upkeep),
    )

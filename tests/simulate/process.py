"""A process: the services as `bot.app` wires them, with injected faults, on a disk and a Slack that outlive it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from bot.scheduler import TickScheduler
from handlers.slack_notifier import SlackNotifier
from services.alerting.monitor import Monitor
from services.alerting.rule_index import RuleIndex
from services.channels.commands import ChannelCommands
from services.channels.maintenance import Maintenance
from services.core.prices import WGMI_BTC, Pair
from services.delivery.outbox import Outbox
from services.market.network_service import NetworkService
from services.market.price_history import PriceHistory
from services.rules.market_service import MarketService
from services.rules.market_view import MarketView
from tests.simulate.fault_injection import FaultInjector, FaultyStore
from tests.simulate.plan import NETWORK_SOURCE
from tests.simulate.slack import connect
from tests.simulate.sources import SimulatedCrypto, SimulatedEquity, SimulatedNetwork
from tests.simulate.virtual_time import VirtualClock
from tests.simulate.write_checks import WriteChecker

if TYPE_CHECKING:
    from tests.simulate.world import World

TICK_INTERVAL = timedelta(minutes=5)
RETRY_AFTER_S, MAX_TRIES = 61, 2
MAX_SLEEP = timedelta(hours=1)  # polling would take most of the run; see `World.nudge`


@dataclass(slots=True)
class WatchedMarket(MarketService):
    """The market service; it passes every view to the checker."""

    checker: WriteChecker = field(kw_only=True)

    async def view(self, pair: Pair, now: datetime) -> MarketView:
        """Fetch, align and measure a pair."""
        return await self._observed(super(WatchedMarket, self).view(pair, now))

    async def view_with_network(self, pair: Pair, now: datetime) -> MarketView:
        """Fetch, align and measure a pair and the bitcoin network."""
        return await self._observed(super(WatchedMarket, self).view_with_network(pair, now))

    async def _observed(self, fetch: Awaitable[MarketView]) -> MarketView:
        self.checker.observe_view(None)
        view = await fetch
        self.checker.observe_view(view)
        return view


@dataclass(slots=True)
class Process:
    """One process on a machine, from its start to its crash or the end of the run."""

    name: str
    world: World
    clock: VirtualClock
    injector: FaultInjector
    commands: ChannelCommands
    outbox: Outbox
    ticker: TickScheduler
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def run(self, tick_times: Sequence[datetime]) -> None:
        """Start delivery, and tick now and at each of these true times."""
        self.tasks = [asyncio.ensure_future(self.outbox.run()), asyncio.ensure_future(self._tick(tick_times))]

    async def end(self) -> None:
        """Cancel all tasks."""
        self.injector.crashed = True
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _tick(self, tick_times: Sequence[datetime]) -> None:
        await self._tick_with_retry()
        for at in tick_times:
            wait = (at - self.world.now()).total_seconds()
            if wait > 0:
                await asyncio.sleep(wait)
                await self._tick_with_retry()

    async def _tick_with_retry(self) -> None:
        """Tick, and retry once after a minute if it failed, like the scheduler between long rounds."""
        for _ in range(MAX_TRIES):
            before = self.clock.now()
            await self.ticker.tick()
            if self.ticker.last_good_at is not None and self.ticker.last_good_at >= before:
                return
            await asyncio.sleep(RETRY_AFTER_S)


def start(name: str, world: World, clock: VirtualClock) -> Process:
    """Build a process from the disk alone."""
    injector = FaultInjector(name, world.fault_points, lambda: world.restart_later(name))

    def store(checker: WriteChecker) -> Any:  # noqa: ANN401 -- implements every port
        return FaultyStore(world.disk.store(), injector, checker)

    checker = WriteChecker(world.model, ticks=True)
    tick_store = store(checker)
    commands_store, outbox_store, maintenance_store = (store(WriteChecker(world.model)) for _ in range(3))
    history = PriceHistory(
        [SimulatedEquity(one, world.market, world.now) for one in ("Alpha", "Beta")],
        [SimulatedCrypto(one, world.market, world.now) for one in ("Gamma", "Delta")],
        tick_store,
    )
    network = NetworkService([SimulatedNetwork(NETWORK_SOURCE, world.market, world.now)])
    market = WatchedMarket(history, network, checker=checker)
    notifier = SlackNotifier(connect(world.slack, injector, clock.now), clock)
    outbox = Outbox(store=outbox_store, notifier=notifier, clock=clock, max_sleep=MAX_SLEEP)
    rule_index = RuleIndex(cast("Any", tick_store))
    monitor = Monitor(
        store=tick_store,
        market=market,
        rule_index=rule_index,
        pair=WGMI_BTC,
        nudge=world.nudge,
        every=TICK_INTERVAL,
    )
    maintenance = Maintenance(store=maintenance_store, market=market, rule_index=rule_index, nudge=world.nudge)
    return Process(
        name=name,
        world=world,
        clock=clock,
        injector=injector,
        commands=ChannelCommands(store=commands_store, market=market, clock=clock, nudge=world.nudge),
        outbox=outbox,
        ticker=TickScheduler(monitor=monitor, clock=clock, maintenance=maintenance),
    )

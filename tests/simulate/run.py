"""One run of a seed, from an image of the store to the final checks."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from random import Random

import numpy as np

from services.core.identity import Channel
from services.core.prices import Bars, Closes, Symbol
from services.market.consensus.corporate_actions import DeclaredActions
from services.rules.grammar import parse_rule
from tests.fakes.market import CALENDAR
from tests.simulate.disk import Disk, simulated_disk
from tests.simulate.event_log import EventLog
from tests.simulate.fault_injection import FaultPoints
from tests.simulate.final_checks import check_final_state
from tests.simulate.people import TEAM, People
from tests.simulate.plan import CRYPTO_SOURCES, ETF_SOURCES, MINUTE, Plan, draw_plan
from tests.simulate.reference_model import ReferenceModel
from tests.simulate.slack import simulated_slack
from tests.simulate.sources import RELATIVE_PRICES, TrueMarket, base_closes, base_crypto
from tests.simulate.virtual_time import VirtualClock, VirtualLoop
from tests.simulate.world import World

STORED_SESSIONS = 75
HOUR_S = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The violations of a run, and how much happened in it."""

    seed: int
    violations: tuple[str, ...]
    log: EventLog
    digest: str
    transitions: int
    messages: int
    steps: int


def run(seed: int, plan: Plan | None = None) -> RunResult:
    """Run a seed, including the final checks."""
    plan = plan or draw_plan(seed)
    disk = simulated_disk()
    disk.restore(_image(plan.begin.replace(second=0, microsecond=0)))
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    world = _world(plan, loop, disk)
    try:
        with _seeded_keys(world.random):
            loop.run_until_complete(_run(world))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return RunResult(
        seed=seed,
        violations=tuple(world.model.violations),
        log=world.log,
        digest=world.log.digest,
        transitions=world.model.transitions,
        messages=sum(map(len, world.slack.messages.values())),
        steps=world.fault_points.next(),
    )


async def _run(world: World) -> None:
    store = world.disk.store()
    for name, text in (*world.plan.rules, *world.plan.network.rules):
        channel = Channel(team=TEAM, id=name)
        rules = await store.add_rules(channel, [parse_rule(text)], "U0", world.plan.begin)
        world.model.rules |= {rule.id: rule for rule in rules}
    await world.run()
    await check_final_state(world)


def _world(plan: Plan, loop: VirtualLoop, disk: Disk) -> World:
    clock = VirtualClock(loop, plan.begin)
    log, random = EventLog(clock.now), Random(f"{plan.seed} at work")  # noqa: S311 -- reproducible
    model = ReferenceModel(log)
    slack = simulated_slack(plan, clock.now, random, log, model.channel_model.check_post)
    return World(
        plan=plan,
        loop=loop,
        disk=disk,
        log=log,
        random=random,
        market=TrueMarket(plan),
        model=model,
        slack=slack,
        people=People(random, slack, log),
        fault_points=FaultPoints(plan, random, log, lambda: clock.now() < plan.faults_end_at),
    )


@contextmanager
def _seeded_keys(random: Random) -> Iterator[None]:
    """Derive message keys from the seed too, because they decide the delay of retries."""
    real = secrets.token_hex
    secrets.token_hex = lambda nbytes=None: random.randbytes(nbytes or 32).hex()
    try:
        yield
    finally:
        secrets.token_hex = real


@lru_cache(maxsize=8)
def _image(begin: datetime) -> bytes:
    """Return a disk image with the previous sessions of each source."""
    disk, loop = simulated_disk(), VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(_seed(disk, begin))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return disk.image()


async def _seed(disk: Disk, begin: datetime) -> None:
    await disk.clear()
    store, last = disk.store(), CALENDAR.last_closed(begin) + 1
    first = last - STORED_SESSIONS
    days, closes = CALENDAR.days[first:last], base_closes()[first:last]
    for source in ETF_SOURCES:
        for symbol, scale in RELATIVE_PRICES.items():
            record = Closes(symbol=symbol, sessions=days, prices=closes * scale, source=source)
            await store.save_closes(record, begin, DeclaredActions(source=source, since=days[0].astype(object)))
    opened_s = np.arange(
        int(CALENDAR.opens_at[first].astype(np.int64)) // HOUR_S * HOUR_S, begin.timestamp() - HOUR_S, HOUR_S
    )
    for source in CRYPTO_SOURCES:
        bars = Bars(
            symbol=Symbol("BTC"),
            interval=60 * MINUTE,
            opened_at=opened_s.astype(np.int64).astype("datetime64[s]"),
            closes=base_crypto(opened_s + HOUR_S),
            source=source,
        )
        await store.save_bars(bars)

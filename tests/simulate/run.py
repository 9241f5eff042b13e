"""One run of a seed, from an image of the store to the final checks."""

from __future__ import annotations

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
from tests.simulate.disk import Disk, the_disk
from tests.simulate.gate import Passages
from tests.simulate.ledger import Ledger
from tests.simulate.log import Log
from tests.simulate.loop import VirtualClock, VirtualLoop
from tests.simulate.people import TEAM, People
from tests.simulate.plan import MINUTE, VENDORS, VENUES, Plan, draw
from tests.simulate.slack import simulated_slack
from tests.simulate.sources import SHARES, Tape, usual_closes, usual_coin
from tests.simulate.verdict import judge
from tests.simulate.world import World

KNOWN_SESSIONS = 75
HOUR_S = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a run came to: the promises that were broken, and how much there was to keep them in."""

    seed: int
    broken: tuple[str, ...]
    log: Log
    digest: str
    transitions: int
    messages: int
    steps: int


def run(seed: int, plan: Plan | None = None) -> Told:
    """Run a seed from its beginning to its verdict."""
    plan = plan or draw(seed)
    disk = the_disk()
    disk.restore(_image(plan.begin.replace(second=0, microsecond=0)))
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    world = _world(plan, loop, disk)
    try:
        with _all_chance_from(world.chance):
            loop.run_until_complete(_run(world))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return Told(
        seed=seed,
        broken=tuple(world.ledger.broken),
        log=world.log,
        digest=world.log.digest,
        transitions=world.ledger.transitions,
        messages=sum(map(len, world.slack.messages.values())),
        steps=world.passages.next(),
    )


async def _run(world: World) -> None:
    store = world.disk.store()
    for channel, text in (*world.plan.rules, *world.plan.network.rules):
        where = Channel(team=TEAM, id=channel)
        watches = await store.add_rules(where, [parse_rule(text)], "U0", world.plan.begin)
        world.ledger.rules |= {watch.id: watch for watch in watches}
    await world.go()
    await judge(world)


def _world(plan: Plan, loop: VirtualLoop, disk: Disk) -> World:
    clock = VirtualClock(loop, plan.begin)
    log, chance = Log(clock.now), Random(f"{plan.seed} at work")  # noqa: S311 -- to be drawn again
    ledger = Ledger(log)
    slack = simulated_slack(plan, clock.now, chance, log, ledger.silences.posted)
    return World(
        plan=plan,
        loop=loop,
        disk=disk,
        log=log,
        chance=chance,
        tape=Tape(plan),
        ledger=ledger,
        slack=slack,
        people=People(chance, slack, log),
        passages=Passages(plan, chance, log, lambda: clock.now() < plan.calm_at),
    )


@contextmanager
def _all_chance_from(chance: Random) -> Iterator[None]:
    """Let the keys of messages come out of the seed too: they decide how long a retry waits."""
    real = secrets.token_hex
    secrets.token_hex = lambda nbytes=None: chance.randbytes(nbytes or 32).hex()
    try:
        yield
    finally:
        secrets.token_hex = real


@lru_cache(maxsize=8)
def _image(begin: datetime) -> bytes:
    """Give a disk on which each source has told the sessions before."""
    disk, loop = the_disk(), VirtualLoop()
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
    first = last - KNOWN_SESSIONS
    days, closes = CALENDAR.days[first:last], usual_closes()[first:last]
    for source in VENDORS:
        for symbol, scale in SHARES.items():
            told = Closes(symbol=symbol, sessions=days, prices=closes * scale, source=source)
            await store.save_closes(told, begin, DeclaredActions(source=source, since=days[0].astype(object)))
    opened_s = np.arange(
        int(CALENDAR.opens_at[first].astype(np.int64)) // HOUR_S * HOUR_S, begin.timestamp() - HOUR_S, HOUR_S
    )
    for source in VENUES:
        bars = Bars(
            symbol=Symbol("BTC"),
            interval=60 * MINUTE,
            opened_at=opened_s.astype(np.int64).astype("datetime64[s]"),
            closes=usual_coin(opened_s + HOUR_S),
            source=source,
        )
        await store.save_bars(bars)

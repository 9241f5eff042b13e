"""One run: machines that start, die and start again in a world that goes on, until all is calm and then judged."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from random import Random

import numpy as np

from services.core.identity import Channel
from services.core.prices import Bars, Closes, Symbol
from services.market.consensus.corporate_actions import Declared
from services.rules.grammar import parse_rule
from tests.fakes.market import CALENDAR
from tests.simulate.disk import Disk, the_disk
from tests.simulate.gate import Passages
from tests.simulate.ledger import Ledger
from tests.simulate.log import Log
from tests.simulate.loop import VirtualClock, VirtualLoop
from tests.simulate.people import TEAM, People
from tests.simulate.plan import CHANNELS, MINUTE, VENDORS, VENUES, Plan, draw
from tests.simulate.process import Process, start
from tests.simulate.slack import Slack
from tests.simulate.sources import SHARES, Tape, usual_closes, usual_coin
from tests.simulate.verdict import judge

REBORN_AFTER_S = (2, 45, 150)
PATIENCE_S = 4 * 3_600
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


@dataclass(slots=True)
class World:
    """What outlives every process of a run."""

    plan: Plan
    loop: VirtualLoop
    disk: Disk
    log: Log
    chance: Random
    tape: Tape
    ledger: Ledger
    slack: Slack
    people: People
    passages: Passages
    alive: dict[str, Process] = field(default_factory=dict)
    _clocks: list[VirtualClock] = field(default_factory=list)
    _funerals: set[asyncio.Task[None]] = field(default_factory=set)

    def now(self) -> datetime:
        """Tell the true time."""
        return VirtualClock(self.loop, self.plan.begin).now()

    async def go(self) -> None:
        """Let the run happen, faults and all, and then let everything come to rest."""
        plan = self.plan
        self._clocks = [VirtualClock(self.loop, plan.begin, skew) for skew in plan.skews]
        for machine in range(plan.machines):
            self._start(machine)
        await asyncio.gather(self._set_clocks(), self._let_people_act(), self._sleep_until(plan.looks[-1] + MINUTE))
        if plan.hears:
            await self._end_silences()
        await self._wait_for_delivery()
        for process in list(self.alive.values()):
            await process.end()
        await asyncio.gather(*self._funerals)

    def nudge(self) -> None:
        """Tell every process that something may be due, as its next poll would; the others are told a second later."""
        for number, name in enumerate(sorted(self.alive)):
            self.loop.call_later(float(number), self._nudge, name)

    def _nudge(self, name: str) -> None:
        if name in self.alive:
            self.alive[name].outbox.nudge()

    def bury(self, name: str) -> None:
        """End a process that has died, and start its machine again a little later."""
        funeral = asyncio.ensure_future(self._bury(self.alive.pop(name)))
        self._funerals.add(funeral)

    async def _bury(self, dead: Process) -> None:
        await dead.end()
        await asyncio.sleep(self.chance.choice(REBORN_AFTER_S))
        self._start(int(dead.name[1]))

    def _start(self, machine: int) -> None:
        process = start(f"p{machine}", self, self._clocks[machine])
        self.alive[process.name] = process
        self.log.add(process.name, "starts")
        process.run([at for at in self.plan.looks if at > self.now()])

    async def _set_clocks(self) -> None:
        for jump in sorted(self.plan.jumps, key=lambda jump: jump.at):
            await self._sleep_until(jump.at)
            self._clocks[jump.machine].off = jump.off
            self.log.add(f"p{jump.machine}", "has its clock off by", jump.off)

    async def _let_people_act(self) -> None:
        for at, act, channel in self.plan.acts:
            await self._sleep_until(at)
            if self.alive:
                desk = self.chance.choice(sorted(self.alive.items()))[1]
                task = asyncio.ensure_future(self.people.act(desk.desk, act, channel))
                desk.tasks.append(task)

    async def _end_silences(self) -> None:
        """Let people unmute every channel and take its quiet hours back."""
        desk = min(self.alive.items())[1].desk
        for channel in [Channel(team=TEAM, id=name) for name in CHANNELS]:
            await desk.channels.set(channel, "quiet off", "U0", lambda _name: None)
            await desk.channels.mute(channel, "off", "U0")

    async def _sleep_until(self, at: datetime) -> None:
        await asyncio.sleep(max(0.0, (at - self.now()).total_seconds()))

    async def _wait_for_delivery(self) -> None:
        """Give what waits the time that it may take, and no more."""
        store, end = self.disk.store(), self.loop.time() + PATIENCE_S
        while self.loop.time() < end and (await store.backlog(self.now())).waiting:  # noqa: ASYNC110 -- virtual time
            await asyncio.sleep(60)


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
    slack = Slack(plan, clock.now, chance, log, ledger.silences.posted)
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
            await store.save_closes(told, begin, Declared(source=source, since=days[0].astype(object)))
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

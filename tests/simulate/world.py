"""One run: machines that start, die and start again in a world that goes on, until all is calm and then judged."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from services.core.identity import Channel
from tests.fakes.slack import FakeSlack
from tests.simulate.disk import Disk
from tests.simulate.gate import Passages
from tests.simulate.ledger import Ledger
from tests.simulate.log import Log
from tests.simulate.loop import VirtualClock, VirtualLoop
from tests.simulate.people import TEAM, People
from tests.simulate.plan import CHANNELS, MINUTE, Plan
from tests.simulate.process import Process, start
from tests.simulate.sources import Tape

REBORN_AFTER_S = (2, 45, 150)
PATIENCE_S = 4 * 3_600
KNOWN_SESSIONS = 75
HOUR_S = 3_600


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
    slack: FakeSlack
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
            await desk.settings.set(channel, "quiet off", "U0", lambda _name: None)
            await desk.settings.mute(channel, "off", "U0")

    async def _sleep_until(self, at: datetime) -> None:
        await asyncio.sleep(max(0.0, (at - self.now()).total_seconds()))

    async def _wait_for_delivery(self) -> None:
        """Give what waits the time that it may take, and no more."""
        store, end = self.disk.store(), self.loop.time() + PATIENCE_S
        while self.loop.time() < end and (await store.backlog(self.now())).waiting:  # noqa: ASYNC110 -- virtual time
            await asyncio.sleep(60)

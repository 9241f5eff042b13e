"""Machines whose processes start, crash and restart, in a world that outlives them."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from services.core.identity import Channel
from tests.fakes.slack import FakeSlack
from tests.simulate.disk import Disk
from tests.simulate.event_log import EventLog
from tests.simulate.fault_injection import FaultPoints
from tests.simulate.people import TEAM, People
from tests.simulate.plan import CHANNELS, MINUTE, Plan
from tests.simulate.process import Process, start
from tests.simulate.reference_model import ReferenceModel
from tests.simulate.sources import TrueMarket
from tests.simulate.virtual_time import VirtualClock, VirtualLoop

RESTART_AFTER_S = (2, 45, 150)
DELIVERY_TIMEOUT_S = 4 * 3_600


@dataclass(slots=True)
class World:
    """What outlives the processes of a run."""

    plan: Plan
    loop: VirtualLoop
    disk: Disk
    log: EventLog
    random: Random
    market: TrueMarket
    model: ReferenceModel
    slack: FakeSlack
    people: People
    fault_points: FaultPoints
    processes: dict[str, Process] = field(default_factory=dict)
    _clocks: list[VirtualClock] = field(default_factory=list)
    _restarts: set[asyncio.Task[None]] = field(default_factory=set)

    def now(self) -> datetime:
        """Return the true time."""
        return VirtualClock(self.loop, self.plan.begin).now()

    async def run(self) -> None:
        """Run the plan, then wait until everything is delivered."""
        plan = self.plan
        self._clocks = [VirtualClock(self.loop, plan.begin, offset) for offset in plan.clock_offsets]
        for machine in range(plan.machines):
            self._start(machine)
        await asyncio.gather(self._set_clocks(), self._run_people(), self._sleep_until(plan.tick_times[-1] + MINUTE))
        if plan.unmutes:
            await self._end_silences()
        await self._wait_for_delivery()
        for process in list(self.processes.values()):
            await process.end()
        await asyncio.gather(*self._restarts)

    def nudge(self) -> None:
        """Wake the outbox of every process, as its next poll would; each a second after the last."""
        for number, name in enumerate(sorted(self.processes)):
            self.loop.call_later(float(number), self._nudge, name)

    def _nudge(self, name: str) -> None:
        if name in self.processes:
            self.processes[name].outbox.nudge()

    def restart_later(self, name: str) -> None:
        """End a crashed process, and restart its machine later."""
        task = asyncio.ensure_future(self._restart(self.processes.pop(name)))
        self._restarts.add(task)

    async def _restart(self, crashed: Process) -> None:
        await crashed.end()
        await asyncio.sleep(self.random.choice(RESTART_AFTER_S))
        self._start(int(crashed.name[1]))

    def _start(self, machine: int) -> None:
        process = start(f"p{machine}", self, self._clocks[machine])
        self.processes[process.name] = process
        self.log.add(process.name, "starts")
        process.run([at for at in self.plan.tick_times if at > self.now()])

    async def _set_clocks(self) -> None:
        for jump in sorted(self.plan.jumps, key=lambda jump: jump.at):
            await self._sleep_until(jump.at)
            self._clocks[jump.machine].offset = jump.offset
            self.log.add(f"p{jump.machine}", "has a clock off by", jump.offset)

    async def _run_people(self) -> None:
        for at, action, channel in self.plan.actions:
            await self._sleep_until(at)
            if self.processes:
                process = self.random.choice(sorted(self.processes.items()))[1]
                task = asyncio.ensure_future(self.people.act(process.commands, action, channel))
                process.tasks.append(task)

    async def _end_silences(self) -> None:
        """Unmute every channel and remove its quiet hours."""
        commands = min(self.processes.items())[1].commands
        for channel in [Channel(team=TEAM, id=name) for name in CHANNELS]:
            await commands.settings.set(channel, "quiet off", "U0", lambda _name: None)
            await commands.settings.mute(channel, "off", "U0")

    async def _sleep_until(self, at: datetime) -> None:
        await asyncio.sleep(max(0.0, (at - self.now()).total_seconds()))

    async def _wait_for_delivery(self) -> None:
        """Wait until nothing is left to deliver, or the timeout."""
        store, end = self.disk.store(), self.loop.time() + DELIVERY_TIMEOUT_S
        while self.loop.time() < end and (await store.backlog(self.now())).waiting:  # noqa: ASYNC110 -- virtual time
            await asyncio.sleep(60)

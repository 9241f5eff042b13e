"""Run a scenario on workers, disturb them, let them finish, and count the messages."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from services.core.errors import DatabaseUnavailableError
from services.storage import SqlStore
from tests.chaos.delivery_counts import DeliveryCounts, count
from tests.chaos.processes import Process, freeze, read_record, slack, unfreeze
from tests.chaos.scenario import LEVELS_PP, Scenario
from tests.chaos.worker import run as run_worker

Disturb = Callable[["Run"], Coroutine[None, None, None]]


POLL_S = 0.5
EARLY_KILL_SHARE = 0.25
WAIT_S = 20
TIMEOUT_S = 1200


@dataclass(slots=True)
class Run:
    """A scenario on a database and a Slack, and its workers."""

    scenario: Scenario
    database: str
    store: SqlStore
    slack: str
    random: Random
    log: Path
    workers: list[Process] = field(default_factory=list)
    claims: Counter[str] = field(default_factory=Counter)

    async def start_worker(self) -> Process:
        """Start a worker, and wait until it is ready."""
        worker = await Process.start(run_worker, f"{self.scenario}", self.database, self.slack, f"{self.log}")
        self.workers.append(worker)
        await worker.line("ready")
        return worker

    async def kill_worker(self, worker: Process) -> None:
        """Kill a worker, and count the ticks that it claimed."""
        await worker.kill()
        self.workers.remove(worker)
        self.claims.update(line for line in worker.lines if line.startswith("claim"))

    async def move_spread(self) -> None:
        """Move the spread through its levels, each after the rules have followed the last."""
        for level in LEVELS_PP * self.scenario.cycles:
            self.scenario.set_spread(level)
            rules = [rule for pair in self.scenario.rules().values() for rule in pair]
            above = sum(100 * rule.threshold <= level for rule in rules)
            await self._until(partial(_is_firing, above))

    async def finish(self) -> None:
        """Wait until everything is delivered."""
        await self._until(self._is_delivered)

    async def _until(self, condition: Callable[[SqlStore], Awaitable[bool]]) -> None:
        """Poll the store until a condition holds; the database may be down meanwhile."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                with suppress(DatabaseUnavailableError):
                    if await condition(self.store):
                        return
                await asyncio.sleep(POLL_S)

    async def _is_delivered(self, store: SqlStore) -> bool:
        return not (await store.backlog(self.scenario.clock.now())).waiting


async def run_scenario(
    build: Callable[[Path], Scenario],
    database: str,
    folder: Path,
    *,
    workers: int = 1,
    faults: str = "random",
    seed: int = 1,
    disturb: Disturb | None = None,
) -> DeliveryCounts:
    """Add the rules, start the workers, disturb them, let them finish, and count the messages."""
    store = await SqlStore.open(database)
    scenario = build(folder / "spread")
    scenario.set_spread(0)
    for channel, rules in scenario.rules().items():
        await store.add_rules(channel, rules, "U1", scenario.clock.now())
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.aclose)
        url = await stack.enter_async_context(slack(faults, seed, scenario))
        run = Run(scenario, database, store, url, Random(seed), folder / "log")  # noqa: S311 -- not a secret
        try:
            for _ in range(workers):
                await run.start_worker()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(run.move_spread())
                if disturb is not None:
                    tasks.create_task(disturb(run))
            await run.finish()
        finally:
            for worker in list(run.workers):
                await run.kill_worker(worker)
        return await count(database, await read_record(url), run.claims)


async def _is_firing(number: int, store: SqlStore) -> bool:
    rules = (await store.rulebook()).rules
    return number == sum(rule.state.firing is not None for rule in rules)


def killing(times: int, max_s: float, report: Callable[[str], None]) -> Disturb:
    """Kill the only worker at random times, and start another each time.

    One in four is killed while it starts; the others do at least one tick, so that there is progress.
    """

    async def disturb(run: Run) -> None:
        kills = 0
        while kills < times:
            if run.random.random() > EARLY_KILL_SHARE:
                await run.workers[0].line("tick")
            await asyncio.sleep(run.random.uniform(0, max_s))
            await run.kill_worker(run.workers[0])
            kills += 1
            await run.start_worker()
        report(f"kill -9: {kills} times")

    return disturb


def freezing(times: int, for_s: float, report: Callable[[str], None]) -> Disturb:
    """Freeze a worker during a send or a tick, and unfreeze it after another took its lease."""

    async def disturb(run: Run) -> None:
        for number in range(times):
            worker = run.random.choice(run.workers)
            await _wait_for(worker, "claim" if number % 2 else "lease")
            await asyncio.sleep(run.random.uniform(0, 0.02))
            freeze(worker)
            await asyncio.sleep(for_s)
            unfreeze(worker)
        report(f"SIGSTOP for {for_s:g} s: {times} times")

    return disturb


async def _wait_for(worker: Process, prefix: str) -> None:
    """Wait for a line of a worker or, if others did all of that work, for its next tick."""
    seen = len(worker.lines)
    try:
        async with asyncio.timeout(WAIT_S):
            await worker.line(prefix, after=seen)
    except TimeoutError:
        await worker.line("claim", after=seen)


def restarting(
    times: int, every_s: float, stop: Callable[[], None], start: Callable[[], None], report: Callable[[str], None]
) -> Disturb:
    """Stop the database under load, and start it again."""

    async def disturb(run: Run) -> None:
        for _ in range(times):
            await asyncio.sleep(run.random.uniform(0.5, 1.5) * every_s)
            await asyncio.to_thread(stop)
            await asyncio.sleep(run.random.uniform(0, 1))
            await asyncio.to_thread(start)
        report(f"pg_ctl -m immediate: {times} times")

    return disturb

"""Play a scene to workers, disturb them meanwhile, let them finish, and count."""

from __future__ import annotations

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
from tests.chaos.crew import Process, freeze, ledger, slack, thaw
from tests.chaos.scene import LEVELS_PP, Scene
from tests.chaos.tally import Tally, count
from tests.chaos.worker import run as work

Disturb = Callable[["Stage"], Coroutine[None, None, None]]


LOOK_S = 0.5
SUDDEN = 0.25
PATIENCE_S = 20
ENDED_WITHIN_S = 1200


@dataclass(slots=True)
class Stage:
    """A scene on a database and a Slack, and whoever works on it."""

    scene: Scene
    database: str
    store: SqlStore
    slack: str
    random: Random
    log: Path
    workers: list[Process] = field(default_factory=list)
    claims: Counter[str] = field(default_factory=Counter)

    async def hire(self) -> Process:
        """Begin one more worker, and wait until it works."""
        worker = await Process.begin(work, f"{self.scene}", self.database, self.slack, f"{self.log}")
        self.workers.append(worker)
        await worker.word("ready")
        return worker

    async def dismiss(self, worker: Process) -> None:
        """Kill a worker, and note which ticks were its own."""
        await worker.kill()
        self.workers.remove(worker)
        self.claims.update(line for line in worker.said if line.startswith("claim"))

    async def conduct(self) -> None:
        """Take the spread through its steps, each once the rules have followed the last."""
        for level in LEVELS_PP * self.scene.cycles:
            self.scene.pull(level)
            rules = [rule for both in self.scene.rules().values() for rule in both]
            above = sum(100 * rule.threshold <= level for rule in rules)
            await self._until(partial(_is_firing, above))

    async def finish(self) -> None:
        """Wait until everything is delivered."""
        await self._until(self._is_delivered)

    async def _until(self, holds: Callable[[SqlStore], Awaitable[bool]]) -> None:
        """Look at the store until something holds of it; the database may be away for a while."""
        async with asyncio.timeout(ENDED_WITHIN_S):
            while True:
                with suppress(DatabaseUnavailableError):
                    if await holds(self.store):
                        return
                await asyncio.sleep(LOOK_S)

    async def _is_delivered(self, store: SqlStore) -> bool:
        return not (await store.backlog(self.scene.clock.now())).waiting


async def play(
    make: Callable[[Path], Scene],
    database: str,
    folder: Path,
    *,
    workers: int = 1,
    weather: str = "storm",
    seed: int = 1,
    disturb: Disturb | None = None,
) -> Tally:
    """Set the rules, begin the workers, disturb them, let them finish, and count."""
    store = await SqlStore.open(database)
    scene = make(folder / "lever")
    scene.pull(0)
    for channel, rules in scene.rules().items():
        await store.add_rules(channel, rules, "U1", scene.clock.now())
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.aclose)
        url = await stack.enter_async_context(slack(weather, seed, scene))
        stage = Stage(scene, database, store, url, Random(seed), folder / "log")  # noqa: S311 -- not a secret
        try:
            for _ in range(workers):
                await stage.hire()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(stage.conduct())
                if disturb is not None:
                    tasks.create_task(disturb(stage))
            await stage.finish()
        finally:
            for worker in list(stage.workers):
                await stage.dismiss(worker)
        return await count(database, await ledger(url), stage.claims)


async def _is_firing(number: int, store: SqlStore) -> bool:
    watches = (await store.rulebook()).rules
    return number == sum(watch.state.firing is not None for watch in watches)


def killing(times: int, longest_s: float, tell: Callable[[str], None]) -> Disturb:
    """Kill the only worker at random moments, and begin another each time.

    One in four dies as it begins; the others may do one tick before, or nothing would ever happen.
    """

    async def disturb(stage: Stage) -> None:
        kills = 0
        while kills < times:
            if stage.random.random() > SUDDEN:
                await stage.workers[0].word("tick")
            await asyncio.sleep(stage.random.uniform(0, longest_s))
            await stage.dismiss(stage.workers[0])
            kills += 1
            await stage.hire()
        tell(f"{kills} times kill -9")

    return disturb


def freezing(times: int, for_s: float, tell: Callable[[str], None]) -> Disturb:
    """Freeze a worker as it has begun an attempt or a tick, and let it go on once its lease is another's."""

    async def disturb(stage: Stage) -> None:
        for number in range(times):
            worker = stage.random.choice(stage.workers)
            await _begins(worker, "claim" if number % 2 else "lease")
            await asyncio.sleep(stage.random.uniform(0, 0.02))
            freeze(worker)
            await asyncio.sleep(for_s)
            thaw(worker)
        tell(f"{times} times SIGSTOP for {for_s:g} s")

    return disturb


async def _begins(worker: Process, what: str) -> None:
    """Wait until a worker begins what was asked for or, where the others have done all of that, its next tick."""
    heard = len(worker.said)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await worker.word(what, after=heard)
    except TimeoutError:
        await worker.word("claim", after=heard)


def restarting(
    times: int, every_s: float, stop: Callable[[], None], start: Callable[[], None], tell: Callable[[str], None]
) -> Disturb:
    """Stop the database at once while all work, and start it again."""

    async def disturb(stage: Stage) -> None:
        for _ in range(times):
            await asyncio.sleep(stage.random.uniform(0.5, 1.5) * every_s)
            await asyncio.to_thread(stop)
            await asyncio.sleep(stage.random.uniform(0, 1))
            await asyncio.to_thread(start)
        tell(f"{times} times pg_ctl -m immediate")

    return disturb

"""Play a scene to workers, disturb them meanwhile, let them finish, and count."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from services.domain.errors import StoreError
from services.store import SqlStore
from tests.chaos.crew import Process, freeze, ledger, slack, thaw
from tests.chaos.tally import Tally, count
from tests.chaos.worker import run as work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.chaos.scene import Scene

LOOK_S = 0.5
SUDDEN = 0.25
FINISHED_WITHIN_S = 300


@dataclass(slots=True)
class Stage:
    """A scene on a database and a Slack, and whoever works on it."""

    scene: Scene
    database: str
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

    async def finish(self) -> None:
        """Wait until the scene is over and everything is delivered."""
        await asyncio.sleep(max(0.0, self.scene.lasts_s))
        async with asyncio.timeout(FINISHED_WITHIN_S):
            while not await self._is_over():  # noqa: ASYNC110 -- another process ends it
                await asyncio.sleep(LOOK_S)

    async def _is_over(self) -> bool:
        try:
            store = await SqlStore.open(self.database)
        except StoreError:
            return False
        try:
            now = self.scene.clock.now()
            return not await store.open_alerts() and not (await store.backlog(now)).waiting
        except StoreError:
            return False
        finally:
            await store.aclose()


async def play(
    make: Callable[[], Scene],
    database: str,
    log: Path,
    *,
    workers: int = 1,
    weather: str = "storm",
    seed: int = 1,
    disturb: Callable[[Stage], Awaitable[None]] | None = None,
) -> Tally:
    """Set the rules, begin the workers, disturb them, let them finish, and count."""
    store = await SqlStore.open(database)
    scene = make()
    for channel, rules in scene.rules().items():
        await store.add_rules(channel, rules, "U1", scene.clock.now())
    await store.aclose()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(slack(weather, seed, scene))
        stage = Stage(scene, database, url, Random(seed), log)  # noqa: S311 -- not a secret
        try:
            for _ in range(workers):
                await stage.hire()
            if disturb is not None:
                await disturb(stage)
            await stage.finish()
        finally:
            for worker in list(stage.workers):
                await stage.dismiss(worker)
        return await count(database, await ledger(url), stage.claims)


def killing(times: int, longest_s: float, tell: Callable[[str], None]) -> Callable[[Stage], Awaitable[None]]:
    """Kill the only worker at random moments, as often and until the scene is over, and begin another each time.

    One in four dies as it begins; the others may do one tick before, or nothing would ever happen.
    """

    async def disturb(stage: Stage) -> None:
        kills = 0
        while kills < times or stage.scene.lasts_s > 0:
            if stage.random.random() > SUDDEN:
                await stage.workers[0].word("tick")
            await asyncio.sleep(stage.random.uniform(0, longest_s))
            await stage.dismiss(stage.workers[0])
            kills += 1
            await stage.hire()
        tell(f"{kills} times kill -9")

    return disturb


def freezing(times: int, for_s: float, tell: Callable[[str], None]) -> Callable[[Stage], Awaitable[None]]:
    """Freeze a worker as it has begun an attempt or a tick, and let it go on once its lease is another's."""

    async def disturb(stage: Stage) -> None:
        for number in range(times):
            worker = stage.random.choice(stage.workers)
            await worker.word("claim" if number % 2 else "lease", after=len(worker.said))
            await asyncio.sleep(stage.random.uniform(0, 0.02))
            freeze(worker)
            await asyncio.sleep(for_s)
            thaw(worker)
        tell(f"{times} times SIGSTOP for {for_s:g} s")

    return disturb


def restarting(
    times: int, every_s: float, stop: Callable[[], None], start: Callable[[], None], tell: Callable[[str], None]
) -> Callable[[Stage], Awaitable[None]]:
    """Stop the database at once while all work, and start it again."""

    async def disturb(stage: Stage) -> None:
        for _ in range(times):
            await asyncio.sleep(stage.random.uniform(0.5, 1.5) * every_s)
            await asyncio.to_thread(stop)
            await asyncio.sleep(stage.random.uniform(0, 1))
            await asyncio.to_thread(start)
        tell(f"{times} times pg_ctl -m immediate")

    return disturb

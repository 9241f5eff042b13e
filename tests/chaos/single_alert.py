"""One alert on one worker, in real time: steps of its wall clock, and a database file that is replaced."""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.storage import SqlStore, migrate
from tests.chaos.delivery_counts import DeliveryCounts, count
from tests.chaos.processes import read_record, slack
from tests.chaos.scenario import TICK_S, Scenario
from tests.fakes import postgresql

LIBRARIES = "*/faketime/libfaketime.so.1"
MISSING = "libfaketime is not installed here (Debian's package libfaketime)"
WORKER = "import asyncio, sys; from tests.chaos.worker import run; asyncio.run(run(*sys.argv[1:]))"
STEPS = {"+1 h for 40 s": (3_600, 40), "-15 min for 20 s": (-900, 20), "+1 day for 40 s": (86_400, 40)}
MAX_TICKS = 2  # within which the alert must resolve after the correction
MARGIN_S = 5  # for the tick itself, on a busy machine
TIMEOUT_S = 120
POLL_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened in one run: seconds from the end of the disturbance to the resolution, and what Slack shows."""

    name: str
    resolved_s: float
    counts: DeliveryCounts
    logged: int

    @property
    def is_good(self) -> bool:
        return self.counts.is_clean and self.counts.alerts == 1 and self.resolved_s <= MAX_TICKS * TICK_S + MARGIN_S

    def __str__(self) -> str:
        return f"{self.name}: resolved {self.resolved_s:.0f} s after the correction; {self.counts}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRun:
    """A worker whose only alert is open."""

    scenario: Scenario
    database: str
    folder: Path
    slack: str

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def set_clock(self, offset_s: int) -> None:
        """Step the worker's wall clock; its monotonic clock stays true."""
        staged = self.folder / "offset.new"
        staged.write_text(f"{offset_s:+d}")
        staged.replace(self.folder / "offset")

    async def resolve(self, name: str) -> Outcome:
        """Move the spread back to zero, wait until the alert is resolved and delivered, and count the messages."""
        began_at = time.monotonic()
        self.scenario.set_spread(0)
        await self._until(0)
        resolved_s = time.monotonic() - began_at
        store = await SqlStore.open(self.database)
        async with asyncio.timeout(TIMEOUT_S):
            while (await store.backlog(self.scenario.clock.now())).waiting:  # noqa: ASYNC110 -- the store has no event
                await asyncio.sleep(POLL_S)
        await store.aclose()
        counts = await count(self.database, await read_record(self.slack), Counter())
        logged = self.log.read_text().count("was replaced while") if self.log.exists() else 0
        return Outcome(name=name, resolved_s=resolved_s, counts=counts, logged=logged)

    async def _until(self, open_alerts: int) -> None:
        store = await SqlStore.open(self.database)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                while len(await store.open_alerts()) != open_alerts:  # noqa: ASYNC110 -- as above
                    await asyncio.sleep(POLL_S)
        finally:
            await store.aclose()


@asynccontextmanager
async def open_alert(database: str, folder: Path, library: Path | None = None) -> AsyncIterator[AlertRun]:
    """Start a worker, under libfaketime if its library is given, and wait until its alert is open."""
    folder.mkdir()  # noqa: ASYNC240 -- nothing else runs yet
    scenario = Scenario(spread_file=str(folder / "spread"), since=time.time() - 3_600, speed=1, channels=1, cycles=1)
    store = await SqlStore.open(database)
    for channel, rules in scenario.rules().items():
        await store.add_rules(channel, rules[:1], "U1", scenario.clock.now())
    await store.aclose()
    scenario.set_spread(10)
    async with slack("none", 1, scenario) as url:
        run = AlertRun(scenario=scenario, database=database, folder=folder, slack=url)
        run.set_clock(0)
        faked = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": f"{folder / 'offset'}",
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        arguments = (f"{scenario}", database, url, f"{run.log}")
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", WORKER, *arguments),
            env={**os.environ, **(faked if library else {})},
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            await run._until(1)  # noqa: SLF001 -- a method of this module
            yield run
        finally:
            worker.kill()
            await worker.wait()


def faketime() -> Path | None:
    """Return the library that fakes the clock; None if it isn't installed."""
    return next(iter(sorted(Path("/usr/lib").glob(LIBRARIES))), None)


async def clock_steps(on: str, folder: Path, library: Path) -> list[Outcome]:
    """Step the wall clock and back in one worker per step, side by side."""

    async def step(name: str, database: str, offset_s: int, lasts_s: int) -> Outcome:
        async with open_alert(database, folder / f"{offset_s}", library) as run:
            run.set_clock(offset_s)
            await asyncio.sleep(lasts_s)
            run.set_clock(0)
            return await run.resolve(f"{on}, {name}")

    databases = []
    for number in range(len(STEPS)):  # not side by side, because Alembic can't
        databases.append(postgresql.empty_database() if on == "postgresql" else f"sqlite:///{folder}/{number}.db")
        await migrate(databases[-1])
    steps = zip(STEPS.items(), databases, strict=True)
    return await asyncio.gather(*(step(name, database, *values) for (name, values), database in steps))


async def replaced_database(folder: Path, image: Callable[[], bytes]) -> Outcome:
    """Replace the database file by an empty one for two ticks, and put it back."""
    path, kept = folder / "store.db", folder / "kept.db"
    await migrate(f"sqlite:///{path}")
    async with open_alert(f"sqlite:///{path}", folder / "run") as run:
        kept.hardlink_to(path)
        new = folder / "new.db"
        new.write_bytes(image())
        new.replace(path)
        await asyncio.sleep(2 * TICK_S)
        kept.replace(path)
        return await run.resolve("replaced database")

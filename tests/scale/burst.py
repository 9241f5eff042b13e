"""A burst: one alert in each of many channels, saved by one tick and delivered by workers, and what that cost."""

import asyncio
import json
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import event

from bot.app import build
from services.alerting.ports import AlertChange
from services.core.identity import Channel
from services.storage import SqlStore
from tests.chaos.processes import Process
from tests.chaos.worker import settings
from tests.fakes.alerts import an_alert
from tests.scale.slack import run as serve_slack

CHECK_S = 0.1
REPORT_S = 0.5
CLOCK_TICKS = 100  # per second, in /proc
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """What a burst took.

    Attributes:
        screen_s: Seconds from the tick to the screen, of each message in order.
        record_s: Seconds to save the alerts.
        refused: Calls that Slack's limits refused.
        statements: SQL statements of the workers.
        commits: Commits of the workers.
        cpu_s: CPU seconds of the workers.
        database_cpu_s: CPU seconds of PostgreSQL; 0 for SQLite, whose work is the workers'.
        lock_waits: Transactions that waited for a lock, of all that ran at ten samples per second.
    """

    screen_s: tuple[float, ...]
    record_s: float
    refused: int
    statements: int
    commits: int
    cpu_s: float
    database_cpu_s: float
    lock_waits: int

    @property
    def messages(self) -> int:
        return len(self.screen_s)

    @property
    def per_second(self) -> float:
        return self.messages / (self.screen_s[-1] - self.record_s)

    def percentile(self, share: float) -> float:
        """Return the seconds within which this share of the messages was on screen."""
        return self.screen_s[min(self.messages - 1, round(share * self.messages))]


async def burst(
    database: str,
    *,
    channels: int,
    workspaces: int,
    workers: int = 1,
    latency_s: float = 0.15,
    limited: bool = False,
    deadline_s: float = 120,
) -> Burst:
    """Save one alert in each channel, let workers deliver them, and return what that took.

    Raises TimeoutError if it takes longer than the deadline.
    """
    async with _slack(latency_s, limited=limited) as url:
        processes = [await Process.start(work, database, url) for _ in range(workers)]
        store = await SqlStore.open(database)
        try:
            for process in processes:
                await process.line("ready")
            usage = _DatabaseUsage(store)
            now = datetime.now(UTC)
            record_s = await _record(store, channels, workspaces, now)
            async with asyncio.timeout(deadline_s):
                posted, refused = await _posted(url, channels, usage)
            await asyncio.sleep(3 * REPORT_S)
            stats = [json.loads(process.lines[-1]) for process in processes]
        finally:
            await store.aclose()
            for process in processes:
                await process.kill()
    return Burst(
        screen_s=tuple(at - now.timestamp() for at in posted),
        record_s=record_s,
        refused=refused,
        statements=sum(one["statements"] for one in stats),
        commits=sum(one["commits"] for one in stats),
        cpu_s=sum(one["cpu_s"] for one in stats),
        database_cpu_s=usage.cpu_s,
        lock_waits=usage.lock_waits,
    )


async def work(database: str, url: str) -> None:
    """Deliver until killed, and print twice a second what it took."""
    async with build(settings(database, url)) as app:
        counts = {"statements": 0, "commits": 0}
        engine = app.store._database._engine.sync_engine  # noqa: SLF001 -- a measurement

        def count(name: str) -> None:
            counts[name] += 1

        event.listen(engine, "after_cursor_execute", lambda *_: count("statements"))
        event.listen(engine, "commit", lambda _: count("commits"))
        app.outbox.max_sleep = timedelta(seconds=1)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(app.outbox.run())
            tasks.create_task(app.store.listen(app.outbox.nudge, lambda _: None))
            await asyncio.sleep(REPORT_S)
            idle, begin_s = dict(counts), _cpu_s()
            _print("ready")
            while True:
                await asyncio.sleep(REPORT_S)
                used = {name: number - idle[name] for name, number in counts.items()}
                _print(json.dumps({**used, "cpu_s": _cpu_s() - begin_s}))


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 -- read by the parent process


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def _record(store: SqlStore, channels: int, workspaces: int, now: datetime) -> float:
    """Save an alert in every channel, as a tick does; return the seconds that it took."""
    changes = [
        AlertChange(
            alert=an_alert(
                channel=Channel(team=f"T{number % workspaces}", id=f"W{number % workspaces}-C{number}"),
                opened_at=now,
                as_of=now,
            ),
            revision=0,
        )
        for number in range(channels)
    ]
    start = time.perf_counter()
    await store.record([], changes, now)
    return time.perf_counter() - start


@asynccontextmanager
async def _slack(latency_s: float, *, limited: bool) -> AsyncIterator[str]:
    process = await Process.start(serve_slack, f"{latency_s}", "limited" if limited else "")
    yield await process.line("http://")
    await process.kill()


async def _posted(url: str, channels: int, usage: "_DatabaseUsage") -> tuple[list[float], int]:
    """Wait until every message is on screen; return when each was, and how many calls were refused."""
    async with aiohttp.ClientSession() as session:
        while True:
            await usage.sample()
            await asyncio.sleep(CHECK_S)
            async with session.get(f"{url}report") as answer:
                report: dict[str, Any] = await answer.json()
            if len(report["posted"]) >= channels:
                return sorted(report["posted"]), report["refused"]


class _DatabaseUsage:
    """The CPU time and lock waits of PostgreSQL's connections to one database."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._first: dict[int, float] = {}
        self._last: dict[int, float] = {}
        self.lock_waits = 0

    @property
    def cpu_s(self) -> float:
        return sum(last - self._first[pid] for pid, last in self._last.items())

    async def sample(self) -> None:
        """Read what the connections have used so far; nothing on SQLite."""
        async with self._store._database.read() as tx:  # noqa: SLF001 -- a measurement
            if tx.dialect.name != "postgresql":
                return
            self.lock_waits += (await tx.exec_driver_sql(WAITING)).scalar_one()
            pids = [*(await tx.exec_driver_sql(BACKENDS)).scalars()]
        for pid in pids:
            with suppress(OSError):
                self._last[pid] = _cpu_of(pid)
                self._first.setdefault(pid, self._last[pid])


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

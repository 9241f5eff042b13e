"""Delivery of many messages at once to a Slack in another process; on PostgreSQL by several workers."""

import asyncio
import tempfile
import time
from datetime import UTC, datetime
from typing import Any

import aiohttp

from bot.app import build
from handlers.render.alert import alert_message
from services.alerting.ports import AlertChange
from services.core.identity import Channel
from services.storage import SqlStore
from tests.bench.measurement import Measurement
from tests.chaos.processes import Process, slack
from tests.chaos.worker import settings
from tests.fakes.alerts import an_alert
from tests.fakes.postgresql import cluster, empty_database
from tests.fakes.slack import TOKEN

CHANNELS = 500
AT_ONCE = 100  # the outbox sends as many in one round
WORKERS = (1, 2, 4)
START_AFTER_S = 3.0
RUNS = 3


async def bench() -> list[Measurement]:
    """Measure one alert in each of 500 channels from SQLite, compared with a bare loop that posts the same messages."""
    ours, bare = [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            async with slack("none", 1) as url:
                bare.append(await _bare(url))
                ours.append(await _ours(f"sqlite:///{folder}/bench.db", url))
    taken = min(ours)
    return [
        Measurement(
            name=f"{CHANNELS} alerts posted, {CHANNELS / taken:,.0f} messages/s",
            measured=taken,
            baseline=min(bare),
            baseline_name="a bare aiohttp loop",
            unit="s",
            budget=10,
            budget_is_ratio=True,
        )
    ]


async def bench_workers() -> list[Measurement]:
    """Measure the same from PostgreSQL by one, two and four processes; nothing if PostgreSQL isn't installed."""
    if cluster() is None:
        return []
    seconds = {}
    for workers in WORKERS:
        async with slack("none", 1) as url:
            seconds[workers] = await _shared(empty_database(), url, workers)
    return [
        Measurement(
            name=f"on PostgreSQL with {workers} workers, {CHANNELS / taken:,.0f} messages/s",
            measured=taken,
            baseline=seconds[1],
            baseline_name="with one worker",
            unit="s",
            budget=1.5,
            budget_is_ratio=True,
        )
        for workers, taken in seconds.items()
    ]


async def work(database: str, url: str, start: str) -> None:
    """Run one worker: wait until `start`, deliver until nothing is left, and print when that was."""
    async with build(settings(database, url)) as app:
        print("ready", flush=True)  # noqa: T201 -- the parent process waits for it
        await asyncio.sleep(max(0.0, float(start) - time.time()))
        while (await app.store.backlog(datetime.now(UTC))).waiting:
            await app.outbox.deliver(datetime.now(UTC))
        print(f"done {time.time()}", flush=True)  # noqa: T201 -- as above


async def _ours(database: str, url: str) -> float:
    await _fill(database)
    async with build(settings(database, url)) as app:
        start = time.perf_counter()
        sent = await app.outbox.deliver(datetime.now(UTC))
        taken = time.perf_counter() - start
    if sent != CHANNELS:
        raise AssertionError(f"{sent} messages were sent")
    return taken


async def _shared(database: str, url: str, workers: int) -> float:
    await _fill(database)
    start = time.time() + START_AFTER_S
    processes = [await Process.start(work, database, url, f"{start}") for _ in range(workers)]
    ended = [float((await process.line("done")).split()[1]) for process in processes]
    for process in processes:
        await process.kill()
    return max(ended) - start


async def _fill(database: str) -> None:
    """Store an alert in every channel."""
    store = await SqlStore.open(database)
    now = datetime.now(UTC)
    for number in range(CHANNELS):
        alert = an_alert(channel=Channel(team="T1", id=f"C{number}"), opened_at=now, as_of=now)
        await store.record([], [AlertChange(alert=alert, revision=0)], now)
    await store.aclose()


async def _bare(url: str) -> float:
    """Post the same messages, as many at once, without a store."""
    message = alert_message(an_alert(), datetime.now(UTC))
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        began = time.perf_counter()
        for start in range(0, CHANNELS, AT_ONCE):
            bodies = [_body(f"C{number}", message.text, message.blocks) for number in range(start, start + AT_ONCE)]
            await asyncio.gather(*(_post(session, url, body) for body in bodies))
        return time.perf_counter() - began


def _body(channel: str, text: str, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    metadata = {"event_type": "bench", "event_payload": {"key": channel}}
    return {"channel": channel, "text": text, "blocks": blocks, "metadata": metadata}


async def _post(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> None:
    async with session.post(f"{url}api/chat.postMessage", json=body) as answer:
        if not (await answer.json())["ok"]:
            raise AssertionError(await answer.text())

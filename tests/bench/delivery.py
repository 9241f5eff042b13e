"""Delivery of very many messages at once, to a Slack in a process of its own; on PostgreSQL by several workers."""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import UTC, datetime
from typing import Any

import aiohttp

from bot.app import build
from handlers.render.alert import alert_message
from services.alerting.records import AlertChange
from services.core.identity import Channel
from services.storage import SqlStore
from tests.bench.measurement import Measurement
from tests.chaos.crew import Process, slack
from tests.chaos.worker import settings
from tests.fakes.alerts import an_alert
from tests.fakes.postgresql import cluster, empty_database
from tests.fakes.slack import TOKEN

CHANNELS = 500
AT_ONCE = 100  # as many as one round of the outbox
WORKERS = (1, 2, 4)
SOON_S = 3.0
RUNS = 3


async def bench() -> list[Measurement]:
    """One alert in each of 500 channels, out of SQLite, beside a bare loop that posts the same messages."""
    ours, bare = [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            async with slack("fair", 1) as url:
                bare.append(await _bare(url))
                ours.append(await _ours(f"sqlite:///{folder}/bench.db", url))
    took = min(ours)
    return [
        Measurement(
            name=f"{CHANNELS} channels told, {CHANNELS / took:,.0f} messages/s",
            measured=took,
            baseline=min(bare),
            baseline_name="a bare aiohttp loop",
            unit="s",
            budget=10,
            budget_is_ratio=True,
        )
    ]


async def bench_workers() -> list[Measurement]:
    """The same out of PostgreSQL, by one, two and four processes; nothing where there is no PostgreSQL."""
    if cluster() is None:
        return []
    spans = {}
    for workers in WORKERS:
        async with slack("fair", 1) as url:
            spans[workers] = await _shared(empty_database(), url, workers)
    return [
        Measurement(
            name=f"on PostgreSQL by {workers}, {CHANNELS / span:,.0f} messages/s",
            measured=span,
            baseline=spans[1],
            baseline_name="by one worker",
            unit="s",
            budget=1.5,
            budget_is_ratio=True,
        )
        for workers, span in spans.items()
    ]


async def work(database: str, url: str, begin: str) -> None:
    """Be one of the workers: wait for the moment to begin, deliver until nothing waits, and say when that was."""
    async with build(settings(database, url)) as app:
        print("ready", flush=True)  # noqa: T201 -- whoever began it waits for that
        await asyncio.sleep(max(0.0, float(begin) - time.time()))
        while (await app.store.backlog(datetime.now(UTC))).waiting:
            await app.outbox.deliver(datetime.now(UTC))
        print(f"done {time.time()}", flush=True)  # noqa: T201 -- as above


async def _ours(database: str, url: str) -> float:
    await _fill(database)
    async with build(settings(database, url)) as app:
        began = time.perf_counter()
        sent = await app.outbox.deliver(datetime.now(UTC))
        took = time.perf_counter() - began
    if sent != CHANNELS:
        raise AssertionError(f"{sent} messages were sent")
    return took


async def _shared(database: str, url: str, workers: int) -> float:
    await _fill(database)
    begin = time.time() + SOON_S
    crew = [await Process.begin(work, database, url, f"{begin}") for _ in range(workers)]
    ended = [float((await one.word("done")).split()[1]) for one in crew]
    for one in crew:
        await one.kill()
    return max(ended) - begin


async def _fill(database: str) -> None:
    """Record an alert in every channel."""
    store = await SqlStore.open(database)
    now = datetime.now(UTC)
    for number in range(CHANNELS):
        alert = an_alert(channel=Channel(team="T1", id=f"C{number}"), opened_at=now, as_of=now)
        await store.record([], [AlertChange(alert=alert, revision=0)], now)
    await store.aclose()


async def _bare(url: str) -> float:
    """Post the same messages, as many at a time, and remember nothing."""
    message = alert_message(an_alert(), datetime.now(UTC))
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        began = time.perf_counter()
        for start in range(0, CHANNELS, AT_ONCE):
            bodies = [_body(f"C{number}", message.text, message.blocks) for number in range(start, start + AT_ONCE)]
            await asyncio.gather(*(_post(session, url, body) for body in bodies))
        return time.perf_counter() - began


def _body(channel: str, text: str, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    key = {"event_type": "bench", "event_payload": {"key": channel}}
    return {"channel": channel, "text": text, "blocks": blocks, "metadata": key}


async def _post(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> None:
    async with session.post(f"{url}api/chat.postMessage", json=body) as answer:
        if not (await answer.json())["ok"]:
            raise AssertionError(await answer.text())

"""Delivery of many messages at once to a Slack in another process, also on PostgreSQL by several workers."""

import asyncio
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp

from bot.app import build
from handlers.render.alert import alert_message
from services.alerting.ports import AlertChange
from services.core.identity import Channel
from services.storage import SqlStore
from tests.bench.measurement import Measurement
from tests.chaos.processes import slack
from tests.chaos.worker import settings
from tests.fakes.alerts import an_alert
from tests.fakes.postgresql import cluster, empty_database
from tests.fakes.slack import TOKEN
from tests.scale.burst import Burst, burst

CHANNELS = 500
AT_ONCE = 100  # the outbox sends as many in one round
WORKERS = (1, 2, 4)
SHARED = 2_000
BURSTS = {1_000: 4.0, 5_000: 12.0}  # alerts, and seconds within which 95% are on screen
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


async def bench_burst() -> list[Measurement]:
    """Measure one alert in each of 1,000 and 5,000 workspaces, from the tick to the screen, with a call of 150 ms."""
    measurements = []
    with tempfile.TemporaryDirectory() as folder:
        databases: dict[str, Callable[[], str]] = {"SQLite": lambda: f"sqlite:///{folder}/{time.monotonic_ns()}.db"}
        if cluster() is not None:
            databases["PostgreSQL"] = empty_database
        for name, database in databases.items():
            for channels, budget in BURSTS.items():
                result = await burst(database(), channels=channels, workspaces=channels)
                measurements += _burst_measurements(f"{channels:,} alerts on {name}", result, budget)
    return measurements


def _burst_measurements(name: str, result: Burst, budget: float) -> list[Measurement]:
    one = 1000 / result.per_second
    rows = (
        (f"{name}, p95 from tick to screen", result.percentile(0.95), "s", budget),
        (f"{name}, {result.per_second:,.0f} messages/s", one, "ms", 2.5),
        (f"{name}, statements a message", result.statements / result.messages, "", 0.5),
        (f"{name}, commits a message", result.commits / result.messages, "", 0.1),
    )
    return [
        Measurement(
            name=what, measured=value, baseline=result.percentile(0.5), baseline_name="p50", unit=unit, budget=limit
        )
        for what, value, unit, limit in rows
    ]


async def bench_workers() -> list[Measurement]:
    """Measure 2,000 alerts on PostgreSQL with one, two and four workers: CPU per message must not grow with them."""
    if cluster() is None:
        return []
    results = {
        workers: await burst(empty_database(), channels=SHARED, workspaces=SHARED, workers=workers)
        for workers in WORKERS
    }
    return [
        Measurement(
            name=f"CPU a message with {workers} workers, {result.lock_waits} lock waits, {result.per_second:,.0f}/s",
            measured=1000 * result.cpu_s / result.messages,
            baseline=1000 * results[1].cpu_s / results[1].messages,
            baseline_name="with one",
            unit="ms",
            budget=1.3,
            budget_is_ratio=True,
        )
        for workers, result in results.items()
    ]


async def _ours(database: str, url: str) -> float:
    await _fill(database)
    async with build(settings(database, url)) as app:
        start = time.perf_counter()
        sent = await app.outbox.deliver(datetime.now(UTC))
        taken = time.perf_counter() - start
    if sent != CHANNELS:
        raise AssertionError(f"{sent} messages were sent")
    return taken


async def _fill(database: str) -> None:
    """Store an alert in every channel."""
    store = await SqlStore.open(database)
    now = datetime.now(UTC)
    alerts = [
        an_alert(channel=Channel(team="T1", id=f"C{number}"), opened_at=now, as_of=now) for number in range(CHANNELS)
    ]
    await store.record([], [AlertChange(alert=alert, revision=0) for alert in alerts], now)
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

"""The acknowledgement of /minerpulse, compared with a bare Bolt app in the same mode; requests are signed."""

import asyncio
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.app import build
from bot.bolt_app import SingleWorkspaceAuthorize, build_bolt
from bot.metrics import Metrics
from handlers import listeners
from services.alerting.ports import AlertChange
from services.core.identity import Channel
from tests.bench.measurement import Measurement, paired_ms
from tests.chaos.processes import Process
from tests.chaos.worker import settings
from tests.fakes.alerts import an_alert
from tests.fakes.harness import open_harness
from tests.fakes.slack import SECRET, TOKEN, command_form, dispatch, slack_server
from tests.handlers.test_hostile_text import HOSTILE, command, hostile
from tests.scale.slack import run as serve_slack

RUNS = 150  # fewer than the tasks that make the app busy: none runs before the measurement ends
BURST = 2_000


async def bench() -> list[Measurement]:
    """Measure help, which is sent in the acknowledgement, and the board, which is sent after an empty one."""
    async with slack_server() as slack, open_harness() as harness:
        client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/")
        ours, bare = build_bolt(client, SECRET), bare_bolt(client.base_url)
        background = listeners.register(ours, harness.commands, harness.research, harness.clock)
        measurements = []
        for text in ("help", ""):
            measurements.append(await _measure(text, ours, bare, f"{slack.url}responses/1"))
            await background.drain()
    return measurements


async def bench_metrics() -> list[Measurement]:
    """Measure help with metrics on, compared with a bare Bolt app and with metrics off."""
    async with slack_server() as slack, open_harness() as harness:
        client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/")
        counted, plain, bare = build_bolt(client, SECRET), build_bolt(client, SECRET), bare_bolt(client.base_url)
        for app in (counted, plain):
            listeners.register(app, harness.commands, harness.research, harness.clock)
        counted.metrics = Metrics(database="sqlite")
        url = f"{slack.url}responses/1"
        with_bare = await _measure("help", counted, bare, url)
        with_plain = await _measure("help", counted, plain, url)
    return [
        replace(with_bare, name="ack of /minerpulse help, with metrics", budget=1.3),
        replace(with_plain, name="ack with metrics", baseline_name="the same without", budget=1.1),
    ]


async def bench_burst() -> list[Measurement]:
    """Measure help while 2,000 alerts are delivered to a Slack that takes 150 ms for each call."""
    with tempfile.TemporaryDirectory() as folder:
        process = await Process.start(serve_slack, "0.15", "")
        url = await process.line("http://")
        async with build(settings(f"sqlite:///{folder}/bench.db", url)) as app:
            body, times, now = urlencode(command_form("help", response_url=url)), list[float](), datetime.now(UTC)
            alerts = [
                an_alert(channel=Channel(team="T1", id=f"C{number}"), opened_at=now, as_of=now)
                for number in range(BURST)
            ]
            await dispatch(app.bolt, body)
            quiet = await _fastest_ms(app.bolt, "help", url)
            await app.store.record([], [AlertChange(alert=alert, revision=0) for alert in alerts], now)
            delivery = asyncio.create_task(app.outbox.deliver(now))
            while not delivery.done():
                start = time.perf_counter()
                await dispatch(app.bolt, body)
                times.append(1000 * (time.perf_counter() - start))
                await asyncio.sleep(0.01)
            await delivery
        await process.kill()
    return [
        Measurement(
            name=f"ack of help during a burst, p99 of {len(times)}",
            measured=sorted(times)[round(0.99 * (len(times) - 1))],
            baseline=quiet,
            baseline_name="without a burst",
            unit="ms",
            budget=150,
        )
    ]


async def bench_hostile() -> list[Measurement]:
    """Measure the slowest acknowledgement over the hostile texts, at full length and far beyond it."""
    texts = [
        hostile(beginning, repeated, end, length)
        for parse, beginning, repeated, end in HOSTILE
        if parse is command
        for length in (500, 5_000, 50_000)
    ]
    async with slack_server() as slack, open_harness() as harness:
        client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/")
        app = build_bolt(client, SECRET)
        background = listeners.register(app, harness.commands, harness.research, harness.clock)
        times = {text: await _fastest_ms(app, text, f"{slack.url}responses/1") for text in ("help", *texts)}
        await background.drain()
    return [
        Measurement(
            name="slowest ack of a hostile text",
            measured=max(times.values()),
            baseline=times["help"],
            baseline_name="an ack of help",
            unit="ms",
            budget=50,
        )
    ]


async def _fastest_ms(app: AsyncApp, text: str, response_url: str) -> float:
    """Return the fastest of three acknowledgements, which leaves out the garbage collector."""
    body, times = urlencode(command_form(text, response_url=response_url)), list[float]()
    for _ in range(3):
        start = time.perf_counter()
        await dispatch(app, body)
        times.append(1_000 * (time.perf_counter() - start))
    return min(times)


async def _measure(text: str, ours: AsyncApp, bare: AsyncApp, response_url: str) -> Measurement:
    body = urlencode(command_form(text, response_url=response_url))

    async def send(app: AsyncApp) -> None:
        response = await dispatch(app, body)
        if response.status != 200:
            raise AssertionError(response.body)

    measured, baseline = await paired_ms(lambda: send(ours), lambda: send(bare), RUNS)
    return Measurement(
        name=f"ack of /minerpulse {text}".strip(),
        measured=measured,
        baseline=baseline,
        baseline_name="a bare Bolt ack",
        unit="ms",
        budget=1.2,
        budget_is_ratio=True,
    )


def bare_bolt(base_url: str) -> AsyncApp:
    """Return a Bolt app of one listener. It checks signatures and authorizes from memory, as ours does."""
    app = AsyncApp(
        client=AsyncWebClient(base_url=base_url),
        authorize=SingleWorkspaceAuthorize(TOKEN),
        signing_secret=SECRET,
        process_before_response=True,
        name="bare",
    )
    app.command("/minerpulse")(acknowledge)
    return app


async def acknowledge(ack: AsyncAck) -> None:
    """Acknowledge a command with `ok`."""
    await ack("ok")

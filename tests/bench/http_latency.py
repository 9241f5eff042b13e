"""How soon /minerpulse is acknowledged and answered over real HTTP, by one person and by 32 at once, beside bare Bolt.

The process that runs the bench types the commands and takes the answers; each of the two apps is in a process of its
own. All of them share the machine, so that the ratios tell more than the milliseconds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from statistics import median, quantiles
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from bot.http.app import SLACK_PATH
from bot.http.slack_requests import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from tests.bench.measurement import Measurement
from tests.fakes.slack import SECRET

ACKS, BOARDS = 1_500, 480  # of each app, at each number of people
CROWDS = (1, 32)
ROUNDS = 3  # the apps take turns
MOST_TIMES = 3.0  # of an acknowledgement, the typical one
SLACK_WAITS_MS = 3_000.0


@dataclass(slots=True)
class Spans:
    """Seconds from a command to its acknowledgement, and to its answer."""

    ack: list[float] = field(default_factory=list)
    answer: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Desk:
    """Types commands at an app, and takes what comes to their response_urls."""

    session: aiohttp.ClientSession
    port: int
    awaited: dict[str, asyncio.Future[float]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    async def take(self, request: web.Request) -> web.Response:
        """Take an answer."""
        await request.read()
        self.awaited.pop(request.match_info["key"]).set_result(time.perf_counter())
        return web.Response(text="ok")

    async def types(self, app: int, text: str, spans: Spans) -> None:
        """Type one command at the app on this port, and note how long it took."""
        number = str(next(self.numbers))
        body = _command(text, f"http://127.0.0.1:{self.port}/{number}")
        if text != "help":
            self.awaited[number] = asyncio.get_running_loop().create_future()
        answered = self.awaited.get(number)
        began = time.perf_counter()
        async with self.session.post(
            f"http://127.0.0.1:{app}{SLACK_PATH}", data=body, headers=_headers(body)
        ) as response:
            if response.status != 200:
                raise AssertionError(await response.text())
            await response.read()
        spans.ack.append(time.perf_counter() - began)
        if answered is not None:
            spans.answer.append(await answered - began)

    async def crowd(self, app: int, text: str, people: int, commands: int, spans: Spans) -> None:
        """Let people type at once, each the next command once the last is answered."""
        left = iter(range(commands))

        async def one() -> None:
            for _ in left:
                await self.types(app, text, spans)

        await asyncio.gather(*(one() for _ in range(people)))


async def bench() -> list[Measurement]:
    """The acknowledgement that answers (`help`), and the board that comes after it."""
    measurements = []
    async with _desk() as desk, _served("ours") as ours, _served("bare") as bare:
        for text, commands in (("help", ACKS), ("", BOARDS)):
            for people in CROWDS:
                measured, beside = Spans(), Spans()
                await desk.crowd(ours, text, people, 2 * people, Spans())
                for _ in range(ROUNDS):
                    await desk.crowd(ours, text, people, commands // ROUNDS, measured)
                    await desk.crowd(bare, text, people, commands // ROUNDS, beside)
                measurements += _measurements(text, people, measured, beside)
    return measurements


def _measurements(text: str, people: int, ours: Spans, bare: Spans) -> list[Measurement]:
    at_once = f"{people} at once" if people > 1 else "one by one"
    if text == "help":
        return _both(f"ack of /minerpulse help over HTTP, {at_once}", ours.ack, bare.ack, typical=MOST_TIMES)
    return [
        *_both(f"ack of the board, {at_once}", ours.ack, bare.ack),
        *_both(f"the board at its response_url, {at_once}", ours.answer, bare.answer),
    ]


def _both(what: str, ours: list[float], bare: list[float], typical: float | None = None) -> list[Measurement]:
    """Give the median, held to a multiple where one is `typical`, and the 99th percentile, held to what Slack waits."""
    return [
        Measurement(
            name=f"p50: {what}",
            measured=1000 * median(ours),
            baseline=1000 * median(bare),
            baseline_name="bare Bolt",
            unit="ms",
            budget=typical or SLACK_WAITS_MS,
            budget_is_ratio=typical is not None,
        ),
        Measurement(
            name=f"p99: {what}",
            measured=_p99_ms(ours),
            baseline=_p99_ms(bare),
            baseline_name="bare Bolt",
            unit="ms",
            budget=SLACK_WAITS_MS,
        ),
    ]


def _p99_ms(spans: list[float]) -> float:
    return 1000 * quantiles(spans, n=100)[98]


def _command(text: str, response_url: str) -> bytes:
    form = {"command": "/minerpulse", "text": text, "team_id": "T1", "channel_id": "C1", "user_id": "U1"}
    return urlencode({**form, "response_url": response_url}).encode()


def _headers(body: bytes) -> dict[str, str]:
    at = str(int(time.time()))
    return {
        "content-type": "application/x-www-form-urlencoded",
        TIMESTAMP_HEADER: at,
        SIGNATURE_HEADER: sign(SECRET, at, body).decode(),
    }


@asynccontextmanager
async def _desk() -> AsyncIterator[Desk]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        desk, app = Desk(session=session, port=0), web.Application()
        app.router.add_post("/{key}", desk.take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        desk.port = runner.addresses[0][1]
        yield desk
        await runner.cleanup()


@asynccontextmanager
async def _served(which: str) -> AsyncIterator[int]:
    """Run one of the apps in a process of its own; give its port."""
    pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    program = (sys.executable, "-m", "tests.bench.http_app", which)
    process = await asyncio.create_subprocess_exec(*program, stdin=pipe, stdout=pipe, stderr=nowhere)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()

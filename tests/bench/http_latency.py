"""Time until /minerpulse is acknowledged and answered over real HTTP, compared with bare Bolt.

One person, or 32 at once. This process sends the commands and receives the responses; each app has its own process.
All share the machine, so the ratios say more than the milliseconds.
"""

import asyncio
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from statistics import median, quantiles
from urllib.parse import urlencode

import aiohttp

from bot.http.app import SLACK_PATH
from tests.bench.measurement import Measurement
from tests.fakes.slack import Call, FakeSlack, command_form, signed_headers, slack_server

ACKS, BOARDS = 1_500, 480  # of each app, at each number of people
CROWDS = (1, 32)
ROUNDS = 3  # the apps take turns
MAX_RATIO = 3.0  # of the median acknowledgement
SLACK_TIMEOUT_MS = 3_000.0


@dataclass(slots=True)
class Times:
    """Seconds from a command to its acknowledgement, and to its response."""

    ack: list[float] = field(default_factory=list)
    response: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Sender:
    """Sends commands to an app, and receives what it posts to their response_urls."""

    session: aiohttp.ClientSession
    slack: FakeSlack
    pending: dict[str, asyncio.Future[float]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    def record_response(self, call: Call, _outcome: str) -> None:
        self.pending.pop(call.key).set_result(time.perf_counter())

    async def send(self, port: int, text: str, times: Times) -> None:
        """Send one command to the app on this port, and record the times."""
        number = str(next(self.numbers))
        body = urlencode(command_form(text, response_url=f"{self.slack.url}responses/{number}"))
        headers, url = signed_headers(body), f"http://127.0.0.1:{port}{SLACK_PATH}"
        if text != "help":
            self.pending[number] = asyncio.get_running_loop().create_future()
        responded = self.pending.get(number)
        start = time.perf_counter()
        async with self.session.post(url, data=body, headers=headers) as response:
            if response.status != 200:
                raise AssertionError(await response.text())
            await response.read()
        times.ack.append(time.perf_counter() - start)
        if responded is not None:
            times.response.append(await responded - start)

    async def send_all(self, port: int, text: str, people: int, commands: int, times: Times) -> None:
        """Send commands from several people at once, each after the response to the last."""
        left = iter(range(commands))

        async def person() -> None:
            for _ in left:
                await self.send(port, text, times)

        await asyncio.gather(*(person() for _ in range(people)))


async def bench() -> list[Measurement]:
    """Measure `help`, which is answered in the acknowledgement, and the board, which is sent after it."""
    measurements = []
    async with _sender() as sender, app_process("ours") as ours, app_process("bare") as bare:
        for text, commands in (("help", ACKS), ("", BOARDS)):
            for people in CROWDS:
                measured, baseline = Times(), Times()
                await sender.send_all(ours, text, people, 2 * people, Times())
                for _ in range(ROUNDS):
                    await sender.send_all(ours, text, people, commands // ROUNDS, measured)
                    await sender.send_all(bare, text, people, commands // ROUNDS, baseline)
                measurements += _measurements(text, people, measured, baseline)
    return measurements


def _measurements(text: str, people: int, ours: Times, bare: Times) -> list[Measurement]:
    at_once = f"{people} at once" if people > 1 else "one by one"
    if text == "help":
        return _percentiles(f"ack of /minerpulse help over HTTP, {at_once}", ours.ack, bare.ack, max_ratio=MAX_RATIO)
    return [
        *_percentiles(f"ack of the board, {at_once}", ours.ack, bare.ack),
        *_percentiles(f"the board at its response_url, {at_once}", ours.response, bare.response),
    ]


def _percentiles(name: str, ours: list[float], bare: list[float], max_ratio: float | None = None) -> list[Measurement]:
    """Return the median, limited by `max_ratio` if given, and the 99th percentile, limited by Slack's timeout."""
    return [
        Measurement(
            name=f"p50: {name}",
            measured=1000 * median(ours),
            baseline=1000 * median(bare),
            baseline_name="bare Bolt",
            unit="ms",
            budget=max_ratio or SLACK_TIMEOUT_MS,
            budget_is_ratio=max_ratio is not None,
        ),
        Measurement(
            name=f"p99: {name}",
            measured=_p99_ms(ours),
            baseline=_p99_ms(bare),
            baseline_name="bare Bolt",
            unit="ms",
            budget=SLACK_TIMEOUT_MS,
        ),
    ]


def _p99_ms(times: list[float]) -> float:
    return 1000 * quantiles(times, n=100)[98]


@asynccontextmanager
async def _sender() -> AsyncIterator[Sender]:
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        slack_server(FakeSlack(checks_blocks=False)) as slack,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        sender = Sender(session=session, slack=slack)
        slack.on_outcome = sender.record_response
        yield sender


@asynccontextmanager
async def app_process(name: str, *arguments: str) -> AsyncIterator[int]:
    """Run one of the apps in its own process; yield its port."""
    program = (sys.executable, "-m", "tests.bench.http_app", name, *arguments)
    process = await asyncio.create_subprocess_exec(*program, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()

"""Overload: 5,845 commands from 200 people at once, and a database that another connection locks for 40 s."""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import aiohttp

from bot.http.app import SLACK_PATH
from handlers.background import INTERNAL_ERROR
from handlers.render.responses import BUSY
from services.storage import generate_key
from tests.bench.http_latency import app_process
from tests.bench.measurement import Measurement
from tests.bot.oauth.conftest import open_oauth_harness
from tests.fakes.slack import OAUTH, Call, FakeSlack, Fault, command_form, signed_headers, slack_server

COMMANDS = 5_845
PEOPLE = 200  # who send a command each, and the next one when the last is acknowledged
TYPED = ("", "rules", "history", "mute 30m", "channel", "rule add 5d 15pp")
FAULTS = ("can't be reached", INTERNAL_ERROR)
ANSWER_TIMEOUT_S = 120.0
LOCK_S = 40.0
SLACK_TIMEOUT_MS = 3_000.0


@dataclass(slots=True)
class Answers:
    """What came back: texts by command number, and the seconds until each acknowledgement."""

    texts: dict[str, str] = field(default_factory=dict)
    ack_s: list[float] = field(default_factory=list)
    complete: asyncio.Event = field(default_factory=asyncio.Event)

    def record(self, number: str, text: str) -> None:
        self.texts[number] = text
        if len(self.texts) == COMMANDS:
            self.complete.set()

    def record_response(self, call: Call, _outcome: str) -> None:
        if call.key:
            self.record(call.key, str(call.arguments.get("text")))
        elif call.method == "chat.postEphemeral":
            self.record(str(call.arguments["user"]), str(call.arguments.get("text")))

    def count(self, part: str) -> int:
        return sum(part in text for text in self.texts.values())


async def bench() -> list[Measurement]:
    """Measure what 5,845 signed commands are answered, by the web app on an SQLite file."""
    answers, connector = Answers(), aiohttp.TCPConnector(limit=0)
    async with (
        slack_server(FakeSlack(checks_blocks=False)) as slack,
        aiohttp.ClientSession(connector=connector) as session,
        app_process("file", slack.url) as port,
    ):
        slack.on_outcome = answers.record_response
        start = time.perf_counter()
        await _send_all(session, f"http://127.0.0.1:{port}{SLACK_PATH}", slack.url, answers)
        sent_s = time.perf_counter() - start
        with suppress(TimeoutError):
            await asyncio.wait_for(answers.complete.wait(), ANSWER_TIMEOUT_S)
    return [
        _of_all(
            "answers that the database cannot be reached, or of an error", sum(map(answers.count, FAULTS)), budget=0
        ),
        _of_all("answers with an HTTP error", answers.count("HTTP "), budget=0),
        _of_all("commands without an answer", COMMANDS - len(answers.texts), budget=0),
        _of_all("answers that MinerPulse is busy", answers.count(BUSY), budget=COMMANDS),
        Measurement(
            name=f"slowest ack of {COMMANDS:,} commands in {sent_s:.0f} s",
            measured=1000 * max(answers.ack_s),
            baseline=1000 * sorted(answers.ack_s)[len(answers.ack_s) // 2],
            baseline_name="median",
            unit="ms",
            budget=SLACK_TIMEOUT_MS,
        ),
    ]


def _of_all(name: str, measured: int, *, budget: float) -> Measurement:
    return Measurement(
        name=name, measured=measured, baseline=COMMANDS, baseline_name="commands", unit="", budget=budget
    )


async def _send_all(session: aiohttp.ClientSession, url: str, slack_url: str, answers: Answers) -> None:
    """Send all commands, each from a user of its own, whose answer is recognized by the user's ID."""
    numbers = iter(range(COMMANDS))

    async def send(number: int) -> None:
        user, response_url = f"U{number}", f"{slack_url}responses/U{number}"
        typed, channel = TYPED[number % len(TYPED)], f"C{number % 200}"
        body = urlencode(command_form(typed, user_id=user, response_url=response_url, channel_id=channel))
        start = time.perf_counter()
        async with session.post(url, data=body, headers=signed_headers(body)) as response:
            acknowledged = await response.text()
        answers.ack_s.append(time.perf_counter() - start)
        if response.status != 200:
            answers.record(user, f"HTTP {response.status}")
        elif acknowledged:
            answers.record(user, acknowledged)

    async def person() -> None:
        for number in numbers:
            await send(number)

    await asyncio.gather(*(person() for _ in range(PEOPLE)))


async def bench_locked() -> list[Measurement]:
    """Measure how long after a lock of 40 s a token pair is saved that Slack issued at its beginning."""
    return [
        Measurement(
            name="token pair saved after a database locked for 40 s",
            measured=await saved_after_lock_s(LOCK_S),
            baseline=LOCK_S,
            baseline_name="locked",
            unit="s",
            budget=25,  # the longest pause, and SQLite's own timeout
        )
    ]


async def saved_after_lock_s(locked_s: float) -> float:
    """Return the seconds from the end of the lock to the saved token."""
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, "app.db")
        async with open_oauth_harness(f"sqlite:///{database}", token_key=generate_key()) as harness:
            await harness.install(access_token="xoxe.xoxb-1", refresh_token="xoxe-1", expires_in=43_200)
            harness.clock.advance(timedelta(hours=11))
            harness.slack.refresh_tokens = {"xoxe-1": "xoxe.xoxb-2"}
            answer, calls = asyncio.Event(), len(harness.slack.calls)
            harness.slack.fail(OAUTH, Fault(until=answer))
            renewing = asyncio.create_task(harness.oauth.rotation.run())
            await harness.slack.received(calls + 1)
            with _locked(database):
                answer.set()
                await asyncio.sleep(locked_s)
            unlocked_at = time.perf_counter()
            await renewing
            if (await harness.oauth.clients.of("T1")).token != "xoxe.xoxb-2":
                raise AssertionError("the token pair is lost")
            return time.perf_counter() - unlocked_at


@contextmanager
def _locked(database: Path) -> Iterator[None]:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.rollback()

"""A process that handles 50,000 signed commands, and prints its memory in MB after 5,000 and at the end.

`python -m tests.bench.command_memory`. It runs the whole app behind request verification. Of 50 commands, 46 are
answered in the acknowledgement and 4 from the store; they come from people in several channels.
"""

import asyncio
import json
from pathlib import Path
from urllib.parse import urlencode

from pydantic import SecretStr
from starlette.requests import Request
from starlette.types import Message

from bot.app import build
from bot.http.slack_requests import SlackRequests
from bot.settings import Settings
from services.core.identity import Channel
from tests.fakes.clock import SetClock
from tests.fakes.harness import OPEN
from tests.fakes.slack import SECRET, TOKEN, FakeSlack, command_form, signed_headers, slack_server

IN_ACK = ("help", "help rules", "rule add 5d", "boad", "rule remove", "snooze", "chart 7d", "mute", "tune")
TEXTS = [IN_ACK[step % len(IN_ACK)] for step in range(46)] + ["", "rules", "history", "channel"]
COMMANDS, FEW = 50_000, 5_000
PEOPLE, CHANNELS = 97, 7


async def run() -> None:
    """Send all commands, and wait for the responses after every 50."""
    settings = Settings(
        database_url="sqlite://",
        etf_sources=("simulated",),
        crypto_sources=("simulated",),
        slack_bot_token=SecretStr(TOKEN),
        slack_signing_secret=SecretStr(SECRET),
    )
    resident_mb = []
    async with slack_server(FakeSlack(checks_blocks=False)) as slack, build(settings, clock=SetClock(OPEN)) as app:
        await app.commands.add_default_rules(Channel(team="T1", id="C1"), "U1")
        requests = SlackRequests(bolt=app.bolt, signing_secret=SECRET)
        for number in range(COMMANDS):
            await _send(requests, number, f"{slack.url}responses/1")
            if (number + 1) % len(TEXTS) == 0:
                await app.background.drain()
                slack.calls.clear()
                slack.accepted.clear()
            if number + 1 in {FEW, COMMANDS}:
                resident_mb.append(_resident_mb())
    print(json.dumps(resident_mb))  # noqa: T201 -- read by the parent process


async def _send(requests: SlackRequests, number: int, response_url: str) -> None:
    form = command_form(
        TEXTS[number % len(TEXTS)],
        channel_id=f"C{number % CHANNELS}",
        user_id=f"U{number % PEOPLE}",
        trigger_id=f"{number}.1",
        response_url=response_url,
    )
    body = urlencode(form)

    async def receive() -> Message:
        return {"type": "http.request", "body": body.encode(), "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/slack/events", "query_string": b"", "state": {}}
    headers = [(name.encode(), value.encode()) for name, value in signed_headers(body).items()]
    response = await requests.handle(Request({**scope, "headers": headers}, receive))
    if response.status_code != 200:
        raise AssertionError(response.body)


def _resident_mb() -> float:
    """Return the resident memory on Linux."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    asyncio.run(run())

"""A process of its own that takes 50,000 signed commands and prints its memory in MB after 5,000 and at the end.

`python -m tests.bench.command_memory`. The whole app stands behind the gate; of 50 commands 46 are answered in the
acknowledgement and 4 from the store, by people in several channels.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from urllib.parse import urlencode

from aiohttp import web
from pydantic import SecretStr
from starlette.requests import Request
from starlette.types import Message

from bot.app import build
from bot.http.slack_requests import SIGNATURE_HEADER, TIMESTAMP_HEADER, SlackRequests, sign
from bot.settings import Settings
from services.core.identity import Channel
from tests.fakes.clock import SetClock
from tests.fakes.harness import OPEN
from tests.fakes.slack import SECRET, TOKEN

AT_ONCE = ("help", "help rules", "rule add 5d", "boad", "rule remove", "snooze", "chart 7d", "mute", "tune")
TEXTS = [AT_ONCE[step % len(AT_ONCE)] for step in range(46)] + ["", "rules", "history", "channel"]
COMMANDS, FEW = 50_000, 5_000
PEOPLE, CHANNELS = 97, 7


async def run() -> None:
    """Take all commands, each batch of 50 to its last answer."""
    app = web.Application()
    app.router.add_post("/{key}", _taken)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/1"
    settings = Settings(
        database_url="sqlite://",
        etf_sources=("simulated",),
        crypto_sources=("simulated",),
        slack_bot_token=SecretStr(TOKEN),
        slack_signing_secret=SecretStr(SECRET),
    )
    seen = []
    async with build(settings, clock=SetClock(OPEN)) as ours:
        await ours.commands.add_default_rules(Channel(team="T1", id="C1"), "U1")
        gate = SlackRequests(bolt=ours.bolt, signing_secret=SECRET)
        for number in range(COMMANDS):
            await _types(gate, number, url)
            if (number + 1) % len(TEXTS) == 0:
                await ours.background.drain()
            if number + 1 in {FEW, COMMANDS}:
                seen.append(_resident_mb())
    print(json.dumps(seen))  # noqa: T201 -- for whoever has started it
    await runner.cleanup()


async def _types(gate: SlackRequests, number: int, response_url: str) -> None:
    about = {"team_id": "T1", "channel_id": f"C{number % CHANNELS}", "user_id": f"U{number % PEOPLE}"}
    form = {"command": "/minerpulse", "text": TEXTS[number % len(TEXTS)], "trigger_id": f"{number}.1", **about}
    body, at = urlencode({**form, "response_url": response_url}).encode(), str(int(time.time()))
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        TIMESTAMP_HEADER: at,
        SIGNATURE_HEADER: sign(SECRET, at, body).decode(),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/slack/events", "query_string": b"", "state": {}}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    answer = await gate.handle(Request({**scope, "headers": raw}, receive))
    if answer.status_code != 200:
        raise AssertionError(answer.body)


async def _taken(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(text="ok")


def _resident_mb() -> float:
    """On Linux."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    asyncio.run(run())

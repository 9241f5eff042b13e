"""A Slack that only takes messages: with latency, and with limits per channel and workspace."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random

from aiohttp import web

CHANNEL_LIMIT = 1  # messages per second in a channel
WORKSPACE_LIMIT = 300  # messages per minute in a workspace
SPREAD = 0.35  # sigma of the logarithm of the latency: its 99th percentile is 2.3 times the median


@dataclass(slots=True)
class SlowSlack:
    """Accepts `chat.postMessage` after a latency with this median, and records when.

    With `limited`, it has limits; the part of a channel's ID before `-` is its workspace.
    """

    latency_s: float
    limited: bool
    random: Random = field(default_factory=lambda: Random(1))  # noqa: S311 -- not a secret
    posted: list[float] = field(default_factory=list)
    refused: int = 0
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _channels: Counter[tuple[str, int]] = field(default_factory=Counter)
    _workspaces: Counter[tuple[str, int]] = field(default_factory=Counter)

    async def post(self, request: web.Request) -> web.Response:
        """Take a message, or answer 429 with the seconds until the limit's next period."""
        channel = str((await request.json())["channel"]) if self.limited else ""
        wait = self._wait_of(channel) if self.limited else 0
        latency = self.latency_s * self.random.lognormvariate(0, SPREAD) if self.limited else self.latency_s
        await asyncio.sleep(latency)
        if wait:
            self.refused += 1
            return web.json_response(
                {"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": f"{wait}"}
            )
        self.posted.append(time.time())
        return web.json_response({"ok": True, "ts": f"17{next(self._numbers):08d}.000100", "channel": channel})

    def _wait_of(self, channel: str) -> int:
        now = time.time()
        second, minute = int(now), int(now // 60)
        workspace = channel.partition("-")[0]
        self._channels[channel, second] += 1
        self._workspaces[workspace, minute] += 1
        if self._workspaces[workspace, minute] > WORKSPACE_LIMIT:
            return 60 - second % 60
        return int(self._channels[channel, second] > CHANNEL_LIMIT)

    async def report(self, _request: web.Request) -> web.Response:
        return web.json_response({"posted": self.posted, "refused": self.refused})


async def run(latency_s: str, limited: str) -> None:
    """Print the URL, and serve until the process is killed."""
    slack = SlowSlack(float(latency_s), limited == "limited")
    app = web.Application()
    app.router.add_post("/api/chat.postMessage", slack.post)
    app.router.add_get("/report", slack.report)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/", flush=True)  # noqa: T201 -- read by the parent process
    await asyncio.Event().wait()

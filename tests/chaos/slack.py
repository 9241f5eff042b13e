"""A Slack of bad weather on 127.0.0.1, in a process of its own; it remembers every message that it has accepted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import TypedDict

from aiohttp import web

from bot.clock import SystemClock
from tests.chaos.scene import Scene
from tests.fakes.slack import Call, FakeSlack, Fault

RETRY_AFTER_S = 30  # of the scene's time
LIMITED = Fault(status=429, headers={"Retry-After": f"{RETRY_AFTER_S}"})
DROPPED, LOST = Fault(drop=True), Fault(drop=True, accepted=True)
FAILED = Fault(status=500, body="oops", content_type="text/plain")
FAILED_LATE = Fault(status=500, body="oops", content_type="text/plain", accepted=True)
SHARES = {"429": (LIMITED, 0.10), "dropped": (DROPPED, 0.05), "lost": (LOST, 0.10), "500 late": (FAILED_LATE, 0.05)}
SPELL_S = 3.0
SPELLS = {
    "429": Fault(status=429, headers={"Retry-After": "1"}),
    "500": FAILED,
    "lost": LOST,
}


class Post(TypedDict):
    """An accepted post: its key, the thread that it is a line of, when it came, and what it said first and says now."""

    key: str
    thread: str | None
    at: float
    first: str
    last: str


class Ledger(TypedDict):
    """What a Slack has accepted, how it was called, and which faults those calls met."""

    posts: list[Post]
    calls: dict[str, int]
    faults: dict[str, int]
    malformed: list[str]


@dataclass(slots=True)
class Weather:
    """Which answers go wrong: `storm` draws each by its share; a spell is one fault for 3 s from the first call on."""

    kind: str
    random: Random
    drawn: Counter[str] = field(default_factory=Counter)
    began: float | None = None

    def draw(self, _call: Call) -> Fault | None:
        """Draw what happens to the next call."""
        if self.kind == "fair":
            return None
        if self.kind != "storm":
            return self._spell()
        dice = self.random.random()
        for name, (fault, share) in SHARES.items():
            if dice < share:
                self.drawn[name] += 1
                return fault
            dice -= share
        return None

    def _spell(self) -> Fault | None:
        self.began = self.began or time.monotonic()
        if time.monotonic() - self.began > SPELL_S:
            return None
        self.drawn[self.kind] += 1
        return SPELLS[self.kind]


def serve(clock: Callable[[], datetime], weather: Weather) -> web.Application:
    """Build the application; `clock` is Slack's."""
    slack = FakeSlack(readable=True, clock=clock, fault_policy=weather.draw)

    async def ledger(_request: web.Request) -> web.Response:
        return web.json_response(_ledger(slack, weather))

    app = slack.web_app()
    app.router.add_get("/ledger", ledger)
    return app


def _ledger(slack: FakeSlack, weather: Weather) -> Ledger:
    return {
        "posts": [
            {
                "key": message.key,
                "thread": message.thread_ts,
                "at": float(message.ts),
                "first": message.arguments["text"],
                "last": message.text,
            }
            for messages in slack.messages.values()
            for message in messages
        ],
        "calls": dict(Counter(call.method for call in slack.calls)),
        "faults": dict(weather.drawn),
        "malformed": slack.malformed,
    }


async def run(scene: str, kind: str, seed: str) -> None:
    """Serve until the process is ended; say at which address. Without a scene it has the wall's time."""
    clock = Scene.read(scene).clock if scene else SystemClock()
    runner = web.AppRunner(serve(clock.now, Weather(kind, Random(int(seed)))), access_log=None)  # noqa: S311 -- not a secret
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/", flush=True)  # noqa: T201 -- whoever began it waits for that
    await asyncio.Event().wait()

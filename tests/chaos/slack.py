"""A failing Slack on 127.0.0.1, in its own process, and a record of the messages that it accepted."""

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
from tests.chaos.scenario import Scenario
from tests.fakes.slack import Call, FakeSlack, Fault

RETRY_AFTER_S = 30  # in the scenario's time
LIMITED = Fault(status=429, headers={"Retry-After": f"{RETRY_AFTER_S}"})
DROPPED, LOST = Fault(drop=True), Fault(drop=True, accepted=True)
FAILED = Fault(status=500, body="oops", content_type="text/plain")
FAILED_LATE = Fault(status=500, body="oops", content_type="text/plain", accepted=True)
RANDOM_FAULTS = {
    "429": (LIMITED, 0.10),
    "dropped": (DROPPED, 0.05),
    "lost": (LOST, 0.10),
    "500 late": (FAILED_LATE, 0.05),
}
OUTAGE_S = 3.0
OUTAGES = {
    "429": Fault(status=429, headers={"Retry-After": "1"}),
    "500": FAILED,
    "lost": LOST,
}


class Post(TypedDict):
    """An accepted post: its key, its thread, its time in seconds since 1970, and its first and latest text."""

    key: str
    thread: str | None
    at: float
    first: str
    last: str


class SlackRecord(TypedDict):
    """The posts that a Slack accepted, and the number of calls by method and of faults by name."""

    posts: list[Post]
    calls: dict[str, int]
    faults: dict[str, int]
    malformed: list[str]


@dataclass(slots=True)
class FaultPolicy:
    """Chooses the fault of each call.

    Attributes:
        kind: `none`, `random`, or the one fault that every call meets in the first 3 s.
        drawn: The number of faults by name.
    """

    kind: str
    random: Random
    drawn: Counter[str] = field(default_factory=Counter)
    started_at: float | None = None

    def draw(self, _call: Call) -> Fault | None:
        if self.kind == "none":
            return None
        if self.kind != "random":
            return self._outage()
        drawn_share = self.random.random()
        for name, (fault, share) in RANDOM_FAULTS.items():
            if drawn_share < share:
                self.drawn[name] += 1
                return fault
            drawn_share -= share
        return None

    def _outage(self) -> Fault | None:
        self.started_at = self.started_at or time.monotonic()
        if time.monotonic() - self.started_at > OUTAGE_S:
            return None
        self.drawn[self.kind] += 1
        return OUTAGES[self.kind]


def serve(clock: Callable[[], datetime], policy: FaultPolicy) -> web.Application:
    """Build the web app; `clock` is Slack's."""
    slack = FakeSlack(readable=True, clock=clock, fault_policy=policy.draw)

    async def record(_request: web.Request) -> web.Response:
        return web.json_response(_record(slack, policy))

    app = slack.web_app()
    app.router.add_get("/record", record)
    return app


def _record(slack: FakeSlack, policy: FaultPolicy) -> SlackRecord:
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
        "faults": dict(policy.drawn),
        "malformed": slack.malformed,
    }


async def run(scenario: str, kind: str, seed: str) -> None:
    """Print the URL, and serve until the process is killed; in real time if `scenario` is empty."""
    clock = Scenario.read(scenario).clock if scenario else SystemClock()
    runner = web.AppRunner(serve(clock.now, FaultPolicy(kind, Random(int(seed)))), access_log=None)  # noqa: S311 -- not a secret
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/", flush=True)  # noqa: T201 -- read by the parent process
    await asyncio.Event().wait()

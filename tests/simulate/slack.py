"""Slack in a simulation: the faults of the plan, and a client without sockets for each process."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Any, cast

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from tests.fakes.slack import POST, UPDATE, Call, FakeSlack, Fault, error_response
from tests.simulate.event_log import EventLog
from tests.simulate.fault_injection import FaultInjector
from tests.simulate.plan import Plan, SlackFault

TIMEOUT_S = 10
PAGE = 3
RANDOM_FAULTS = (
    SlackFault.LIMITED,
    SlackFault.ACCEPTED,
    SlackFault.LOST,
    SlackFault.CUT,
    SlackFault.SLOW,
    SlackFault.REFUSING,
)
REJECTIONS = {
    SlackFault.ARCHIVED: "is_archived",
    SlackFault.REVOKED: "token_revoked",
    SlackFault.TOO_LONG: "msg_too_long",
    SlackFault.UNKNOWN: "never_heard_of_it",
    SlackFault.BLOCKS: "invalid_blocks",
}
FAULTS = {
    SlackFault.LIMITED: error_response("ratelimited", status=429),
    SlackFault.DOWN: error_response("service_unavailable", status=503),
    SlackFault.ACCEPTED: replace(error_response("internal_error", status=500), accepted=True),
    SlackFault.LOST: Fault(hang=True, accepted=True),
    SlackFault.CUT: Fault(drop=True),
    SlackFault.SLOW: Fault(drop=True),
    SlackFault.REFUSING: Fault(refuse=True),
    **{what: error_response(error) for what, error in REJECTIONS.items()},
}
REJECTED_CONTENT = frozenset({SlackFault.TOO_LONG, SlackFault.UNKNOWN, SlackFault.BLOCKS})


def simulated_slack(
    plan: Plan, now: Callable[[], datetime], random: Random, log: EventLog, on_post: Callable[[str], None]
) -> FakeSlack:
    """Build a Slack with the plan's faults; `on_post` is called with the key of each message."""

    def add_outcome(call: Call, outcome: str) -> None:
        where = call.metadata_key or call.arguments.get("ts") or ""
        log.add("slack", call.method, call.arguments["channel"], where, outcome)

    return FakeSlack(
        readable=plan.readable,
        page=PAGE,
        clock=now,
        latency=lambda _method: 0.02 + random.random() / 5,
        fault_policy=SlackFaults(plan, now, random).draw,
        on_post=lambda message: on_post(message.key),
        on_outcome=add_outcome,
    )


@dataclass(frozen=True, slots=True)
class SlackFaults:
    """Draws the fault of each call: those of the plan's periods, and random ones until faults end."""

    plan: Plan
    now: Callable[[], datetime]
    random: Random

    def draw(self, call: Call) -> Fault | None:
        what = self._draw(call.arguments["channel"])
        if call.method != POST and what is SlackFault.SLOW:
            what = SlackFault.CUT
        if what is None or (call.method not in {POST, UPDATE} and what in REJECTED_CONTENT):
            return None
        return replace(self._fault(what), name=what.value)

    def _draw(self, channel: str) -> SlackFault | None:
        now = self.now()
        for what in sorted(
            (w for w in self.plan.faults_at(channel, now) if isinstance(w, SlackFault)), key=lambda w: w.value
        ):
            if what in REJECTIONS or self.random.random() < 0.7:
                return what
        if now < self.plan.faults_end_at and self.random.random() < self.plan.slack_fault_rate:
            return self.random.choice(RANDOM_FAULTS)
        return None

    def _fault(self, what: SlackFault) -> Fault:
        match what:
            case SlackFault.LIMITED:
                return replace(FAULTS[what], headers={"Retry-After": str(self.random.choice((1, 5, 30)))})
            case SlackFault.CUT:
                return replace(FAULTS[what], accepted=self.random.random() < 0.5)
            case SlackFault.SLOW:
                return replace(FAULTS[what], accepted_after_s=self.random.uniform(1, 11))
            case _:
                return FAULTS[what]


def delete_newest_alert(slack: FakeSlack, channel: str, log: EventLog) -> None:
    """Delete the newest alert of a channel, as a person does."""
    for message in reversed(slack.messages.get(channel, [])):
        if not message.deleted and message.thread_ts is None:
            message.deleted = True
            log.add("person", "deletes", message.key)
            return


@dataclass(slots=True)
class _Response:
    """The part of aiohttp.ClientResponse that Slack's client reads."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    async def json(self) -> dict[str, Any]:
        return self.body


@dataclass(slots=True)
class _Session:
    """The part of aiohttp.ClientSession that Slack's client uses; each call is a step of its process."""

    slack: FakeSlack
    injector: FaultInjector
    now: Callable[[], datetime]
    closed: bool = False

    @asynccontextmanager
    async def request(self, _verb: str, url: str, **sent: Any) -> AsyncIterator[_Response]:  # noqa: ANN401 -- aiohttp's type
        arguments = {**(sent.get("params") or {}), **(sent.get("data") or {}), **(sent.get("json") or {})}
        call = Call(method=url.rsplit("/", 1)[-1], arguments=arguments, sent_at=self.now())
        await self.injector.step(f"before {call.method}", can_pause=False)
        response = await _respond(await self.slack.receive(call))
        await self.injector.step(f"after {call.method}")
        yield response


async def _respond(answer: dict[str, Any] | Fault) -> _Response:
    if not isinstance(answer, Fault):
        return _Response(200, answer)
    if answer.hang:
        await asyncio.sleep(TIMEOUT_S)
        raise TimeoutError
    if answer.drop:
        raise aiohttp.ServerDisconnectedError
    if answer.refuse:
        raise aiohttp.ClientConnectorError(cast("Any", None), OSError("refused"))
    return _Response(answer.status, json.loads(answer.body), answer.headers)


def connect(slack: FakeSlack, injector: FaultInjector, now: Callable[[], datetime]) -> AsyncWebClient:
    """Return the client of one process."""
    session = cast("aiohttp.ClientSession", _Session(slack, injector, now))
    return AsyncWebClient(token="xoxb-simulated", base_url="http://slack.invalid/api/", session=session)

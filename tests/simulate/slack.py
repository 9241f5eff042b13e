"""Slack in memory, behind the session of a real client: it takes, refuses, loses and repeats nothing by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from random import Random
from typing import Any, cast

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from tests.simulate.gate import Gate
from tests.simulate.log import Log
from tests.simulate.plan import Plan, Weather

TIMEOUT_S = 10
PAGE = 3
POST, UPDATE = "chat.postMessage", "chat.update"
BY_CHANCE = (Weather.LIMITED, Weather.TAKEN, Weather.LOST, Weather.CUT, Weather.SLOW, Weather.REFUSING)
OF_MESSAGES = frozenset({Weather.TOO_LONG, Weather.STRANGE, Weather.BLOCKS})
SAID = {
    Weather.ARCHIVED: "is_archived",
    Weather.REVOKED: "token_revoked",
    Weather.TOO_LONG: "msg_too_long",
    Weather.STRANGE: "never_heard_of_it",
    Weather.BLOCKS: "invalid_blocks",
}


@dataclass(slots=True)
class Message:
    """A message as the channel shows it; `made_at` is the time on the sender's clock when it was last written."""

    ts: str
    key: str
    thread_ts: str | None
    text: str
    blocks: object
    made_at: datetime
    edits: int = 0
    standing: bool = True


@dataclass(slots=True)
class _Answer:
    """What the client reads of an HTTP response."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    async def json(self) -> dict[str, Any]:
        return self.body


@dataclass(slots=True)
class Slack:
    """The messages of all channels, in the order in which they were taken."""

    plan: Plan
    now: Callable[[], datetime]
    chance: Random
    log: Log
    on_post: Callable[[str], None]
    messages: dict[str, list[Message]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _later: set[asyncio.Task[None]] = field(default_factory=set)

    def delete(self, channel: str) -> None:
        """Let a person delete the newest alert of a channel."""
        for message in reversed(self.messages.get(channel, [])):
            if message.standing and message.thread_ts is None:
                message.standing = False
                self.log.add("person", "deletes", message.key)
                return

    def standing(self, channel: str) -> list[Message]:
        """List what nobody has deleted, oldest first."""
        return [message for message in self.messages.get(channel, ()) if message.standing]

    def weather(self, channel: str) -> Weather | None:
        """Tell what happens to this call."""
        now = self.now()
        for what in sorted((w for w in self.plan.wrong(channel, now) if isinstance(w, Weather)), key=lambda w: w.value):
            if what in SAID or self.chance.random() < 0.7:
                return what
        if now < self.plan.calm_at and self.chance.random() < self.plan.slack_faults:
            return self.chance.choice(BY_CHANCE)
        return None

    async def answer(self, method: str, asked: dict[str, Any], made_at: datetime) -> _Answer:
        """Take a call, or not, and answer it, or not."""
        channel = asked["channel"]
        weather = self.weather(channel)
        if method != POST and weather is Weather.SLOW:
            weather = Weather.CUT
        if method not in {POST, UPDATE} and weather in OF_MESSAGES:
            weather = None
        await asyncio.sleep(0.02 + self.chance.random() / 5)
        taken = weather is None or weather in {Weather.TAKEN, Weather.LOST}
        taken = taken or (weather is Weather.CUT and self.chance.random() < 0.5)
        body = self._take(method, asked, made_at) if taken else {}
        where = _key(asked) or asked.get("ts") or ""
        self.log.add("slack", method, channel, where, weather.value if weather else body.get("error", "ok"))
        if weather is Weather.SLOW:
            self._take_later(method, asked, made_at)
        await asyncio.sleep(0.02 + self.chance.random() / 5)
        return await self._respond(weather, body)

    async def _respond(self, weather: Weather | None, body: dict[str, Any]) -> _Answer:
        match weather:
            case None:
                return _Answer(200, body)
            case Weather.LIMITED:
                wait = str(self.chance.choice((1, 5, 30)))
                return _Answer(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": wait})
            case Weather.DOWN:
                return _Answer(503, {"ok": False, "error": "service_unavailable"})
            case Weather.TAKEN:
                return _Answer(500, {"ok": False, "error": "internal_error"})
            case Weather.LOST:
                await asyncio.sleep(TIMEOUT_S)
                raise TimeoutError
            case Weather.CUT | Weather.SLOW:
                raise aiohttp.ServerDisconnectedError
            case Weather.REFUSING:
                raise aiohttp.ClientConnectorError(cast("Any", None), OSError("refused"))
            case _:
                return _Answer(200, {"ok": False, "error": SAID[weather]})

    def _take_later(self, method: str, asked: dict[str, Any], made_at: datetime) -> None:
        async def late() -> None:
            await asyncio.sleep(self.chance.uniform(1, 11))
            self._take(method, asked, made_at)
            self.log.add("slack", method, asked["channel"], _key(asked), "taken late")

        task = asyncio.ensure_future(late())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def _take(self, method: str, asked: dict[str, Any], made_at: datetime) -> dict[str, Any]:
        known = self.messages.setdefault(asked["channel"], [])
        match method:
            case "chat.postMessage":
                return self._post(known, asked, made_at)
            case "chat.update":
                found = next((one for one in known if one.ts == asked["ts"] and one.standing), None)
                if found is None:
                    return {"ok": False, "error": "message_not_found"}
                found.text, found.blocks, found.made_at = asked["text"], asked["blocks"], made_at
                found.edits += 1
                return {"ok": True, "ts": found.ts}
            case _:
                return self._read(known, asked)

    def _post(self, known: list[Message], asked: dict[str, Any], made_at: datetime) -> dict[str, Any]:
        thread = asked.get("thread_ts")
        if thread is not None and not any(one.ts == thread and one.standing for one in known):
            return {"ok": False, "error": "thread_not_found"}
        ts = f"{self.now().timestamp():.0f}.{next(self._numbers):06d}"
        message = Message(ts, _key(asked), thread, asked["text"], asked["blocks"], made_at)
        known.append(message)
        self.on_post(message.key)
        return {"ok": True, "ts": ts}

    def _read(self, known: list[Message], asked: dict[str, Any]) -> dict[str, Any]:
        """Answer with a page of the channel, or of a thread, newest first as the channel's is."""
        if not self.plan.readable:
            return {"ok": False, "error": "missing_scope"}
        thread, begin = asked.get("ts"), int(asked.get("cursor") or 0)
        found = [
            m for m in reversed(known) if m.standing and m.thread_ts == thread and float(m.ts) >= float(asked["oldest"])
        ]
        shown = [
            {"ts": m.ts, "metadata": {"event_type": "minerpulse_alert", "event_payload": {"key": m.key}}} for m in found
        ]
        more = {"next_cursor": str(begin + PAGE)} if begin + PAGE < len(found) else {}
        return {"ok": True, "messages": shown[begin : begin + PAGE], "response_metadata": more}


@dataclass(slots=True)
class _Session:
    """What the client takes for its HTTP session: each call passes the gate of its process."""

    slack: Slack
    gate: Gate
    now: Callable[[], datetime]
    closed: bool = False

    @asynccontextmanager
    async def request(self, _verb: str, url: str, **sent: Any) -> AsyncIterator[_Answer]:  # noqa: ANN401 -- as aiohttp has it
        asked = {**(sent.get("params") or {}), **(sent.get("data") or {}), **(sent.get("json") or {})}
        made_at, method = self.now(), url.rsplit("/", 1)[-1]
        await self.gate.pass_by(f"before {method}", stops=False)
        answer = await self.slack.answer(method, asked, made_at)
        await self.gate.pass_by(f"after {method}")
        yield answer


def connect(slack: Slack, gate: Gate, now: Callable[[], datetime]) -> AsyncWebClient:
    """Give one process its client."""
    session = cast("aiohttp.ClientSession", _Session(slack, gate, now))
    return AsyncWebClient(token="xoxb-simulated", base_url="http://slack.invalid/api/", session=session)


def _key(asked: dict[str, Any]) -> str:
    metadata = asked.get("metadata") or {}
    decoded = json.loads(metadata) if isinstance(metadata, str) else metadata
    return str(decoded.get("event_payload", {}).get("key", ""))

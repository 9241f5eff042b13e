"""The front on a real socket, with a Bolt app behind it that notes what reaches it."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from slack_bolt.async_app import AsyncAck
from slack_sdk.web.async_client import AsyncWebClient

from bot.health import Report
from bot.http.app import SLACK_PATH, build_web
from bot.http.server import Server
from bot.http.slack_requests import SlackRequests, signed
from bot.slack import build_bolt
from tests.fakes.slack import SECRET, TOKEN

FORM = "application/x-www-form-urlencoded"
COMMAND = urlencode({"command": "/note", "team_id": "T1", "channel_id": "C1", "user_id": "U1"}).encode()


@dataclass(slots=True, kw_only=True)
class Answer:
    """What came back over the socket, as it came."""

    raw: bytes

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1]) if self.raw else 0

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]


@dataclass(slots=True, kw_only=True)
class Front:
    """The front at a port; `reached` are the commands and events that the listeners got."""

    port: int
    reached: list[str] = field(default_factory=list)
    failing: bool = False
    server: Server | None = None

    async def send(self, raw: bytes) -> Answer:
        """Send bytes and read until the connection is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(raw)
        await writer.drain()
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return Answer(raw=answer)

    async def post(self, body: bytes, headers: dict[str, str], path: str = SLACK_PATH) -> Answer:
        """Post a body; the length is told unless the headers do."""
        return await self.send(written("POST", path, {"Content-Length": str(len(body)), **headers}) + body)

    async def slack(self, body: bytes, *, content_type: str = FORM, at: str | None = None, **more: str) -> Answer:
        """Post a body as Slack does, signed."""
        return await self.post(body, {**as_slack(body, at), "Content-Type": content_type, **more})

    async def event(self, event_id: str, kind: str = "noted") -> Answer:
        """Send an event; each time anew, with a time of its own, as Slack's retries have."""
        self._sent += 1
        document = {"type": "event_callback", "team_id": "T1", "event_id": event_id, "event": {"type": kind}}
        body = json.dumps({**document, "try": self._sent}).encode()
        return await self.slack(body, content_type="application/json")

    _sent: int = 0


def as_slack(body: bytes, at: str | None = None) -> dict[str, str]:
    """The headers that Slack signs a body with, now or at another time."""
    stamp = str(int(time.time())) if at is None else at
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signed(SECRET, stamp, body).decode()}


def written(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: here", "Connection: close"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode("latin-1")


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    bolt = build_bolt(AsyncWebClient(token=TOKEN), SECRET)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        front = Front(port=listener.getsockname()[1])

        def note(what: str) -> None:
            front.reached.append(what)
            if front.failing:
                raise RuntimeError("a secret of the program")

        @bolt.command("/note")
        async def on_command(ack: AsyncAck) -> None:
            await ack("noted")
            note("command")

        @bolt.event("noted")
        async def on_event(body: dict[str, Any]) -> None:
            note(str(body["event_id"]))

        server = Server(build_web(SlackRequests(bolt=bolt, signing_secret=SECRET), healthy))
        front.server = server
        task = asyncio.create_task(server.serve(sockets=[listener]))
        yield front
        server.stop()
        await task


async def healthy() -> Report:
    return Report(troubles=(), backlog=None)

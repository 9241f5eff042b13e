"""The HTTP server on a real socket, with a Bolt app that records what it receives."""

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

from bot.bolt_app import build_bolt
from bot.health import HealthReport
from bot.http.app import SLACK_PATH, build_web
from bot.http.server import Server
from bot.http.slack_requests import SlackRequests, sign
from tests.fakes.slack import SECRET, TOKEN

FORM = "application/x-www-form-urlencoded"
COMMAND = urlencode({"command": "/note", "team_id": "T1", "channel_id": "C1", "user_id": "U1"}).encode()


@dataclass(slots=True, kw_only=True)
class RawResponse:
    """An HTTP response as received."""

    raw: bytes

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1]) if self.raw else 0

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]


@dataclass(slots=True, kw_only=True)
class RunningServer:
    """The server at a port; `received` lists the commands and events that reached a listener."""

    port: int
    received: list[str] = field(default_factory=list)
    failing: bool = False
    server: Server | None = None

    async def send(self, raw: bytes) -> RawResponse:
        """Send bytes and read until the connection is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(raw)
        await writer.drain()
        async with asyncio.timeout(10):
            response = await reader.read()
        writer.close()
        return RawResponse(raw=response)

    async def post(self, body: bytes, headers: dict[str, str], path: str = SLACK_PATH) -> RawResponse:
        """Post a body, with its length unless the headers have one."""
        return await self.send(http_head("POST", path, {"Content-Length": str(len(body)), **headers}) + body)

    async def slack(
        self, body: bytes, *, content_type: str = FORM, timestamp: str | None = None, **extra: str
    ) -> RawResponse:
        """Post a signed body, as Slack does."""
        return await self.post(body, {**signature_headers(body, timestamp), "Content-Type": content_type, **extra})

    async def event(self, event_id: str, event_type: str = "noted") -> RawResponse:
        """Send an event with a unique body, as Slack's retries have."""
        self._sent += 1
        document = {"type": "event_callback", "team_id": "T1", "event_id": event_id, "event": {"type": event_type}}
        body = json.dumps({**document, "try": self._sent}).encode()
        return await self.slack(body, content_type="application/json")

    _sent: int = 0


def signature_headers(body: bytes, timestamp: str | None = None) -> dict[str, str]:
    """Return Slack's signature headers for a body, now or at another time."""
    now = str(int(time.time())) if timestamp is None else timestamp
    return {"X-Slack-Request-Timestamp": now, "X-Slack-Signature": sign(SECRET, now, body).decode()}


def http_head(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: here", "Connection: close"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode("latin-1")


@pytest.fixture
async def server() -> AsyncIterator[RunningServer]:
    bolt = build_bolt(AsyncWebClient(token=TOKEN), SECRET)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = RunningServer(port=listener.getsockname()[1])

        def record(name: str) -> None:
            running.received.append(name)
            if running.failing:
                raise RuntimeError("a secret of the program")

        @bolt.command("/note")
        async def on_command(ack: AsyncAck) -> None:
            await ack("noted")
            record("command")

        @bolt.event("noted")
        async def on_event(body: dict[str, Any]) -> None:
            record(str(body["event_id"]))

        server = Server(build_web(SlackRequests(bolt=bolt, signing_secret=SECRET), healthy))
        running.server = server
        task = asyncio.create_task(server.serve(sockets=[listener]))
        yield running
        server.stop()
        await task


async def healthy() -> HealthReport:
    return HealthReport(problems=(), backlog=None)

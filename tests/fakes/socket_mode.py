"""Slack's end of Socket Mode on 127.0.0.1: each connection follows a script, each URL lives as long as a test says."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

HELLO: dict[str, Any] = {"type": "hello", "num_connections": 1}


def disconnect(reason: str) -> dict[str, Any]:
    return {"type": "disconnect", "reason": reason}


def command(envelope_id: str, text: str) -> dict[str, Any]:
    """Return the envelope of a slash command."""
    payload = {"command": "/minerpulse", "text": text, "team_id": "T1", "channel_id": "C1", "user_id": "U1"}
    return {"type": "slash_commands", "envelope_id": envelope_id, "payload": payload, "accepts_response_payload": True}


def event(envelope_id: str, event_id: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 -- of the event
    """Return the envelope of an event."""
    content = {"type": "app_noted", **more}
    payload = {"type": "event_callback", "team_id": "T1", "event_id": event_id, "event": content}
    return {"type": "events_api", "envelope_id": envelope_id, "payload": payload, "accepts_response_payload": False}


@dataclass(slots=True)
class SocketServer:
    """Socket Mode's API method and its WebSockets.

    Attributes:
        refuse_open: apps.connections.open answers with this error.
        retry_after_s: apps.connections.open answers 429 with this Retry-After.
        refuse_socket: WebSockets are refused with status 400.
        scripts: What each connection sends after hello; later ones send `default`.
        dropped: How many of the first connections are cut off after their script, without a closing handshake.
        silent: How many of the first connections send nothing after hello and answer no ping.
        urls: Every URL that was issued; only the newest works.
        refused: The numbers of the URLs that were refused.
        opened: The number of accepted WebSockets.
        received: The acknowledgements.
    """

    url: str = ""
    refuse_open: str = ""
    retry_after_s: int = 0
    refuse_socket: bool = False
    scripts: list[list[dict[str, Any]]] = field(default_factory=list)
    default: list[dict[str, Any]] = field(default_factory=list)
    dropped: int = 0
    silent: int = 0
    urls: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    opened: int = 0
    received: list[dict[str, Any]] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def acknowledged(self, count: int) -> list[str]:
        """Wait for so many acknowledgements; return their envelope IDs."""
        async with asyncio.timeout(30):
            while len(self.received) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return [message["envelope_id"] for message in self.received]

    async def open(self, _request: web.Request) -> web.Response:
        self.urls.append(f"{self.url.replace('http', 'ws')}socket/{len(self.urls)}")
        if self.retry_after_s:
            headers = {"Retry-After": str(self.retry_after_s)}
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
        if self.refuse_open:
            return web.json_response({"ok": False, "error": self.refuse_open})
        return web.json_response({"ok": True, "url": self.urls[-1]})

    async def auth_test(self, _request: web.Request) -> web.Response:
        identity = {"team": "T", "team_id": "T1", "user": "bot", "user_id": "UBOT", "bot_id": "B"}
        return web.json_response({"ok": True, **identity})

    async def socket(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_socket or int(request.match_info["number"]) != len(self.urls) - 1:
            self.refused.append(request.match_info["number"])
            return web.Response(status=400, text="expired")
        index, self.opened = self.opened, self.opened + 1
        connection = web.WebSocketResponse(autoping=index >= self.silent)
        await connection.prepare(request)
        await connection.send_json(HELLO)
        if index < self.silent:
            async for _message in connection:
                pass
            return connection
        for message in self.scripts[index] if index < len(self.scripts) else self.default:
            await connection.send_json(message)
        if index < self.dropped and request.transport is not None:
            request.transport.close()
        async for frame in connection:
            if frame.type is WSMsgType.TEXT:
                self.received.append(json.loads(frame.data))
                self._arrived.set()
        return connection


@asynccontextmanager
async def socket_mode_server() -> AsyncIterator[SocketServer]:
    """Serve Socket Mode on a free port."""
    server, app = SocketServer(), web.Application()
    app.router.add_post("/api/apps.connections.open", server.open)
    app.router.add_post("/api/auth.test", server.auth_test)
    app.router.add_get("/socket/{number}", server.socket)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield server
    finally:
        await runner.cleanup()

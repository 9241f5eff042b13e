"""Receivers of pages for tests: a server on 127.0.0.1 that records requests and answers as told."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bot.sinks import WORDS
from services.core.clock import Clock
from services.delivery.page_dispatcher import PageDispatcher
from services.delivery.sinks.config import SinkConfig, SinkTools
from services.delivery.sinks.directory import SinkBook
from tests.fakes.harness import Harness

ROUTING_KEY = "0123456789abcdef0123456789abcdef"
WEBHOOK_SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
LOOPBACK = "127.0.0.0/8"
HANG = 0  # no status: the request arrives, and the connection stays open without an answer


@dataclass(slots=True)
class Received:
    """One request: its path, its headers in lowercase, and its body."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:  # noqa: ANN401 -- whatever was sent
        return json.loads(self.body)


@dataclass(slots=True)
class Receiver:
    """A service that is paged.

    `answers` has the status of each next request: HANG for none at all, None for a connection that is cut.
    """

    url: str = ""
    requests: list[Received] = field(default_factory=list)
    answers: list[int | None] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    hang: asyncio.Event | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Received(request.path, headers, await request.read()))
        self.arrived.set()
        if self.hang is not None:
            await self.hang.wait()
        status = self.answers.pop(0) if self.answers else 202
        if status == HANG:
            await asyncio.Event().wait()
        if status is None:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return web.Response(status=status, headers=self.headers)

    @property
    def actions(self) -> list[str]:
        """The actions of the PagerDuty events, in order."""
        return [one.document["event_action"] for one in self.requests]

    @property
    def types(self) -> list[str]:
        """The types of the webhooks, in order."""
        return [one.document["type"] for one in self.requests]


@asynccontextmanager
async def open_receiver() -> AsyncIterator[Receiver]:
    """Serve a receiver on a free port of 127.0.0.1."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


def pagerduty(receiver: Receiver, secret: str = ROUTING_KEY) -> SinkConfig:
    """Configure PagerDuty at a receiver."""
    options = {"url": f"{receiver.url}/v2/enqueue", "allow_networks": LOOPBACK}
    return SinkConfig(name="desk", type="pagerduty", options=options, secret=secret)


def webhook(receiver: Receiver, secret: str = WEBHOOK_SECRET) -> SinkConfig:
    """Configure a webhook at a receiver."""
    options = {"url": f"{receiver.url}/hook", "allow_networks": LOOPBACK}
    return SinkConfig(name="bus", type="webhook", options=options, secret=secret)


def sink_book(clock: Clock, *configs: SinkConfig) -> SinkBook:
    """Build the sinks of an operator's file."""
    return SinkBook(tools=SinkTools(clock=clock, words=WORDS), file={config.name: config for config in configs})


def dispatcher(harness: Harness, *configs: SinkConfig) -> PageDispatcher:
    """Build a dispatcher on the harness's store, and let its channels page these sinks."""
    sinks = sink_book(harness.clock, *configs)
    harness.commands.sinks = sinks
    return PageDispatcher(store=harness.store, sinks=sinks, clock=harness.clock)

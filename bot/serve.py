"""Serve: the app started, its requests taken until a signal, and all of it stopped in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from enum import Enum

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.app import App, build, secret
from bot.health import BEAT_WITHIN_S, Health, Heartbeat
from bot.http.app import build_web
from bot.http.server import Server
from bot.http.slack_requests import SlackRequests
from bot.scheduler import Ticker, schedule
from bot.settings import Settings
from handlers.slack_errors import translate_slack_error
from services.core.errors import ConfigurationError, DeliveryError

POLL_EVERY = timedelta(seconds=1)  # by a worker: people's acts are recorded by other processes
ROTATE_EVERY = timedelta(minutes=1)
PING_EVERY_S = 3  # a socket that is dead without a word is noticed within four of these
ENDED_WITHIN_S = 22  # longer than two calls to Slack that it leaves open; what it refuses it refuses at once
log = logging.getLogger(__name__)


class Role(Enum):
    """What a process does: answer Slack, tick and deliver, or both. The health is told by each."""

    ALL = "all"
    WEB = "web"
    WORKER = "worker"


async def serve(settings: Settings, role: Role = Role.ALL) -> None:
    """Run until a signal: connect, tick, deliver, answer; stop in the order intake, tick, delivery, connections.

    Raises ConfigurationError where Slack does not accept the token.
    """
    with _listen(settings) as listening:
        async with build(settings) as app:
            shorten_pauses()
            if role is Role.WORKER:
                app.outbox.idle = POLL_EVERY
            await _run(app, role, listening)


def shorten_pauses() -> None:
    """Leave what was loaded to begin with out of the collector's rounds, which stop every answer for 0.1 s else."""
    gc.collect()
    gc.freeze()


async def _run(app: App, role: Role, listening: socket.socket) -> None:
    """Begin with the clockwork, then take requests; end in the opposite order."""
    await _greet(app)
    async with _heartbeat(app.settings) as heartbeat:
        works = role is not Role.WEB
        ticker = Ticker(monitor=app.monitor, clock=app.clock, upkeep=app.upkeep)
        unrenewed = app.installing.overdue if app.installing else None
        health = Health(ticker, app.store, app.client, heartbeat if works else None, ticks=works, overdue=unrenewed)
        delivery = asyncio.create_task(app.outbox.run() if works else asyncio.sleep(0), name="the delivery")
        cancel_ticks = schedule(health.work, app.clock, app.settings.tick_every)
        cancel_rotation = _schedule_rotation(app) if works else None
        try:
            await _take_requests(app, role, health, listening)
        finally:
            log.info("stopping: what has begun is finished first")
            app.outbox.stop()
            if cancel_rotation is not None:
                cancel_rotation()
            await asyncio.gather(_end_clockwork(ticker, cancel_ticks, delivery), app.errands.drain())


async def _end_clockwork(ticker: Ticker, cancel_ticks: Callable[[], None], delivery: asyncio.Task[None]) -> None:
    """Let the tick and the attempts under way end and be recorded; cut off what takes longer than hosts wait."""
    tick = asyncio.create_task(ticker.stop(), name="the tick")
    _, late = await asyncio.wait({tick, delivery}, timeout=ENDED_WITHIN_S)
    for one in late:
        log.warning("%s did not end within %d s and is cut off", one.get_name(), ENDED_WITHIN_S)
    cancel_ticks()
    delivery.cancel()
    await asyncio.gather(tick, delivery, return_exceptions=True)


@asynccontextmanager
async def _heartbeat(settings: Settings) -> AsyncIterator[Heartbeat | None]:
    if settings.heartbeat_url is None:
        yield None
        return
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=BEAT_WITHIN_S), trust_env=True) as session:
        yield Heartbeat(secret(settings.heartbeat_url), session)


async def _take_requests(app: App, role: Role, health: Health, listening: socket.socket) -> None:
    """Serve HTTP until a signal; in Socket Mode Slack's requests come over the socket, and HTTP tells the health."""
    settings = app.settings
    installing = app.installing.flow.routes() if app.installing and role is not Role.WORKER else []
    server = Server(build_web(_gate(app, role), health.report, installing))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    async with AsyncExitStack() as stack:
        if settings.socket_mode and role is not Role.WORKER:
            await stack.enter_async_context(connected(app))
        log.info("listening at http://%s:%d", settings.host, settings.port)
        await server.serve(sockets=[listening])


def _gate(app: App, role: Role) -> SlackRequests | None:
    """Open a gate for Slack's requests; there is none where nothing could check who sent them."""
    signing = secret(app.settings.slack_signing_secret)
    if role is Role.WORKER or app.settings.socket_mode or not signing:
        return None
    return SlackRequests(bolt=app.bolt, signing_secret=signing)


def _listen(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), reuse_port=False)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen at {settings.host}:{settings.port} ({error.strerror}); set PORT or MINERPULSE_HOST anew."
        ) from error


@asynccontextmanager
async def connected(app: App) -> AsyncIterator[None]:
    """Keep a socket to Slack open; it is opened again whenever it breaks, and also where it cannot be opened yet."""
    handler = AsyncSocketModeHandler(
        app.bolt,
        secret(app.settings.slack_app_token),
        web_client=AsyncWebClient(base_url=app.settings.slack_api_url),
        ping_interval=PING_EVERY_S,
    )
    connecting = asyncio.create_task(handler.connect_async(), name="socket mode")  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        await handler.close_async()  # type: ignore[no-untyped-call]


async def _greet(app: App) -> None:
    """Show Slack the tokens. One that is refused ends the start; a Slack that cannot be reached does not."""
    if app.installing is not None:  # tokens come as workspaces install the app
        return
    known = await _accepted("SLACK_BOT_TOKEN", app.client.auth_test())
    if known is not None:
        log.info("connected to %s as %s", known["team"], known["user"])
    if app.settings.socket_mode:
        token = secret(app.settings.slack_app_token)
        await _accepted("SLACK_APP_TOKEN", app.client.apps_connections_open(app_token=token))


async def _accepted(name: str, call: Awaitable[AsyncSlackResponse]) -> AsyncSlackResponse | None:
    """Make a call that proves a token; None if Slack cannot answer now. Raises ConfigurationError if it refuses."""
    try:
        with translate_slack_error():
            return await call
    except DeliveryError as error:
        if error.permanent:
            raise ConfigurationError(f"{name}: {error}") from error
        log.warning("%s What is to be told is kept until Slack answers.", error)
        return None


def _schedule_rotation(app: App) -> Callable[[], None] | None:
    """Look each minute for tokens that are about to expire."""
    return schedule(app.installing.rotation.work, app.clock, ROTATE_EVERY) if app.installing else None

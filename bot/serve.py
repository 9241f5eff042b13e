"""Start the app, serve requests until a signal, and shut down in order."""

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

from bot.app import App, build, secret_value
from bot.health import HEARTBEAT_TIMEOUT_S, Health, Heartbeat
from bot.http.app import build_web
from bot.http.server import Server
from bot.http.slack_requests import SlackRequests
from bot.scheduler import TickScheduler, schedule
from bot.settings import Settings
from handlers.slack_errors import translate_slack_error
from services.core.errors import DeliveryError, InvalidSettingsError

POLL_INTERVAL = timedelta(seconds=1)  # of a worker: web processes record what people do
ROTATION_INTERVAL = timedelta(minutes=1)
PING_INTERVAL_S = 3  # a dead socket is detected within four of these
SHUTDOWN_TIMEOUT_S = 22  # longer than two Slack calls that time out; refusals are immediate
log = logging.getLogger(__name__)


class Role(Enum):
    """The tasks of a process: answer Slack, tick and deliver, or both. Each serves the health endpoints."""

    ALL = "all"
    WEB = "web"
    WORKER = "worker"


async def serve(settings: Settings, role: Role = Role.ALL) -> None:
    """Run until a signal: connect, tick, deliver, answer.

    Shutdown order: requests, ticks, delivery, connections. Raises InvalidSettingsError if Slack rejects a token.
    """
    with _open_listener(settings) as listener:
        async with build(settings) as app:
            freeze_gc()
            if role is Role.WORKER:
                app.outbox.max_sleep = POLL_INTERVAL
            await _run(app, role, listener)


def freeze_gc() -> None:
    """Exclude all loaded objects from garbage collection, which would pause every reply for 0.1 s."""
    gc.collect()
    gc.freeze()


async def _run(app: App, role: Role, listener: socket.socket) -> None:
    """Start ticks and delivery, then serve requests; stop in reverse order."""
    await _check_tokens(app)
    async with _open_heartbeat(app.settings) as heartbeat:
        is_worker = role is not Role.WEB
        scheduler = TickScheduler(monitor=app.monitor, clock=app.clock, maintenance=app.maintenance)
        overdue_tokens = app.oauth.overdue_tokens if app.oauth else None
        health = Health(
            scheduler,
            app.store,
            app.client,
            heartbeat if is_worker else None,
            runs_ticks=is_worker,
            overdue_tokens=overdue_tokens,
        )
        delivery = asyncio.create_task(app.outbox.run() if is_worker else asyncio.sleep(0), name="delivery")
        cancel_ticks = schedule(health.run, app.clock, app.settings.tick_interval)
        cancel_rotation = _schedule_rotation(app) if is_worker else None
        try:
            await _serve_requests(app, role, health, listener)
        finally:
            log.info("stopping: finishing running work")
            app.outbox.stop()
            if cancel_rotation is not None:
                cancel_rotation()
            await asyncio.gather(_stop_ticks_and_delivery(scheduler, cancel_ticks, delivery), app.background.drain())


async def _stop_ticks_and_delivery(
    scheduler: TickScheduler, cancel_ticks: Callable[[], None], delivery: asyncio.Task[None]
) -> None:
    """Wait for the running tick and delivery attempts; cancel them before the host's kill timeout."""
    tick = asyncio.create_task(scheduler.stop(), name="tick")
    _, unfinished = await asyncio.wait({tick, delivery}, timeout=SHUTDOWN_TIMEOUT_S)
    for task in unfinished:
        log.warning("%s did not finish within %d s and is cancelled", task.get_name(), SHUTDOWN_TIMEOUT_S)
    cancel_ticks()
    delivery.cancel()
    await asyncio.gather(tick, delivery, return_exceptions=True)


@asynccontextmanager
async def _open_heartbeat(settings: Settings) -> AsyncIterator[Heartbeat | None]:
    if settings.heartbeat_url is None:
        yield None
        return
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=HEARTBEAT_TIMEOUT_S), trust_env=True
    ) as session:
        yield Heartbeat(secret_value(settings.heartbeat_url), session)


async def _serve_requests(app: App, role: Role, health: Health, listener: socket.socket) -> None:
    """Serve HTTP until a signal. In Socket Mode, HTTP serves the health endpoints only."""
    settings = app.settings
    oauth_routes = app.oauth.flow.routes() if app.oauth and role is not Role.WORKER else []
    server = Server(build_web(_build_slack_requests(app, role), health.report, oauth_routes))
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, server.stop)
    async with AsyncExitStack() as stack:
        if settings.socket_mode and role is not Role.WORKER:
            await stack.enter_async_context(socket_mode(app))
        log.info("listening at http://%s:%d", settings.host, settings.port)
        await server.serve(sockets=[listener])


def _build_slack_requests(app: App, role: Role) -> SlackRequests | None:
    """Return the handler of Slack's requests; None if there is no signing secret to verify them."""
    signing_secret = secret_value(app.settings.slack_signing_secret)
    if role is Role.WORKER or app.settings.socket_mode or not signing_secret:
        return None
    return SlackRequests(bolt=app.bolt, signing_secret=signing_secret)


def _open_listener(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), reuse_port=False)
    except OSError as error:
        raise InvalidSettingsError(
            f"Cannot listen at {settings.host}:{settings.port} ({error.strerror}); set PORT or MINERPULSE_HOST anew."
        ) from error


@asynccontextmanager
async def socket_mode(app: App) -> AsyncIterator[None]:
    """Keep a Socket Mode connection open; it reconnects after every failure, including the first."""
    handler = AsyncSocketModeHandler(
        app.bolt,
        secret_value(app.settings.slack_app_token),
        web_client=AsyncWebClient(base_url=app.settings.slack_api_url),
        ping_interval=PING_INTERVAL_S,
    )
    connecting = asyncio.create_task(handler.connect_async(), name="socket mode")  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        await handler.close_async()  # type: ignore[no-untyped-call]


async def _check_tokens(app: App) -> None:
    """Verify the tokens with Slack. A rejected token stops the start; an unreachable Slack does not."""
    if app.oauth is not None:  # workspaces bring their own tokens
        return
    identity = await _check_token("SLACK_BOT_TOKEN", app.client.auth_test())
    if identity is not None:
        log.info("connected to %s as %s", identity["team"], identity["user"])
    if app.settings.socket_mode:
        token = secret_value(app.settings.slack_app_token)
        await _check_token("SLACK_APP_TOKEN", app.client.apps_connections_open(app_token=token))


async def _check_token(name: str, call: Awaitable[AsyncSlackResponse]) -> AsyncSlackResponse | None:
    """Await a call that verifies a token; None if Slack is unavailable. Raises InvalidSettingsError if rejected."""
    try:
        with translate_slack_error():
            return await call
    except DeliveryError as error:
        if error.permanent:
            raise InvalidSettingsError(f"{name}: {error}") from error
        log.warning("%s Messages stay queued until Slack answers.", error)
        return None


def _schedule_rotation(app: App) -> Callable[[], None] | None:
    """Renew expiring tokens each minute."""
    return schedule(app.oauth.rotation.run, app.clock, ROTATION_INTERVAL) if app.oauth else None

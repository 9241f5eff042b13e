"""Start the app, serve requests until a signal, and shut down in order."""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from enum import Enum
from functools import partial

import aiohttp
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.app import App, build, secret_value
from bot.health import HEARTBEAT_TIMEOUT_S, Health, Heartbeat, sources_by_name
from bot.http.app import build_web
from bot.http.server import Server
from bot.http.slack_requests import SlackRequests
from bot.metrics import Metrics, serve_metrics
from bot.scheduler import TickScheduler, schedule
from bot.settings import Settings
from bot.sinks import by_kind, read_sinks_file
from bot.socket_mode import SocketMode
from handlers.slack_errors import translate_slack_error
from services.core.errors import DatabaseUnavailableError, DeliveryError, InvalidSettingsError, InvalidSinkError
from services.core.text import bind_failure
from services.delivery.dispatcher import SINK
from services.delivery.loop import MAX_SLEEP
from services.market.backfill import SHARED_WAIT
from services.storage import database_lock

POLL_INTERVAL = timedelta(seconds=1)  # of a worker: web processes record what people do
ROTATION_INTERVAL = timedelta(minutes=1)
PERMALINK_INTERVAL = timedelta(minutes=1)
SHUTDOWN_TIMEOUT_S = 22  # longer than two Slack calls that time out; refusals are immediate
SHARED_FILE = (
    "Another MinerPulse process is using %s. Processes on one SQLite file slow each other down. Stop one, or use "
    "PostgreSQL."
)
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
    with _open_listener(settings) as listener, database_lock(settings.database_url) as database:
        async with build(settings) as app:
            if not database.is_ours:
                log.warning(SHARED_FILE, database.file)
            freeze_gc()
            with _open_metrics(app):
                await _run(app, role, listener)


def freeze_gc() -> None:
    """Exclude all loaded objects from garbage collection, which would pause every reply for 0.1 s."""
    gc.unfreeze()
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
            sources=sources_by_name(app.settings),
        )
        if not is_worker:
            app.backfill.only_stored_until = app.clock.now() + SHARED_WAIT
        backfill = asyncio.create_task(app.backfill.run(), name="older prices")
        delivery = asyncio.create_task(app.outbox.run() if is_worker else asyncio.sleep(0), name="delivery")
        _poll_unless_notified(app, role, notified=False)
        on_change = partial(_poll_unless_notified, app, role)
        wakeups = asyncio.create_task(
            app.store.listen(app.outbox.nudge, lambda notified: on_change(notified=notified))
            if is_worker
            else asyncio.sleep(0),
            name="notifications",
        )
        await app.sinks.remember_file()
        paging = asyncio.create_task(app.pages.run() if is_worker else asyncio.sleep(0), name="pages")
        scheduler.on_tick = app.metrics.record_ticks if app.metrics else None
        cancel_ticks = schedule(partial(_check_health, app, health), app.clock, app.settings.tick_interval)
        cancel_permalinks = schedule(app.permalinks.run, app.clock, PERMALINK_INTERVAL) if is_worker else _do_nothing
        cancel_rotation = _schedule_rotation(app) if is_worker else _do_nothing
        try:
            await _serve_requests(app, role, health, listener)
        finally:
            log.info("stopping: finishing work in progress")
            app.outbox.stop()
            app.pages.stop()
            backfill.cancel()
            wakeups.cancel()
            stopping = [delivery, paging, asyncio.create_task(scheduler.stop(), name="tick")]
            if app.oauth is not None:
                stopping.append(asyncio.create_task(app.oauth.rotation.stop(), name="token renewal"))
            jobs = cancel_ticks, cancel_permalinks, cancel_rotation
            await asyncio.gather(_stop_work(stopping, jobs), app.background.drain())
            await asyncio.gather(backfill, wakeups, return_exceptions=True)


def _poll_unless_notified(app: App, role: Role, *, notified: bool) -> None:
    """Let a worker poll often for what web processes save, unless the database notifies it."""
    if role is Role.WORKER:
        app.outbox.max_sleep = MAX_SLEEP if notified else POLL_INTERVAL


async def _check_health(app: App, health: Health) -> None:
    """Run the health check, which ticks; then save what the sources answered, and record the metrics if they are on."""
    await health.run()
    with suppress(DatabaseUnavailableError):  # health reports it
        await app.source_log.save()
    if app.metrics is not None:
        await _record_status(app, app.metrics, health)


async def _record_status(app: App, metrics: Metrics, health: Health) -> None:
    now = app.clock.now()
    report = await health.report()
    metrics.record_sources(app.history, app.network, now)
    metrics.record_health(database="database" not in report.categories, slack_refuses=health.is_token_refused)
    if report.backlog is None:
        return
    metrics.record_backlog(SINK, report.backlog)
    with suppress(DatabaseUnavailableError):  # the next check reports it
        for kind, backlog in by_kind(await app.store.page_backlogs(now), await app.sinks.names("")).items():
            metrics.record_backlog(kind, backlog)
        metrics.record_counts(await app.store.status_counts(now), single_workspace=app.oauth is None)


@contextmanager
def _open_metrics(app: App) -> Iterator[None]:
    """Serve /metrics on its own port, if metrics are on."""
    if app.metrics is None or app.settings.metrics_port is None:
        yield
        return
    host = app.settings.metrics_host
    with serve_metrics(app.metrics, host, app.settings.metrics_port) as port:
        log.info("metrics at http://%s:%d/metrics", _url_host(host), port)
        yield


async def _stop_work(stopping: Sequence[asyncio.Task[None]], cancel: Sequence[Callable[[], object]]) -> None:
    """Wait for the running tick, deliveries and token renewal; cancel them before the host's kill timeout."""
    _, unfinished = await asyncio.wait(stopping, timeout=SHUTDOWN_TIMEOUT_S)
    for task in unfinished:
        log.warning("%s did not finish within %d s and was canceled", task.get_name(), SHUTDOWN_TIMEOUT_S)
    for cancel_job in cancel:
        cancel_job()
    delivery, *others = stopping
    delivery.cancel()
    await asyncio.gather(delivery, *others, return_exceptions=True)


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
    server = Server(
        build_web(_build_slack_requests(app, role), health.report, oauth_routes, secret_value(settings.status_token))
    )
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, server.stop)
    if hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGHUP, lambda: app.background.start(_reload_sinks(app), "sinks")
        )
    async with AsyncExitStack() as stack:
        if settings.socket_mode and role is not Role.WORKER:
            health.socket_problem = (await stack.enter_async_context(socket_mode(app))).problem
        log.info("listening on http://%s:%d", _url_host(settings.host), settings.port)
        await server.serve(sockets=[listener])


async def _reload_sinks(app: App) -> None:
    """Read the sinks file and its secrets again; a file that can't be used changes nothing."""
    try:
        app.sinks.file = read_sinks_file(app.settings.sinks_file)
    except InvalidSinkError as error:
        log.error("the sinks were not changed: %s", error)  # noqa: TRY400 -- the operator's file, with what to do
        return
    await app.sinks.remember_file()
    log.info("reloaded the sinks: %s", ", ".join(app.sinks.file) or "none")
    app.pages.nudge()


def _build_slack_requests(app: App, role: Role) -> SlackRequests | None:
    """Return the handler of Slack's requests; None if there is no signing secret to verify them."""
    signing_secret = secret_value(app.settings.slack_signing_secret)
    if role is Role.WORKER or app.settings.socket_mode or not signing_secret:
        return None
    return SlackRequests(
        bolt=app.bolt, signing_secret=signing_secret, shared_keys=app.store, clock=app.clock, metrics=app.metrics
    )


def _open_listener(settings: Settings) -> socket.socket:
    try:
        return _create_server(settings.host, settings.port)
    except OSError as error:
        raise InvalidSettingsError(
            f"Can't listen on {_url_host(settings.host)}:{settings.port} ({bind_failure(error)}). "
            "Free the port, or change PORT or MINERPULSE_HOST."
        ) from error


def _create_server(host: str, port: int) -> socket.socket:
    """Listen at an address; at `::`, for IPv4 too, where the machine can."""
    address = host.strip("[]")
    if ":" not in address:
        return socket.create_server((address, port), reuse_port=False)
    both = address == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((address, port), family=socket.AF_INET6, dualstack_ipv6=both, reuse_port=False)


def _url_host(host: str) -> str:
    """Return a host as URLs have it: IPv6 addresses in brackets."""
    address = host.strip("[]")
    return f"[{address}]" if ":" in address else address


@asynccontextmanager
async def socket_mode(app: App) -> AsyncIterator[SocketMode]:
    """Keep a Socket Mode connection open; it reconnects after every failure, including the first."""
    connection = SocketMode(bolt=app.bolt, client=app.client, app_token=secret_value(app.settings.slack_app_token))
    running = asyncio.create_task(connection.run(), name="socket mode")
    try:
        yield connection
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _check_tokens(app: App) -> None:
    """Verify the tokens with Slack. A rejected token stops the start; an unreachable Slack does not."""
    if app.oauth is not None:  # workspaces bring their own tokens
        return
    identity = await _check_token("SLACK_BOT_TOKEN", app.client.auth_test())
    if identity is None:
        app.bolt.is_team_unknown = True
    else:
        log.info("connected to %s as %s", identity["team"], identity["user"])
        app.bolt.learn_team(identity)
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
        log.warning("%s Messages stay queued until Slack responds.", error)
        return None


def _schedule_rotation(app: App) -> Callable[[], object]:
    """Renew expiring tokens each minute; return a function that ends that."""
    if app.oauth is None:
        return _do_nothing
    return schedule(app.oauth.rotation.run, app.clock, ROTATION_INTERVAL)


def _do_nothing() -> None:
    """End nothing."""

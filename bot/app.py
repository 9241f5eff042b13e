"""The composition root: everything wired, started, served and stopped in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_sdk.web.async_client import AsyncWebClient

import handlers
from bot.clock import SystemClock
from bot.front.gate import Gate
from bot.health import BEAT_WITHIN_S, Health, Heartbeat
from bot.installing.wired import build_installing
from bot.manifest import LOOK_UP_SCOPES, SCOPES
from bot.scheduler import Ticker, schedule
from bot.server import Server
from bot.slack import build_bolt
from bot.web import build_web
from handlers.by_team import NotifierByTeam
from handlers.delivery import SlackNotifier
from handlers.leaving import register_leaving
from handlers.refusals import translated
from services.constituents import Constituents
from services.desk import Desk
from services.domain.errors import DeliveryError, SettingsError
from services.domain.prices import Symbol
from services.editors import Editors
from services.history import History
from services.market import Market
from services.mining import Mining
from services.monitor import Monitor
from services.outbox import Outbox
from services.records import RecordKeeper
from services.sources.catalogue import build_crypto, build_equity, build_network
from services.sources.cohorts_file import SHIPPED, read_cohorts
from services.sources.http import HttpClient
from services.store import SqlStore
from services.study import Study
from services.upkeep import Upkeep
from services.watchlist import Watchlist

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pydantic import SecretStr
    from slack_bolt.async_app import AsyncApp
    from slack_sdk.web.async_slack_response import AsyncSlackResponse

    from bot.installing.wired import Installing
    from bot.settings import Settings
    from handlers.errands import Errands
    from services.ports import Clock, CryptoSource, EquitySource, NetworkSource

SLACK_TIMEOUT_S = 10
POLL_EVERY = timedelta(seconds=1)  # by a worker: people's acts are recorded by other processes
ROTATE_EVERY = timedelta(minutes=1)
PING_EVERY_S = 3  # a socket that is dead without a word is noticed within four of these
ENDED_WITHIN_S = 22  # longer than the two calls to Slack that one attempt can take
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Everything wired together; nothing runs by itself until `serve` starts it."""

    settings: Settings
    clock: Clock
    store: SqlStore
    history: History
    market: Market
    mining: Mining
    monitor: Monitor
    upkeep: Upkeep
    outbox: Outbox
    desk: Desk
    study: Study
    client: AsyncWebClient
    bolt: AsyncApp
    errands: Errands
    installing: Installing | None  # None where one workspace has given its token


@asynccontextmanager
async def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    equity: EquitySource | None = None,
    crypto: CryptoSource | None = None,
) -> AsyncIterator[App]:
    """Wire everything for these settings, and close it again in the opposite order.

    The clock and the sources can be given, so that a rehearsal runs the very same services. Raises SettingsError and
    StoreError.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        store = await SqlStore.open(settings.database_url)
        stack.push_async_callback(store.aclose)
        vendors = HttpClient()
        stack.push_async_callback(vendors.aclose)
        client = await stack.enter_async_context(_slack_client(settings))
        history = History(
            equities=[equity] if equity else _equities(settings, vendors, clock),
            cryptos=[crypto] if crypto else _cryptos(settings, vendors, clock),
            store=store,
            witnessed=not (settings.simulated or equity or crypto),
        )
        market = Market(history=history)
        mining = Mining(_networks(settings, vendors, clock))
        installing = _installing(settings, store, client, clock)
        notifier = NotifierByTeam(installing.clients, clock) if installing else SlackNotifier(client, clock)
        outbox = Outbox(store=store, notifier=notifier, clock=clock)
        desk = Desk(
            store=store, market=market, clock=clock, nudge=outbox.nudge, pair=settings.pair, every=settings.tick_every
        )
        desk.editors = Editors(people=settings.editors)
        watchlist = Watchlist(store)
        study = Study(
            history=history,
            mining=mining,
            constituents=Constituents(history, store, settings.pair.etf, read_cohorts(settings.cohorts or SHIPPED)),
            pair=settings.pair,
            proxy=Symbol(settings.ai_proxy),
        )
        monitor = Monitor(
            store=store,
            market=market,
            watchlist=watchlist,
            pair=settings.pair,
            nudge=outbox.nudge,
            every=settings.tick_every,
            records=RecordKeeper(history),
        )
        upkeep = Upkeep(store=store, market=market, watchlist=watchlist, nudge=outbox.nudge)
        bolt = build_bolt(client, _secret(settings.slack_signing_secret), installing.tokens if installing else None)
        errands = handlers.register(bolt, desk, study, clock)
        if installing:
            register_leaving(bolt, installing)
        stack.push_async_callback(errands.drain)
        yield App(
            settings=settings,
            clock=clock,
            store=store,
            history=history,
            market=market,
            mining=mining,
            monitor=monitor,
            upkeep=upkeep,
            outbox=outbox,
            desk=desk,
            study=study,
            client=client,
            bolt=bolt,
            errands=errands,
            installing=installing,
        )


class Role(Enum):
    """What a process does: answer Slack, tick and deliver, or both. The health is told by each."""

    ALL = "all"
    WEB = "web"
    WORKER = "worker"


async def serve(settings: Settings, role: Role = Role.ALL) -> None:
    """Run until a signal: connect, tick, deliver, answer; stop in the order intake, tick, delivery, connections.

    Raises SettingsError where Slack does not accept the token.
    """
    with _listen(settings) as listening:
        async with build(settings) as app:
            if role is Role.WORKER:
                app.outbox.idle = POLL_EVERY
            await _run(app, role, listening)


async def _run(app: App, role: Role, listening: socket.socket) -> None:
    """Begin with the clockwork, then take requests; end in the opposite order."""
    await _greet(app)
    async with _heartbeat(app.settings) as heartbeat:
        works = role is not Role.WEB
        ticker = Ticker(monitor=app.monitor, clock=app.clock, upkeep=app.upkeep)
        health = Health(ticker, app.store, app.client, heartbeat if works else None, ticks=works)
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
        yield Heartbeat(_secret(settings.heartbeat_url), session)


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


def _gate(app: App, role: Role) -> Gate | None:
    """Open a gate for Slack's requests; there is none where nothing could check who sent them."""
    secret = _secret(app.settings.slack_signing_secret)
    if role is Role.WORKER or app.settings.socket_mode or not secret:
        return None
    return Gate(bolt=app.bolt, signing_secret=secret)


def _listen(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), reuse_port=False)
    except OSError as error:
        raise SettingsError(
            f"Cannot listen at {settings.host}:{settings.port} ({error.strerror}); set PORT or MINERPULSE_HOST anew."
        ) from error


@asynccontextmanager
async def connected(app: App) -> AsyncIterator[None]:
    """Keep a socket to Slack open; it is opened again whenever it breaks, and also where it cannot be opened yet."""
    handler = AsyncSocketModeHandler(
        app.bolt,
        _secret(app.settings.slack_app_token),
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
        token = _secret(app.settings.slack_app_token)
        await _accepted("SLACK_APP_TOKEN", app.client.apps_connections_open(app_token=token))


async def _accepted(name: str, call: Awaitable[AsyncSlackResponse]) -> AsyncSlackResponse | None:
    """Make a call that proves a token; None where Slack cannot answer now. Raises SettingsError where it refuses."""
    try:
        with translated():
            return await call
    except DeliveryError as error:
        if error.permanent:
            raise SettingsError(f"{name}: {error}") from error
        log.warning("%s What is to be told is kept until Slack answers.", error)
        return None


@asynccontextmanager
async def _slack_client(settings: Settings) -> AsyncIterator[AsyncWebClient]:
    """Open one HTTP session for every call to Slack; slack_sdk would open one for each call."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SLACK_TIMEOUT_S)) as session:
        yield AsyncWebClient(
            token=_secret(settings.slack_bot_token),
            base_url=settings.slack_api_url,
            session=session,
            timeout=SLACK_TIMEOUT_S,
            retry_handlers=[],
        )


def _installing(settings: Settings, store: SqlStore, client: AsyncWebClient, clock: Clock) -> Installing | None:
    if settings.slack_client_id is None:
        return None
    keys = [key.get_secret_value() for key in settings.token_keys]
    credentials = settings.slack_client_id, _secret(settings.slack_client_secret)
    scopes = [*SCOPES, *LOOK_UP_SCOPES]
    return build_installing(store.installations(keys), client, clock, credentials=credentials, scopes=scopes)


def _schedule_rotation(app: App) -> Callable[[], None] | None:
    """Look each minute for tokens that are about to expire."""
    return schedule(app.installing.rotation.work, app.clock, ROTATE_EVERY) if app.installing else None


def _equities(settings: Settings, vendors: HttpClient, clock: Clock) -> list[EquitySource]:
    urls, keys = settings.source_urls, settings.source_keys
    return [
        build_equity(name, vendors, clock, base_url=urls.get(name), seed=settings.seed, keys=keys)
        for name in settings.etf_sources
    ]


def _cryptos(settings: Settings, vendors: HttpClient, clock: Clock) -> list[CryptoSource]:
    urls, keys = settings.source_urls, settings.source_keys
    return [
        build_crypto(name, vendors, clock, base_url=urls.get(name), seed=settings.seed, keys=keys)
        for name in settings.crypto_sources
    ]


def _networks(settings: Settings, vendors: HttpClient, clock: Clock) -> list[NetworkSource]:
    urls = settings.source_urls
    return [build_network(name, vendors, clock, base_url=urls.get(name)) for name in settings.network_sources]


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""

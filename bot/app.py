"""The composition root: everything wired, and closed again in the opposite order."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

import handlers
from bot.clock import SystemClock
from bot.grants import GrantsOfTeams, GrantsOfToken
from bot.installing.wired import build_installing
from bot.manifest import ALL_SCOPES
from bot.slack import build_bolt
from handlers.by_team import NotifierByTeam
from handlers.charts import Charts
from handlers.delivery import SlackNotifier
from handlers.gallery import Gallery
from handlers.last_look import LastLookConnector
from handlers.leaving import register_leaving
from handlers.pictures import Pictures
from services.constituents import Constituents
from services.desk import Desk
from services.domain.prices import Symbol
from services.editors import Editors
from services.history import History
from services.market import Market
from services.mining import Mining
from services.monitor import Monitor
from services.outbox import Outbox
from services.partings import Parter
from services.records import RecordKeeper
from services.sources.catalogue import build_crypto, build_equity, build_network
from services.sources.cohorts_file import SHIPPED, read_cohorts
from services.sources.http import HttpClient
from services.store import SqlStore
from services.study import Study
from services.upkeep import Upkeep
from services.watchlist import Watchlist

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pydantic import SecretStr
    from slack_bolt.async_app import AsyncApp

    from bot.installing.wired import Installing
    from bot.settings import Settings
    from handlers.errands import Errands
    from services.ports import Clock, CryptoSource, EquitySource, NetworkSource

SLACK_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Everything wired together; nothing runs by itself until `bot.serve` starts it."""

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
    charts: Charts
    installing: Installing | None  # None where one workspace has given its token


@asynccontextmanager
async def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    equity: EquitySource | None = None,
    crypto: CryptoSource | None = None,
    networks: Sequence[NetworkSource] | None = None,
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
        client = await stack.enter_async_context(_slack_client(settings, clock))
        equities = [equity] if equity else _equities(settings, vendors, clock)
        cryptos = [crypto] if crypto else _cryptos(settings, vendors, clock)
        history = History(equities, cryptos, store, witnessed=not (settings.simulated or equity or crypto))
        mining = Mining(
            _networks(settings, vendors, clock) if networks is None else networks, witnessed=history.witnessed
        )
        market = Market(history=history, mining=mining)
        installing = _installing(settings, store, client, clock)
        charts = Charts()
        notifier = (
            NotifierByTeam(installing.clients, clock, charts) if installing else SlackNotifier(client, clock, charts)
        )
        outbox = Outbox(store=store, notifier=notifier, clock=clock)
        desk = _desk(settings, store, market, clock, outbox)
        study = _study(settings, store, history, mining)
        watchlist = Watchlist(store)
        monitor = _monitor(settings, store, market, watchlist, outbox)
        upkeep = _upkeep(settings, store, market, watchlist, outbox)
        bolt = build_bolt(client, secret(settings.slack_signing_secret), installing.tokens if installing else None)
        gallery = Gallery()
        stack.callback(gallery.close)
        grants = GrantsOfTeams(installing.tokens) if installing else GrantsOfToken(client, clock)
        errands = handlers.register(bolt, desk, study, clock, Pictures(gallery, grants))
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
            charts=charts,
            installing=installing,
        )


def _desk(settings: Settings, store: SqlStore, market: Market, clock: Clock, outbox: Outbox) -> Desk:
    desk = Desk(
        store=store, market=market, clock=clock, nudge=outbox.nudge, pair=settings.pair, every=settings.tick_every
    )
    desk.editors = Editors(people=settings.editors)
    return desk


def _study(settings: Settings, store: SqlStore, history: History, mining: Mining) -> Study:
    cohorts = read_cohorts(settings.cohorts or SHIPPED)
    return Study(
        history=history,
        mining=mining,
        constituents=Constituents(history, store, settings.pair.etf, cohorts),
        pair=settings.pair,
        proxy=Symbol(settings.ai_proxy),
    )


def _monitor(settings: Settings, store: SqlStore, market: Market, watchlist: Watchlist, outbox: Outbox) -> Monitor:
    return Monitor(
        store=store,
        market=market,
        watchlist=watchlist,
        pair=settings.pair,
        nudge=outbox.nudge,
        every=settings.tick_every,
        records=RecordKeeper(market.history, market.mining),
        parter=Parter(market.history, Symbol(settings.ai_proxy)),
    )


def _upkeep(settings: Settings, store: SqlStore, market: Market, watchlist: Watchlist, outbox: Outbox) -> Upkeep:
    return Upkeep(
        store=store,
        market=market,
        watchlist=watchlist,
        nudge=outbox.nudge,
        every=settings.tick_every,
        pair=settings.pair,
    )


@asynccontextmanager
async def _slack_client(settings: Settings, clock: Clock) -> AsyncIterator[AsyncWebClient]:
    """Open one HTTP session for every call to Slack; slack_sdk would open one for each call."""
    timeout = aiohttp.ClientTimeout(total=SLACK_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=LastLookConnector(clock)) as session:
        yield AsyncWebClient(
            token=secret(settings.slack_bot_token),
            base_url=settings.slack_api_url,
            session=session,
            timeout=SLACK_TIMEOUT_S,
            retry_handlers=[],
        )


def _installing(settings: Settings, store: SqlStore, client: AsyncWebClient, clock: Clock) -> Installing | None:
    if settings.slack_client_id is None:
        return None
    keys = [key.get_secret_value() for key in settings.token_keys]
    credentials = settings.slack_client_id, secret(settings.slack_client_secret)
    return build_installing(store.installations(keys), client, clock, credentials=credentials, scopes=ALL_SCOPES)


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
    return [
        build_network(name, vendors, clock, base_url=urls.get(name), seed=settings.seed) for name in settings.networks
    ]


def secret(value: SecretStr | None) -> str:
    """Read a secret; an unset one is empty."""
    return value.get_secret_value() if value else ""

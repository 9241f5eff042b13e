"""The composition root: everything wired, and closed again in the opposite order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp
from pydantic import SecretStr
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import SystemClock
from bot.manifest import ALL_SCOPES
from bot.oauth.build import OAuthParts, build_oauth
from bot.scopes import GrantsOfTeams, GrantsOfToken
from bot.settings import Settings
from bot.slack import build_bolt
from handlers import listeners
from handlers.background import BackgroundTasks
from handlers.chart_support import Charts
from handlers.image_cache import ImageCache
from handlers.image_upload import Pictures
from handlers.notifier import SlackNotifier, WorkspaceNotifier
from handlers.send_deadline import LastLookConnector
from handlers.uninstall import register_uninstall
from services.alerting.enrichment import AttributionEnricher, TrackRecordEnricher
from services.alerting.monitor import Monitor
from services.alerting.rule_index import RuleIndex
from services.channels.commands import ChannelCommands
from services.channels.maintenance import Maintenance
from services.channels.permissions import RulePermissions
from services.core.clock import Clock
from services.core.prices import Symbol
from services.delivery.outbox import Outbox
from services.market.network_service import NetworkService
from services.market.ports import CryptoSource, EquitySource, NetworkSource
from services.market.price_history import PriceHistory
from services.market.sources.catalogue import build_crypto, build_equity, build_network
from services.market.sources.files.cohorts import SHIPPED, read_cohorts
from services.market.sources.http.client import HttpClient
from services.research.holdings_report import HoldingsReporter
from services.research.service import ResearchService
from services.rules.market_service import MarketService
from services.storage import SqlStore

SLACK_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Everything wired together; nothing runs by itself until `bot.serve` starts it."""

    settings: Settings
    clock: Clock
    store: SqlStore
    history: PriceHistory
    market: MarketService
    mining: NetworkService
    monitor: Monitor
    upkeep: Maintenance
    outbox: Outbox
    desk: ChannelCommands
    study: ResearchService
    client: AsyncWebClient
    bolt: AsyncApp
    errands: BackgroundTasks
    charts: Charts
    installing: OAuthParts | None  # None where one workspace has given its token


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

    The clock and the sources can be given, so that a rehearsal runs the very same services. Raises
    ConfigurationError and StoreError.
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
        history = PriceHistory(equities, cryptos, store, witnessed=not (settings.simulated or equity or crypto))
        mining = NetworkService(
            _networks(settings, vendors, clock) if networks is None else networks, witnessed=history.witnessed
        )
        market = MarketService(history=history, mining=mining)
        installing = _installing(settings, store, client, clock)
        charts = Charts()
        notifier = (
            WorkspaceNotifier(installing.clients, clock, charts) if installing else SlackNotifier(client, clock, charts)
        )
        outbox = Outbox(store=store, notifier=notifier, clock=clock)
        desk = _desk(settings, store, market, clock, outbox)
        study = _study(settings, store, history, mining)
        watchlist = RuleIndex(store)
        monitor = _monitor(settings, store, market, watchlist, outbox)
        upkeep = _upkeep(settings, store, market, watchlist, outbox)
        bolt = build_bolt(client, secret(settings.slack_signing_secret), installing.tokens if installing else None)
        gallery = ImageCache()
        stack.callback(gallery.close)
        grants = GrantsOfTeams(installing.tokens) if installing else GrantsOfToken(client, clock)
        errands = listeners.register(bolt, desk, study, clock, Pictures(gallery, grants))
        if installing:
            register_uninstall(bolt, installing)
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


def _desk(settings: Settings, store: SqlStore, market: MarketService, clock: Clock, outbox: Outbox) -> ChannelCommands:
    desk = ChannelCommands(
        store=store, market=market, clock=clock, nudge=outbox.nudge, pair=settings.pair, every=settings.tick_every
    )
    desk.editors = RulePermissions(people=settings.editors)
    return desk


def _study(settings: Settings, store: SqlStore, history: PriceHistory, mining: NetworkService) -> ResearchService:
    cohorts = read_cohorts(settings.cohorts or SHIPPED)
    return ResearchService(
        history=history,
        mining=mining,
        constituents=HoldingsReporter(history, store, settings.pair.etf, cohorts),
        pair=settings.pair,
        proxy=Symbol(settings.ai_proxy),
    )


def _monitor(
    settings: Settings, store: SqlStore, market: MarketService, watchlist: RuleIndex, outbox: Outbox
) -> Monitor:
    return Monitor(
        store=store,
        market=market,
        watchlist=watchlist,
        pair=settings.pair,
        nudge=outbox.nudge,
        every=settings.tick_every,
        records=TrackRecordEnricher(market.history, market.mining),
        parter=AttributionEnricher(market.history, Symbol(settings.ai_proxy)),
    )


def _upkeep(
    settings: Settings, store: SqlStore, market: MarketService, watchlist: RuleIndex, outbox: Outbox
) -> Maintenance:
    return Maintenance(
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


def _installing(settings: Settings, store: SqlStore, client: AsyncWebClient, clock: Clock) -> OAuthParts | None:
    if settings.slack_client_id is None:
        return None
    keys = [key.get_secret_value() for key in settings.token_keys]
    credentials = settings.slack_client_id, secret(settings.slack_client_secret)
    return build_oauth(store.installations(keys), client, clock, credentials=credentials, scopes=ALL_SCOPES)


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

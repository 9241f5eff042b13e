"""The composition root: wires all services and closes them in reverse order."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from pydantic import SecretStr
from slack_sdk.web.async_client import AsyncWebClient

from bot.bolt_app import SlackApp, build_bolt
from bot.clock import SystemClock
from bot.manifest import ALL_SCOPES
from bot.metrics import Metrics
from bot.oauth.tokens import TokenGrants, WorkspaceGrants
from bot.setting_types import SIMULATED
from bot.settings import Settings
from bot.sinks import build_sinks
from handlers import listeners
from handlers.background import BackgroundTasks
from handlers.events import SingleWorkspaceRemover, register_uninstall
from handlers.gate import Gate
from handlers.images import ImageCache, ImageUploader
from handlers.slack_notifier import ChartSupport, SlackConnector, SlackNotifier
from services.alerting.enrichment import AttributionEnricher, TrackRecordEnricher
from services.alerting.monitor import Monitor
from services.alerting.ports import RuleCaps
from services.alerting.rule_index import RuleIndex
from services.channels.commands import ChannelCommands
from services.channels.maintenance import Maintenance
from services.channels.permissions import Permissions
from services.core.clock import Clock
from services.core.prices import Symbol
from services.delivery.outbox import Outbox
from services.delivery.page_dispatcher import PageDispatcher
from services.delivery.permalinks import Permalinks
from services.delivery.sinks.directory import SinkBook
from services.market.backfill import Backfill
from services.market.mining_power import PowerModel, Pue
from services.market.network_service import NetworkService
from services.market.ports import CryptoSource, EquitySource, NetworkSource
from services.market.price_history import PriceHistory
from services.market.source_log import SourceLog
from services.market.sources.catalogue import CRYPTO, EQUITY, NETWORK, build_source
from services.market.sources.files.cohorts import DEFAULT_PATH, read_cohorts
from services.market.sources.files.machines import DEFAULT_MACHINES, read_machines
from services.market.sources.http.client import HttpClient
from services.market.sources.http.environment import check_network_environment
from services.research.holdings_report import HoldingsReporter
from services.research.service import ResearchService
from services.rules.market_service import MarketService
from services.storage import SqlStore, database_path

if TYPE_CHECKING:
    from bot.oauth.build import OAuthParts

SLACK_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """All wired services. Nothing runs until `bot.serve` starts it.

    Attributes:
        oauth: The OAuth parts if many workspaces install the app; None with a single bot token.
        metrics: What the services count; None if no port is set for it.
    """

    settings: Settings
    clock: Clock
    store: SqlStore
    source_log: SourceLog
    history: PriceHistory
    backfill: Backfill
    market: MarketService
    network: NetworkService
    monitor: Monitor
    maintenance: Maintenance
    outbox: Outbox
    pages: PageDispatcher
    sinks: SinkBook
    permalinks: Permalinks
    commands: ChannelCommands
    research: ResearchService
    client: AsyncWebClient
    bolt: SlackApp
    background: BackgroundTasks
    charts: ChartSupport
    oauth: "OAuthParts | None"
    metrics: Metrics | None


@asynccontextmanager
async def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    equity: EquitySource | None = None,
    crypto: CryptoSource | None = None,
    network_sources: Sequence[NetworkSource] | None = None,
    create_database: bool = True,
) -> AsyncIterator[App]:
    """Wire all services for these settings, and close them in reverse order on exit.

    The clock and the sources can be injected, so that a rehearsal runs the same services.
    Raises InvalidSettingsError and DatabaseUnavailableError; without `create_database`, DatabaseMissingError if there
    is none.
    """
    clock = clock or SystemClock()
    if needs_network(settings) and equity is None:
        check_network_environment()
    async with AsyncExitStack() as stack:
        metrics = _build_metrics(settings)
        store = await SqlStore.open(settings.database_url, create=create_database)
        stack.push_async_callback(store.aclose)
        store.on_event = metrics.count_event if metrics else None
        vendors = HttpClient()
        source_log = SourceLog(store=store, clock=clock, meter=metrics)
        vendors.meter = source_log
        stack.push_async_callback(vendors.aclose)
        client = await stack.enter_async_context(_open_slack_client(settings, clock))
        equities = [equity] if equity else _equity_sources(settings, vendors, clock)
        cryptos = [crypto] if crypto else _crypto_sources(settings, vendors, clock)
        history = PriceHistory(
            equities,
            cryptos,
            store,
            requires_witness=not (settings.simulated or equity or crypto),
            loads_all=crypto is not None and not crypto.simulated,
        )
        network = NetworkService(
            _network_sources(settings, vendors, clock) if network_sources is None else network_sources,
            requires_witness=history.requires_witness,
            power_model=_build_power_model(settings),
        )
        market = MarketService(history=history, mining=network)
        oauth = _build_oauth(settings, store, client, clock, lambda: outbox.nudge())  # noqa: PLW0108 -- wired below
        charts = ChartSupport()
        notifier = SlackNotifier(oauth.clients if oauth else client, clock, charts)
        outbox = Outbox(store=store, notifier=notifier, clock=clock, meter=metrics)
        sinks = build_sinks(settings, store, clock)
        pages = PageDispatcher(store=store, sinks=sinks, clock=clock, meter=metrics)

        def nudge() -> None:
            outbox.nudge()
            pages.nudge()

        commands = _build_commands(settings, store, market, clock, nudge)
        commands.sinks = sinks
        research = _build_research(settings, store, history, network)
        rule_index = RuleIndex(store)
        monitor = _build_monitor(settings, store, market, rule_index, nudge)
        monitor.meter = metrics
        history.update_watched = monitor.watch_pairs  # a web process never ticks
        maintenance = _build_maintenance(settings, store, market, rule_index, nudge)
        bolt = build_bolt(
            client,
            secret_value(settings.slack_signing_secret),
            oauth.installation_cache if oauth else None,
            shared_keys=store,
            clock=clock,
        )
        image_cache = ImageCache()
        stack.callback(image_cache.close)
        grants = WorkspaceGrants(oauth.installation_cache) if oauth else TokenGrants(client, clock)
        gate = Gate(commands_per_minute=settings.commands_per_minute)
        background = listeners.register(bolt, commands, research, clock, ImageUploader(image_cache, grants), gate=gate)
        bolt.background, bolt.metrics = background, metrics
        register_uninstall(bolt, oauth or SingleWorkspaceRemover(client, store))
        stack.push_async_callback(background.drain)
        yield App(
            settings=settings,
            clock=clock,
            store=store,
            source_log=source_log,
            history=history,
            backfill=Backfill(history=history, clock=clock),
            market=market,
            network=network,
            monitor=monitor,
            maintenance=maintenance,
            outbox=outbox,
            pages=pages,
            sinks=sinks,
            permalinks=Permalinks(store=store, source=notifier, clock=clock),
            commands=commands,
            research=research,
            client=client,
            bolt=bolt,
            background=background,
            charts=charts,
            oauth=oauth,
            metrics=metrics,
        )


def _build_metrics(settings: Settings) -> Metrics | None:
    """Return new metrics if a port is set for them."""
    if settings.metrics_port is None:
        return None
    database = "postgresql" if database_path(settings.database_url) is None else "sqlite"
    return Metrics(database=database, every=settings.tick_interval)


def _build_commands(
    settings: Settings, store: SqlStore, market: MarketService, clock: Clock, nudge: Callable[[], None]
) -> ChannelCommands:
    commands = ChannelCommands(
        store=store, market=market, clock=clock, nudge=nudge, pair=settings.pair, interval=settings.tick_interval
    )
    commands.permissions = Permissions(people=settings.editors)
    commands.caps = RuleCaps(channel=settings.max_rules_per_channel, workspace=settings.max_rules_per_workspace)
    return commands


def _build_research(
    settings: Settings, store: SqlStore, history: PriceHistory, network: NetworkService
) -> ResearchService:
    cohorts = read_cohorts(settings.cohorts or DEFAULT_PATH)
    return ResearchService(
        history=history,
        network_service=network,
        holdings=HoldingsReporter(history, store, settings.pair.etf, cohorts),
        pair=settings.pair,
        proxy=Symbol(settings.ai_proxy),
    )


def _build_power_model(settings: Settings) -> PowerModel:
    return PowerModel(
        machines=read_machines(settings.machines or DEFAULT_MACHINES),
        electricity=settings.electricity_usd_kwh,
        pue=Pue(*settings.pue),
    )


def _build_monitor(
    settings: Settings, store: SqlStore, market: MarketService, rule_index: RuleIndex, nudge: Callable[[], None]
) -> Monitor:
    return Monitor(
        store=store,
        market=market,
        rule_index=rule_index,
        pair=settings.pair,
        nudge=nudge,
        every=settings.tick_interval,
        track_records=TrackRecordEnricher(market.history, market.mining),
        attributions=AttributionEnricher(market.history, Symbol(settings.ai_proxy)),
    )


def _build_maintenance(
    settings: Settings, store: SqlStore, market: MarketService, rule_index: RuleIndex, nudge: Callable[[], None]
) -> Maintenance:
    return Maintenance(
        store=store,
        market=market,
        rule_index=rule_index,
        nudge=nudge,
        interval=settings.tick_interval,
        pair=settings.pair,
        keep=settings.keep,
    )


@asynccontextmanager
async def _open_slack_client(settings: Settings, clock: Clock) -> AsyncIterator[AsyncWebClient]:
    """Open one HTTP session for all calls to Slack; slack_sdk would open one per call."""
    timeout = aiohttp.ClientTimeout(total=SLACK_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=SlackConnector(clock)) as session:
        yield AsyncWebClient(
            token=secret_value(settings.slack_bot_token),
            base_url=settings.slack_api_url,
            session=session,
            timeout=SLACK_TIMEOUT_S,
            retry_handlers=[],
        )


def _build_oauth(
    settings: Settings, store: SqlStore, client: AsyncWebClient, clock: Clock, nudge: Callable[[], None]
) -> "OAuthParts | None":
    if settings.slack_client_id is None:
        return None
    from bot.oauth.build import build_oauth  # noqa: PLC0415 -- imports cryptography, which one bot token doesn't need

    keys = [key.get_secret_value() for key in settings.token_keys]
    credentials = settings.slack_client_id, secret_value(settings.slack_client_secret)
    return build_oauth(
        store.installations(keys),
        client,
        clock,
        credentials=credentials,
        scopes=ALL_SCOPES,
        token_keys=keys,
        processed_keys=store,
        nudge=nudge,
    )


def _equity_sources(settings: Settings, vendors: HttpClient, clock: Clock) -> list[EquitySource]:
    urls, keys = settings.source_urls, settings.source_keys
    return [
        build_source(EQUITY, name, vendors, clock, base_url=urls.get(name), seed=settings.seed, keys=keys)
        for name in settings.etf_sources
    ]


def _crypto_sources(settings: Settings, vendors: HttpClient, clock: Clock) -> list[CryptoSource]:
    urls, keys = settings.source_urls, settings.source_keys
    return [
        build_source(CRYPTO, name, vendors, clock, base_url=urls.get(name), seed=settings.seed, keys=keys)
        for name in settings.crypto_sources
    ]


def _network_sources(settings: Settings, vendors: HttpClient, clock: Clock) -> list[NetworkSource]:
    urls = settings.source_urls
    return [
        build_source(NETWORK, name, vendors, clock, base_url=urls.get(name), seed=settings.seed)
        for name in settings.network_source_names
    ]


def needs_network(settings: Settings) -> bool:
    """Return whether these settings lead to calls to vendors or to Slack."""
    return settings.has_slack or any(name != SIMULATED for name in (*settings.etf_sources, *settings.crypto_sources))


def secret_value(value: SecretStr | None) -> str:
    """Return the plain text of a secret; empty if it is unset."""
    return value.get_secret_value() if value else ""

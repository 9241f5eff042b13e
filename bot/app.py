"""The composition root: wires all services and closes them in reverse order."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from pydantic import SecretStr
from slack_sdk.web.async_client import AsyncWebClient

from bot.bolt_app import SlackApp, build_bolt
from bot.manifest import ALL_SCOPES
from bot.market_app import MarketApp, build_market
from bot.metrics import Metrics
from bot.oauth.tokens import TokenGrants, WorkspaceGrants
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
from services.market.ports import CryptoSource, EquitySource, NetworkSource
from services.rules.market_service import MarketService
from services.storage import SqlStore, database_path

if TYPE_CHECKING:
    from bot.oauth.build import OAuthParts

SLACK_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class App(MarketApp):
    """All wired services, with those of Slack. Nothing runs until `bot.serve` starts it.

    Attributes:
        oauth: The OAuth parts if many workspaces install the app; None with a single bot token.
        metrics: What the services count; None if no port is set for it.
    """

    monitor: Monitor
    maintenance: Maintenance
    outbox: Outbox
    pages: PageDispatcher
    sinks: SinkBook
    permalinks: Permalinks
    commands: ChannelCommands
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
    metrics = _build_metrics(settings)
    async with AsyncExitStack() as stack:
        base = await stack.enter_async_context(
            build_market(
                settings,
                clock=clock,
                equity=equity,
                crypto=crypto,
                network_sources=network_sources,
                create_database=create_database,
                meter=metrics,
            )
        )
        clock, store, market = base.clock, base.store, base.market
        store.on_event = metrics.count_event if metrics else None
        client = await stack.enter_async_context(_open_slack_client(settings, clock))
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
        rule_index = RuleIndex(store)
        monitor = _build_monitor(settings, store, market, rule_index, nudge)
        monitor.meter = metrics
        base.history.update_watched = monitor.watch_pairs  # a web process never ticks
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
        background = listeners.register(
            bolt, commands, base.research, clock, ImageUploader(image_cache, grants), gate=gate
        )
        bolt.background, bolt.metrics = background, metrics
        register_uninstall(bolt, oauth or SingleWorkspaceRemover(client, store))
        stack.push_async_callback(background.drain)
        yield App(
            settings=settings,
            clock=clock,
            store=store,
            source_log=base.source_log,
            history=base.history,
            backfill=base.backfill,
            market=market,
            network=base.network,
            research=base.research,
            monitor=monitor,
            maintenance=maintenance,
            outbox=outbox,
            pages=pages,
            sinks=sinks,
            permalinks=Permalinks(store=store, source=notifier, clock=clock),
            commands=commands,
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


def secret_value(value: SecretStr | None) -> str:
    """Return the plain text of a secret; empty if it is unset."""
    return value.get_secret_value() if value else ""

"""The services that answer questions about the market; without Slack, whose libraries take 0.3 s to import."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bot.clock import SystemClock
from bot.setting_types import SIMULATED
from bot.settings import Settings
from services.core.clock import Clock
from services.core.prices import Symbol
from services.market.backfill import Backfill
from services.market.mining_power import PowerModel, Pue
from services.market.network_service import NetworkService
from services.market.ports import CryptoSource, EquitySource, NetworkSource, RequestMeter
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
from services.storage import SqlStore


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketApp:
    """The wired services of the store, the market and research."""

    settings: Settings
    clock: Clock
    store: SqlStore
    source_log: SourceLog
    history: PriceHistory
    backfill: Backfill
    market: MarketService
    network: NetworkService
    research: ResearchService


@asynccontextmanager
async def build_market(
    settings: Settings,
    *,
    clock: Clock | None = None,
    equity: EquitySource | None = None,
    crypto: CryptoSource | None = None,
    network_sources: Sequence[NetworkSource] | None = None,
    create_database: bool = True,
    meter: RequestMeter | None = None,
) -> AsyncIterator[MarketApp]:
    """Wire the services for these settings, and close them in reverse order on exit; see `bot.app.build`.

    The meter counts the requests to vendors.
    """
    clock = clock or SystemClock()
    if needs_network(settings) and equity is None:
        check_network_environment()
    async with AsyncExitStack() as stack:
        store = await SqlStore.open(settings.database_url, create=create_database)
        stack.push_async_callback(store.aclose)
        vendors = HttpClient()
        source_log = SourceLog(store=store, clock=clock, meter=meter)
        vendors.meter = source_log
        stack.push_async_callback(vendors.aclose)
        history = PriceHistory(
            [equity] if equity else _equity_sources(settings, vendors, clock),
            [crypto] if crypto else _crypto_sources(settings, vendors, clock),
            store,
            requires_witness=not (settings.simulated or equity or crypto),
            loads_all=crypto is not None and not crypto.simulated,
        )
        network = NetworkService(
            _network_sources(settings, vendors, clock) if network_sources is None else network_sources,
            requires_witness=history.requires_witness,
            power_model=_build_power_model(settings),
        )
        yield MarketApp(
            settings=settings,
            clock=clock,
            store=store,
            source_log=source_log,
            history=history,
            backfill=Backfill(history=history, clock=clock),
            market=MarketService(history=history, mining=network),
            network=network,
            research=_build_research(settings, store, history, network),
        )


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

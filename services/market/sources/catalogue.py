"""The catalogue of data sources: one row per vendor. To add a vendor, see CONTRIBUTING.md."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, TypeVar

from services.core.clock import Clock
from services.core.errors import InvalidSettingsError
from services.market.ports import CryptoSource, EquitySource, NetworkSource
from services.market.sources.http.client import HttpClient
from services.market.sources.simulated.market import SEED, SimulatedMarket
from services.market.sources.simulated.network import SimulatedNetwork
from services.market.sources.vendors.alpaca import Alpaca
from services.market.sources.vendors.binance import Binance
from services.market.sources.vendors.bitstamp import Bitstamp
from services.market.sources.vendors.blockchain_info import BlockchainInfo
from services.market.sources.vendors.coinbase import Coinbase
from services.market.sources.vendors.kraken import Kraken
from services.market.sources.vendors.mempool import Mempool
from services.market.sources.vendors.nasdaq import Nasdaq
from services.market.sources.vendors.tiingo import Tiingo
from services.market.sources.vendors.twelvedata import TwelveData
from services.market.sources.vendors.yahoo import Yahoo

T = TypeVar("T")

ACCEPT_TERMS = "read and accept them before a desk relies on it"
NO_KEYS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """What a source is built from.

    Attributes:
        base_url: Base URL of the vendor's API; None for its own.
        seed: Seed of the simulated market; vendors ignore it.
        keys: API keys in the order of `Source.keys`.
    """

    client: HttpClient
    clock: Clock
    base_url: str | None
    seed: int
    keys: tuple[str, ...]


Factory = Callable[[SourceConfig], T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One data source: how it is built, and what its users must know first.

    Attributes:
        name: The name used in settings.
        title: The name shown to people.
        about: What it serves.
        keys: Names of the settings that hold its API keys.
        delay: How old its prices are.
        limits: Its rate limits, and those that we apply.
        terms, terms_url, base_url: The URLs are empty if the source makes no network calls.
        equity, crypto, network: Factory for each leg; None if the source doesn't serve that leg.
    """

    name: str
    title: str
    about: str
    keys: tuple[str, ...] = ()
    delay: str
    limits: str
    terms: str
    terms_url: str = ""
    base_url: str = ""
    equity: Factory[EquitySource] | None = None
    crypto: Factory[CryptoSource] | None = None
    network: Factory[NetworkSource] | None = None

    @property
    def legs(self) -> tuple[str, ...]:
        """The legs that it serves, of equity, crypto and network."""
        return tuple(kind.leg for kind in KINDS if kind.factory(self))

    @property
    def key_variables(self) -> tuple[str, ...]:
        """The environment variables that hold its API keys."""
        return tuple(f"MINERPULSE_{name.upper()}" for name in self.keys)

    @property
    def serves(self) -> str:
        """The legs that it serves, in words."""
        *first, last = (kind.label for kind in KINDS if kind.factory(self))
        return f"{', '.join(first)} and {last}" if first else last


@dataclass(frozen=True, slots=True)
class SourceKind(Generic[T]):
    """A kind of source: the leg that it serves, its label and description, and its factory in a row of SOURCES."""

    leg: str
    label: str
    description: str
    factory: Callable[[Source], Factory[T] | None]


EQUITY: SourceKind[EquitySource] = SourceKind("equity", "ETF", "an ETF source", lambda row: row.equity)
CRYPTO: SourceKind[CryptoSource] = SourceKind("crypto", "bitcoin", "a bitcoin source", lambda row: row.crypto)
NETWORK: SourceKind[NetworkSource] = SourceKind(
    "network", "network", "a bitcoin network source", lambda row: row.network
)
KINDS = (EQUITY, CRYPTO, NETWORK)


def _vendor(source: Callable[..., T]) -> Factory[T]:
    """Return the factory of a VendorSource."""
    return lambda config: source(config.client, config.clock, *config.keys, base_url=config.base_url)


SOURCES = (
    Source(
        name="yahoo",
        title="Yahoo",
        about="Session closes and the last trade of any US-listed ETF or stock, in one call",
        delay="Unspecified; each quote has its own timestamp",
        limits="Not published. After a 429, MinerPulse pauses for 15 minutes, or as long as Yahoo asks",
        terms="Unofficial and undocumented. Yahoo's terms appear to allow personal use only: read "
        "them, and get permission or use another source before a desk relies on it",
        base_url=Yahoo.base_url,
        terms_url="https://legal.yahoo.com/us/en/yahoo/terms/otos/index.html",
        equity=_vendor(Yahoo),
    ),
    Source(
        name="nasdaq",
        title="Nasdaq",
        about="Session closes of any US-listed ETF or stock; no last trade. The ten largest holdings of an ETF, "
        "without a date",
        delay="At the end of the day",
        limits="Not published; MinerPulse makes at most 10 calls a minute",
        terms=f"Unofficial and undocumented. Nasdaq's terms apply: {ACCEPT_TERMS}",
        terms_url="https://www.nasdaq.com/legal",
        base_url=Nasdaq.base_url,
        equity=_vendor(Nasdaq),
    ),
    Source(
        name="alpaca",
        title="Alpaca",
        about="Session closes and the last trade of any US-listed ETF or stock, from all exchanges; bars and the last "
        "trade of coins on its own exchange",
        keys=("alpaca_key_id", "alpaca_secret_key"),
        delay="ETFs and stocks 15 minutes, coins none; each quote has its own timestamp",
        limits="About 200 calls a minute on the free plan; MinerPulse makes at most 180. One call "
        "covers up to 100 ETFs and stocks",
        terms=f"Official. Alpaca's terms apply: {ACCEPT_TERMS}",
        terms_url="https://alpaca.markets/disclosures",
        base_url=Alpaca.base_url,
        equity=_vendor(Alpaca),
        crypto=_vendor(Alpaca),
    ),
    Source(
        name="tiingo",
        title="Tiingo",
        about="Session closes of any US-listed ETF or stock, and its last trade on IEX, which has a few percent of the "
        "volume",
        keys=("tiingo_key",),
        delay="Closes from 5:30 PM ET; IEX in real time; each quote has its own timestamp",
        limits="About 50 calls an hour and 1,000 a day on the free plan, which MinerPulse respects. A watched stock is "
        "queried every 3¼ minutes, two every 6½ minutes, and so on; other symbols get a quarter of the calls",
        terms=f"Official. Tiingo's terms apply: {ACCEPT_TERMS}",
        terms_url="https://www.tiingo.com/about/terms",
        base_url=Tiingo.base_url,
        equity=_vendor(Tiingo),
    ),
    Source(
        name="twelvedata",
        title="Twelve Data",
        about="Session closes of any US-listed ETF or stock; no last trade",
        keys=("twelvedata_key",),
        delay="At the end of the day",
        limits="8 calls a minute and 800 a day on the free plan, which MinerPulse respects",
        terms=f"Official. Twelve Data's terms apply: {ACCEPT_TERMS}",
        terms_url="https://twelvedata.com/terms",
        base_url=TwelveData.base_url,
        equity=_vendor(TwelveData),
    ),
    Source(
        name="coinbase",
        title="Coinbase",
        about="Bars and the last trade of any coin that Coinbase Exchange lists against the US dollar",
        delay="Real time; each quote has its own timestamp",
        limits="10 calls a second per address and 300 bars a call, which MinerPulse respects",
        terms="Official and public. Coinbase's market-data terms apply: read and accept them before a desk relies "
        "on it",
        base_url=Coinbase.base_url,
        terms_url="https://www.coinbase.com/legal/market_data",
        crypto=_vendor(Coinbase),
    ),
    Source(
        name="kraken",
        title="Kraken",
        about="Bars and the last trade of any coin that Kraken lists against the US dollar; the newest 720 bars only",
        delay="Real time; each quote has its own timestamp",
        limits="About one call a second per address, which MinerPulse respects",
        terms=f"Official and public. Kraken's terms apply: {ACCEPT_TERMS}",
        terms_url="https://www.kraken.com/legal",
        base_url=Kraken.base_url,
        crypto=_vendor(Kraken),
    ),
    Source(
        name="bitstamp",
        title="Bitstamp",
        about="Bars and the last trade of any coin that Bitstamp lists against the US dollar",
        delay="Real time; each quote has its own timestamp",
        limits="1,000 bars a call; MinerPulse makes at most 5 calls a second",
        terms=f"Official and public. Bitstamp's terms apply: {ACCEPT_TERMS}",
        terms_url="https://www.bitstamp.net/terms-of-use/",
        base_url=Bitstamp.base_url,
        crypto=_vendor(Bitstamp),
    ),
    Source(
        name="binance",
        title="Binance (USDT)",
        about="Bars and the last trade of any coin against Tether (USDT), which approximates the US dollar",
        delay="Real time; each quote has its own timestamp",
        limits="1,000 bars a call; MinerPulse makes at most 2 calls a second",
        terms=f"Official and public, from a host that serves only public data. Binance's terms apply: {ACCEPT_TERMS}",
        terms_url="https://www.binance.com/en/terms",
        base_url=Binance.base_url,
        crypto=_vendor(Binance),
    ),
    Source(
        name="mempool",
        title="mempool.space",
        about="Difficulty, hash rate, next retarget, rewards and fees of the bitcoin network",
        delay="Real time",
        limits="Not published; MinerPulse makes at most 10 calls a minute",
        terms=f"Official and public. Its terms apply: {ACCEPT_TERMS}",
        terms_url="https://mempool.space/terms-of-service",
        base_url=Mempool.base_url,
        network=_vendor(Mempool),
    ),
    Source(
        name="blockchain",
        title="Blockchain.com",
        about="Daily average of the bitcoin network's hash rate",
        delay="About a day",
        limits="Not published; MinerPulse makes at most 6 calls a minute",
        terms=f"Official and public. Its terms apply: {ACCEPT_TERMS}",
        terms_url="https://www.blockchain.com/legal/terms",
        base_url=BlockchainInfo.base_url,
        network=_vendor(BlockchainInfo),
    ),
    Source(
        name="simulated",
        title="SIMULATED",
        about="A made-up market and network, 2021 to 2040, for rehearsals: in even years the ETF outperforms bitcoin",
        delay="None; prices change every minute",
        limits="None",
        terms="None; the prices are invented",
        equity=lambda config: SimulatedMarket(config.clock, seed=config.seed),
        crypto=lambda config: SimulatedMarket(config.clock, seed=config.seed),
        network=lambda config: SimulatedNetwork(config.clock, seed=config.seed),
    ),
)


def build_source(
    kind: SourceKind[T],
    name: str,
    client: HttpClient,
    clock: Clock,
    *,
    base_url: str | None = None,
    seed: int = SEED,
    keys: Mapping[str, str] = NO_KEYS,
) -> T:
    """Build the source `name`; `keys` are API keys by the names in `Source.keys`.

    Raises ConfigurationError, which names the valid choices or the missing key.
    """
    factories = {row.name: (row, factory) for row in SOURCES if (factory := kind.factory(row))}
    if name not in factories:
        raise InvalidSettingsError(f"“{name}” isn't {kind.description}; choose one of {', '.join(factories)}.")
    row, factory = factories[name]
    return factory(SourceConfig(client=client, clock=clock, base_url=base_url, seed=seed, keys=_clean_keys(row, keys)))


def _clean_keys(row: Source, keys: Mapping[str, str]) -> tuple[str, ...]:
    """Return the keys that a source needs, stripped. Raises ConfigurationError.

    They are checked here because httpx would quote an invalid key in its own error.
    """
    cleaned = {name: keys.get(name, "").strip() for name in row.keys}
    for name, key in cleaned.items():
        if not key:
            raise InvalidSettingsError(f"{row.title} needs a key: set {name}, or choose another source.")
        if not re.fullmatch(r"[!-~]+", key):
            raise InvalidSettingsError(
                f"{name} doesn't look like a {row.title} key: copy it again, without quotes or spaces."
            )
    return tuple(cleaned.values())

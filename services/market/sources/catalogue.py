"""Fetch: the vendors of prices, one row each; a new vendor is one file beside this one and one row here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from services.core.clock import Clock
from services.core.errors import ConfigurationError
from services.market.ports import CryptoSource, EquitySource, NetworkSource
from services.market.sources.http.client import HttpClient
from services.market.sources.simulated.market import SEED, Simulated
from services.market.sources.simulated.network import SimulatedNetwork
from services.market.sources.vendors import (
    alpaca,
    binance,
    bitstamp,
    blockchain_info,
    coinbase,
    kraken,
    mempool,
    nasdaq,
    tiingo,
    twelvedata,
    yahoo,
)
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

UNREAD = "read and accept them before a desk relies on it"
NO_KEYS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What a source is made from: `keys` by the names that its row gives them, `seed` for a simulated one."""

    client: HttpClient
    clock: Clock
    url: str
    seed: int
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A vendor: the word that settings know it by, how it is made, and what people must know before they rely on it.

    `base_url` and `terms_url` are empty where nothing is fetched. `keys` are the settings, if any, that hold its
    keys. A vendor that does not serve a leg has None for it.
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
    equity: Callable[[Wiring], EquitySource] | None = None
    crypto: Callable[[Wiring], CryptoSource] | None = None
    network: Callable[[Wiring], NetworkSource] | None = None

    @property
    def legs(self) -> tuple[str, ...]:
        """What it serves: equity, crypto, network."""
        makers = {"equity": self.equity, "crypto": self.crypto, "network": self.network}
        return tuple(leg for leg, make in makers.items() if make)

    @property
    def serves(self) -> str:
        """What it serves, in words."""
        *first, last = (LEGS[leg] for leg in self.legs)
        return f"{', '.join(first)} and {last}" if first else last


LEGS = {"equity": "ETF", "crypto": "bitcoin", "network": "network"}

SOURCES = (
    Source(
        name="yahoo",
        title="Yahoo",
        about="Session closes and the last trade of any US-listed ETF or share, in one call",
        delay="Not promised; each quote carries its own time",
        limits="Not published; after a 429 it is left alone for 15 minutes, or as long as it asks",
        terms="Unofficial and undocumented. Yahoo's terms are understood to allow personal use only: read and accept "
        "them before a desk relies on it",
        base_url=yahoo.BASE_URL,
        terms_url="https://legal.yahoo.com/us/en/yahoo/terms/otos/index.html",
        equity=lambda made: Yahoo(made.client, made.clock, base_url=made.url),
    ),
    Source(
        name="nasdaq",
        title="Nasdaq",
        about="Session closes of any US-listed ETF or share; no last trade. The ten largest holdings of an ETF, "
        "without their day",
        delay="At the end of the day",
        limits="Not published; ten calls a minute are kept to",
        terms=f"Unofficial and undocumented. Nasdaq's terms apply: {UNREAD}",
        terms_url="https://www.nasdaq.com/legal",
        base_url=nasdaq.BASE_URL,
        equity=lambda made: Nasdaq(made.client, made.clock, base_url=made.url),
    ),
    Source(
        name="alpaca",
        title="Alpaca",
        about="Session closes and the last trade of any US-listed ETF or share, from all exchanges; bars and the last "
        "trade of coins at its own exchange",
        keys=("alpaca_key_id", "alpaca_secret_key"),
        delay="ETFs 15 minutes, coins none; each quote carries its own time",
        limits="About 200 calls a minute on the free plan; 180 are kept to. A watchlist shares its calls, up to 100 "
        "ETFs and shares each",
        terms=f"Official. Alpaca's terms apply: {UNREAD}",
        terms_url="https://alpaca.markets/disclosures",
        base_url=alpaca.BASE_URL,
        equity=lambda made: Alpaca(made.client, made.clock, *made.keys.values(), base_url=made.url),
        crypto=lambda made: Alpaca(made.client, made.clock, *made.keys.values(), base_url=made.url),
    ),
    Source(
        name="tiingo",
        title="Tiingo",
        about="Session closes of any US-listed ETF or share, and its last trade at IEX, which has a few percent of the "
        "volume",
        keys=("tiingo_key",),
        delay="Closes from 17:30 New York; IEX in real time, each quote with its own time",
        limits="About 50 calls an hour and 1,000 a day on the free plan; both are kept to. One share is asked for "
        "every three minutes, of two in an hour each every six, and so on",
        terms=f"Official. Tiingo's terms apply: {UNREAD}",
        terms_url="https://www.tiingo.com/about/terms",
        base_url=tiingo.BASE_URL,
        equity=lambda made: Tiingo(made.client, made.clock, *made.keys.values(), base_url=made.url),
    ),
    Source(
        name="twelvedata",
        title="Twelve Data",
        about="Session closes of any US-listed ETF or share; no last trade",
        keys=("twelvedata_key",),
        delay="At the end of the day",
        limits="8 calls a minute and 800 a day on the free plan; both are kept to",
        terms=f"Official. Twelve Data's terms apply: {UNREAD}",
        terms_url="https://twelvedata.com/terms",
        base_url=twelvedata.BASE_URL,
        equity=lambda made: TwelveData(made.client, made.clock, *made.keys.values(), base_url=made.url),
    ),
    Source(
        name="coinbase",
        title="Coinbase",
        about="Bars and the last trade of any coin that Coinbase Exchange lists against the US dollar",
        delay="Real time; each quote carries its own time",
        limits="10 calls a second for each address and 300 bars a call; both are kept to",
        terms="Official and public. Coinbase's market-data terms apply: read and accept them before a desk relies "
        "on it",
        base_url=coinbase.BASE_URL,
        terms_url="https://www.coinbase.com/legal/market_data",
        crypto=lambda made: Coinbase(made.client, made.clock, base_url=made.url),
    ),
    Source(
        name="kraken",
        title="Kraken",
        about="Bars and the last trade of any coin that Kraken lists against the US dollar; the newest 720 bars only",
        delay="Real time; each quote carries its own time",
        limits="About one call a second for each address, which is kept to",
        terms=f"Official and public. Kraken's terms apply: {UNREAD}",
        terms_url="https://www.kraken.com/legal",
        base_url=kraken.BASE_URL,
        crypto=lambda made: Kraken(made.client, made.clock, base_url=made.url),
    ),
    Source(
        name="bitstamp",
        title="Bitstamp",
        about="Bars and the last trade of any coin that Bitstamp lists against the US dollar",
        delay="Real time; each quote carries its own time",
        limits="1,000 bars a call; five calls a second are kept to",
        terms=f"Official and public. Bitstamp's terms apply: {UNREAD}",
        terms_url="https://www.bitstamp.net/terms-of-use/",
        base_url=bitstamp.BASE_URL,
        crypto=lambda made: Bitstamp(made.client, made.clock, base_url=made.url),
    ),
    Source(
        name="binance",
        title="Binance (USDT)",
        about="Bars and the last trade of any coin against Tether, which is not quite the US dollar",
        delay="Real time; each quote carries its own time",
        limits="1,000 bars a call; two calls a second are kept to",
        terms=f"Official and public, from the host for public data alone. Binance's terms apply: {UNREAD}",
        terms_url="https://www.binance.com/en/terms",
        base_url=binance.BASE_URL,
        crypto=lambda made: Binance(made.client, made.clock, base_url=made.url),
    ),
    Source(
        name="mempool",
        title="mempool.space",
        about="Difficulty, hash rate, next retarget, rewards and fees of the bitcoin network",
        delay="Real time",
        limits="Not published; ten calls a minute are kept to",
        terms=f"Official and public. Its terms apply: {UNREAD}",
        terms_url="https://mempool.space/terms-of-service",
        base_url=mempool.BASE_URL,
        network=lambda made: Mempool(made.client, made.clock, base_url=made.url),
    ),
    Source(
        name="blockchain",
        title="Blockchain.com",
        about="Hash rate of the bitcoin network, averaged by the day",
        delay="About a day",
        limits="Not published; six calls a minute are kept to",
        terms=f"Official and public. Its terms apply: {UNREAD}",
        terms_url="https://www.blockchain.com/legal/terms",
        base_url=blockchain_info.BASE_URL,
        network=lambda made: BlockchainInfo(made.client, made.clock, base_url=made.url),
    ),
    Source(
        name="simulated",
        title="SIMULATED",
        about="A made-up market and network, 2021 to 2040, for rehearsals: in even years the ETF leaves bitcoin behind",
        delay="None; prices change every minute",
        limits="None",
        terms="None; the prices are invented",
        equity=lambda made: Simulated(made.clock, seed=made.seed),
        crypto=lambda made: Simulated(made.clock, seed=made.seed),
        network=lambda made: SimulatedNetwork(made.clock, seed=made.seed),
    ),
)


def build_equity(
    name: str,
    client: HttpClient,
    clock: Clock,
    *,
    base_url: str | None = None,
    seed: int = SEED,
    keys: Mapping[str, str] = NO_KEYS,
) -> EquitySource:
    """Make the ETF source of that name. Raises ConfigurationError, naming the choice or missing key."""
    row, make = _choose("an ETF source", name, {row.name: (row, row.equity) for row in SOURCES if row.equity})
    return make(Wiring(client=client, clock=clock, url=base_url or row.base_url, seed=seed, keys=_usable(row, keys)))


def build_crypto(
    name: str,
    client: HttpClient,
    clock: Clock,
    *,
    base_url: str | None = None,
    seed: int = SEED,
    keys: Mapping[str, str] = NO_KEYS,
) -> CryptoSource:
    """Make the bitcoin source of that name. Raises ConfigurationError, naming the choice or missing key."""
    row, make = _choose("a bitcoin source", name, {row.name: (row, row.crypto) for row in SOURCES if row.crypto})
    return make(Wiring(client=client, clock=clock, url=base_url or row.base_url, seed=seed, keys=_usable(row, keys)))


def build_network(
    name: str, client: HttpClient, clock: Clock, *, base_url: str | None = None, seed: int = SEED
) -> NetworkSource:
    """Make the witness of the bitcoin network of that name. Raises ConfigurationError, which names the choice."""
    rows = {row.name: (row, row.network) for row in SOURCES if row.network}
    row, make = _choose("a source of the bitcoin network", name, rows)
    return make(Wiring(client=client, clock=clock, url=base_url or row.base_url, seed=seed, keys=NO_KEYS))


def _usable(row: Source, keys: Mapping[str, str]) -> Mapping[str, str]:
    """Take the keys that a row names, checked here because a header's own complaint would quote them."""
    usable = {name: keys.get(name, "").strip() for name in row.keys}
    for name, key in usable.items():
        if not key:
            raise ConfigurationError(f"{row.title} wants a key: set {name}, or choose another source.")
        if not re.fullmatch(r"[!-~]+", key):
            raise ConfigurationError(
                f"{name} does not look like a key of {row.title}: copy it again, with nothing around it."
            )
    return usable


def _choose(kind: str, name: str, choice: Mapping[str, T]) -> T:
    if name not in choice:
        raise ConfigurationError(f"“{name}” is not {kind}; choose {' or '.join(choice)}.")
    return choice[name]

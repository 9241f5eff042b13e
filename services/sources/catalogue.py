"""Fetch: the vendors of prices, one row each; a new vendor is one file beside this one and one row here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from services.domain.errors import SettingsError
from services.sources import coinbase, yahoo
from services.sources.coinbase import Coinbase
from services.sources.simulated import SEED, Simulated
from services.sources.yahoo import Yahoo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from services.ports import Clock, CryptoSource, EquitySource
    from services.sources.http import HttpClient

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A vendor: the word that settings know it by, how it is made, and what people must know before they rely on it.

    `base_url` is empty where nothing is fetched. `equity` and `crypto` make the source of a leg from the shared
    client, the clock, an address and a seed; a vendor that does not serve a leg has None for it.
    """

    name: str
    title: str
    about: str
    keyless: bool
    delay: str
    limits: str
    terms: str
    base_url: str
    equity: Callable[[HttpClient, Clock, str, int], EquitySource] | None = None
    crypto: Callable[[HttpClient, Clock, str, int], CryptoSource] | None = None

    @property
    def serves(self) -> str:
        """Which legs it serves, in words."""
        legs = {"ETF": self.equity, "bitcoin": self.crypto}
        return " and ".join(leg for leg, make in legs.items() if make)


SOURCES = (
    Source(
        name="yahoo",
        title="Yahoo",
        about="Session closes and the last trade of any US-listed ETF or share, in one call",
        keyless=True,
        delay="Not promised; each quote carries its own time",
        limits="Not published; after a 429 it is left alone for 15 minutes, or as long as it asks",
        terms="Unofficial and undocumented. Yahoo's terms are understood to allow personal use only: read and accept "
        "them before a desk relies on it",
        base_url=yahoo.BASE_URL,
        equity=lambda client, clock, url, _seed: Yahoo(client, clock, base_url=url),
    ),
    Source(
        name="coinbase",
        title="Coinbase",
        about="Bars and the last trade of any coin that Coinbase Exchange lists against the US dollar",
        keyless=True,
        delay="Real time; each quote carries its own time",
        limits="10 calls a second for each address and 300 bars a call; both are kept to",
        terms="Official and public. Coinbase's market-data terms apply: read and accept them before a desk relies "
        "on it",
        base_url=coinbase.BASE_URL,
        crypto=lambda client, clock, url, _seed: Coinbase(client, clock, base_url=url),
    ),
    Source(
        name="simulated",
        title="SIMULATED",
        about="A made-up market from 2021 to 2040, for rehearsals: every even year the ETF leaves bitcoin behind",
        keyless=True,
        delay="None; prices change every minute",
        limits="None",
        terms="None; the prices are invented",
        base_url="",
        equity=lambda _client, clock, _url, seed: Simulated(clock, seed=seed),
        crypto=lambda _client, clock, _url, seed: Simulated(clock, seed=seed),
    ),
)


def build_equity(
    name: str, client: HttpClient, clock: Clock, *, base_url: str | None = None, seed: int = SEED
) -> EquitySource:
    """Make the ETF source of that name. Raises SettingsError, which names the choice."""
    makers = {row.name: (row.equity, row.base_url) for row in SOURCES if row.equity}
    make, usual_url = _choose("an ETF source", name, makers)
    return make(client, clock, base_url or usual_url, seed)


def build_crypto(
    name: str, client: HttpClient, clock: Clock, *, base_url: str | None = None, seed: int = SEED
) -> CryptoSource:
    """Make the bitcoin source of that name. Raises SettingsError, which names the choice."""
    makers = {row.name: (row.crypto, row.base_url) for row in SOURCES if row.crypto}
    make, usual_url = _choose("a bitcoin source", name, makers)
    return make(client, clock, base_url or usual_url, seed)


def _choose(kind: str, name: str, choice: Mapping[str, T]) -> T:
    if name not in choice:
        raise SettingsError(f"“{name}” is not {kind}; choose {' or '.join(choice)}.")
    return choice[name]

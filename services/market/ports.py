"""Protocols of the price, network and holdings sources, and of the stores of their history."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Protocol, runtime_checkable

from services.core.prices import Bars, Closes, Quote, Symbol
from services.market.consensus.corporate_actions import Action, DeclaredActions
from services.market.network import Network
from services.market.network_history import NetworkHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPrices:
    """One answer of an equity vendor: session closes, the last trade if known, and corporate actions.

    `closes` may include the session that is still open; its price is live, and the quote's time shows that. `actions`
    are the dividends and splits of the requested period; always empty for a vendor that provides none. `answered_at`
    is the time of the answer, by the earlier of the vendor's clock and ours; None if only ours is known.
    """

    closes: Closes
    quote: Quote | None
    actions: tuple[Action, ...] = ()
    answered_at: datetime | None = None


class EquitySource(Protocol):
    """A vendor of share and ETF prices. Every method raises SourceError if there is no usable answer.

    `min_interval` is the minimum time between two requests for one symbol, so that the vendor's quota lasts a session.
    It is zero if the quota covers every tick.
    """

    name: str
    simulated: bool
    min_interval: timedelta

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Fetch the session closes and corporate actions from `since` on, and the last trade."""
        ...


class CryptoSource(Protocol):
    """A vendor of cryptocurrency prices in US dollars. Every method raises SourceError.

    `history_limit` is how far back its hourly bars go; None means no limit.
    """

    name: str
    simulated: bool
    history_limit: timedelta | None

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Fetch the complete bars that open at or after `start` and end at or before `end`; gaps stay gaps."""
        ...

    async def quote(self, symbol: Symbol) -> Quote | None:
        """Fetch the last trade; None if the source has none."""
        ...


class RequestOutcome(Enum):
    """How a request to a source ended."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"


class RequestMeter(Protocol):
    """Counts the requests to the sources."""

    def count_request(self, source: str, outcome: RequestOutcome, seconds: float, problem: str | None = None) -> None:
        """Count one request that was sent, with its duration.

        `problem` says what went wrong, without secrets; None if nothing, or if the source doesn't know the symbol.
        """
        ...


@runtime_checkable
class HasKey(Protocol):
    """A source that is asked with an API key."""

    @property
    def key_refused(self) -> bool:
        """Whether the source refuses the key, or it has expired."""
        ...


@runtime_checkable
class HasBackoff(Protocol):
    """A source that pauses its requests while its vendor fails or asks for fewer."""

    def backoff_until(self, now: datetime) -> datetime | None:
        """Return when requests resume; None if the source would send one now."""
        ...


@runtime_checkable
class ReservesCalls(Protocol):
    """A source that reserves most of its vendor's quota for the symbols that are watched."""

    def reserve_calls_for(self, symbols: frozenset[Symbol]) -> None:
        """Limit the calls about all other symbols to a quarter of each quota."""
        ...


@runtime_checkable
class NamesDropped(Protocol):
    """A source that drops unusable values from an answer instead of the answer, and names them."""

    def dropped(self, symbol: Symbol) -> tuple[str, ...]:
        """Return the places of the values that were dropped from the last answers about a symbol."""
        ...


class NetworkSource(Protocol):
    """A source of the bitcoin network's current state. Every method raises SourceError."""

    name: str
    simulated: bool

    async def network(self) -> Network:
        """Fetch the network's current state; fields that the source does not know are None."""
        ...


@runtime_checkable
class NetworkHistorySource(Protocol):
    """A source that also provides the network's history. Every method raises SourceError."""

    async def history(self) -> NetworkHistory:
        """Fetch the history of the last three years."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A final close that its source changed later, detected at `at`."""

    symbol: Symbol
    source: str
    session: date
    old: float
    new: float
    at: datetime


class HistoryStore(Protocol):
    """Storage of price history."""

    async def save_closes(self, closes: Closes, at: datetime, declared: DeclaredActions | None = None) -> None:
        """Insert or overwrite session closes by (symbol, source, session), in one transaction.

        A price that replaces a different one is recorded as a revision at `at`. `declared` is saved in the same
        transaction and replaces the source's actions of the share from `declared.since` on.
        """
        ...

    async def replace_closes(self, closes: Closes, at: datetime, declared: DeclaredActions | None = None) -> None:
        """Replace all session closes of a symbol and source, in one transaction.

        `declared` is saved as in `save_closes`.
        """
        ...

    async def load_declared(self, symbol: Symbol, source: str) -> DeclaredActions | None:
        """Load the actions that one source declared for a share; None if none were ever saved."""
        ...

    async def load_closes(self, symbol: Symbol, source: str, since: date) -> Closes:
        """Load one source's session closes from `since` on; empty if there are none."""
        ...

    async def revisions(self, symbol: Symbol, limit: int) -> list[Revision]:
        """Return the last revisions of a symbol's closes, newest first."""
        ...

    async def save_bars(self, bars: Bars) -> None:
        """Insert or overwrite bars by (symbol, source, interval, opening time), in one transaction."""
        ...

    async def load_bars(self, symbol: Symbol, source: str, interval: timedelta, since: datetime) -> Bars:
        """Load one source's bars that open at or after `since`; empty if there are none."""
        ...

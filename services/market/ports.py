"""Where prices come from, and where their history, the network's and holdings are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol, runtime_checkable

from services.core.prices import Bars, Closes, Quote, Symbol
from services.market.consensus.corporate_actions import Action, Declared
from services.market.holdings import Holdings
from services.market.network import Network
from services.market.network_history import NetworkHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPrices:
    """One answer of an equity vendor: session closes, the last trade where it knows one, and what it declares.

    The close of the session that is still open may be among them: its price is live, and the quote's time tells.
    `actions` are the dividends and splits of the time that was asked for; empty also at a vendor that tells none.
    """

    closes: Closes
    quote: Quote | None
    actions: tuple[Action, ...] = ()


class EquitySource(Protocol):
    """A vendor of ETF prices. Every method raises SourceError where there is no usable answer.

    `spacing` is how long after it was asked about a share it is left alone about that one, so that what it allows
    lasts through a session; zero where that is enough for every tick.
    """

    name: str
    simulated: bool
    spacing: timedelta

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Fetch the session closes from `since` on and what was declared since, and the last trade."""
        ...


class CryptoSource(Protocol):
    """A vendor of cryptocurrency prices in US dollars. Every method raises SourceError.

    `reach` is how far back its hourly bars go; None where they go back as far as anyone asks.
    """

    name: str
    simulated: bool
    reach: timedelta | None

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Fetch the complete bars that open at or after `start` and end at or before `end`; gaps stay gaps."""
        ...

    async def quote(self, symbol: Symbol) -> Quote | None:
        """Fetch the last trade; None where the source has none."""
        ...


@runtime_checkable
class Rests(Protocol):
    """A source that leaves its vendor alone for a while where that fails or asks for it."""

    def rests_until(self, now: datetime) -> datetime | None:
        """Tell until when the vendor is left alone; None where it would be asked now."""
        ...


class NetworkSource(Protocol):
    """A witness of the bitcoin network. Every method raises SourceError."""

    name: str
    simulated: bool

    async def network(self) -> Network:
        """Fetch what it knows of the network's present state; what it does not know is None."""
        ...


@runtime_checkable
class NetworkPastSource(Protocol):
    """A source that also remembers the network. Every method raises SourceError."""

    async def past(self) -> NetworkHistory:
        """Fetch what it remembers of the last three years."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A close that its source has changed after it was final, noticed at `at`."""

    symbol: Symbol
    source: str
    session: date
    old: float
    new: float
    at: datetime


class HistoryStore(Protocol):
    """Price history that survives a restart."""

    async def save_closes(self, closes: Closes, at: datetime, declared: Declared | None = None) -> None:
        """Insert or overwrite session closes by (symbol, source, session), in one transaction.

        A price that takes the place of another is noted as a revision made at `at`. What the same source has `declared`
        of the share is saved with them, in place of all that it declared for the days from `declared.since` on.
        """
        ...

    async def replace_closes(self, closes: Closes, at: datetime, declared: Declared | None = None) -> None:
        """Let session closes take the place of every one of their symbol and source, in one transaction.

        What is `declared` is saved with them, as `save_closes` does.
        """
        ...

    async def load_declared(self, symbol: Symbol, source: str) -> Declared | None:
        """Load what one source declares of a share; None where nothing was ever saved of that."""
        ...

    async def load_closes(self, symbol: Symbol, source: str, since: date) -> Closes:
        """Load one source's session closes from `since` on; empty where there are none."""
        ...

    async def revisions(self, symbol: Symbol, limit: int) -> list[Revision]:
        """List the last revisions of a symbol's closes, newest first."""
        ...

    async def save_bars(self, bars: Bars) -> None:
        """Insert or overwrite bars by (symbol, source, interval, opening time), in one transaction."""
        ...

    async def load_bars(self, symbol: Symbol, source: str, interval: timedelta, since: datetime) -> Bars:
        """Load one source's bars that open at or after `since`; empty where there are none."""
        ...


class HoldingsStore(Protocol):
    """What funds hold, day by day."""

    async def save_holdings(self, snapshots: Sequence[Holdings]) -> list[date]:
        """Save holdings in one transaction, each in place of all that was kept for its fund and day.

        Gives the days of which something was replaced.
        """
        ...

    async def load_holdings(self, fund: Symbol) -> list[Holdings]:
        """Load every day's holdings of a fund, oldest first."""
        ...

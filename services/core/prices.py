"""Prices as they come from a source: quotes, session closes and bars, each with its source and time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import (
    UTC,
    datetime,
    timedelta,
)
from typing import NewType

import numpy as np
from numpy.typing import NDArray

Symbol = NewType("Symbol", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An ETF and the cryptocurrency that it is held against."""

    etf: Symbol
    crypto: Symbol

    def __str__(self) -> str:
        return f"{self.etf}/{self.crypto}"


WGMI_BTC = Pair(etf=Symbol("WGMI"), crypto=Symbol("BTC"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One price (US dollars) at the instant `at` (aware UTC) that its source gives for it."""

    symbol: Symbol
    price: float
    at: datetime
    source: str

    def age(self, now: datetime) -> timedelta:
        """Tell how old the quote is at `now`."""
        return now - self.at


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Closes:
    """Session closes of one symbol.

    `sessions` is datetime64[D], strictly ascending; `prices` is float64 of the same length, US dollars, finite and
    positive. `volumes`, in shares, and `inside`, each session's own return from its opening to its close (a fraction,
    which splits and dividends leave alone), have NaN where they are not known; None where none is. Raises ValueError
    where that does not hold.
    """

    symbol: Symbol
    sessions: NDArray[np.datetime64]
    prices: NDArray[np.float64]
    source: str
    volumes: NDArray[np.float64] | None = None
    inside: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        check_columns(self.sessions, self.prices)
        if self.volumes is not None and len(self.volumes) != len(self.prices):
            raise ValueError(f"{len(self.prices)} prices but {len(self.volumes)} volumes")
        if self.inside is not None and len(self.inside) != len(self.prices):
            raise ValueError(f"{len(self.prices)} prices but {len(self.inside)} returns inside sessions")

    def __len__(self) -> int:
        return len(self.sessions)

    @property
    def known_volumes(self) -> NDArray[np.float64]:
        """The volumes, NaN throughout where none is known."""
        return np.full(len(self), np.nan) if self.volumes is None else self.volumes

    @property
    def known_inside(self) -> NDArray[np.float64]:
        """The returns inside the sessions, NaN throughout where none is known."""
        return np.full(len(self), np.nan) if self.inside is None else self.inside

    def where(self, keep: NDArray[np.bool_]) -> Closes:
        """Keep some of the sessions."""
        return replace(
            self,
            sessions=self.sessions[keep],
            prices=self.prices[keep],
            volumes=None if self.volumes is None else self.volumes[keep],
            inside=None if self.inside is None else self.inside[keep],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bars:
    """Closing prices of consecutive bars of one symbol and one length.

    `opened_at` is datetime64[s] UTC, strictly ascending, gaps allowed; `closes` is float64 of the same length, US
    dollars, finite and positive. Raises ValueError where that does not hold.
    """

    symbol: Symbol
    interval: timedelta
    opened_at: NDArray[np.datetime64]
    closes: NDArray[np.float64]
    source: str

    def __post_init__(self) -> None:
        check_columns(self.opened_at, self.closes)

    def __len__(self) -> int:
        return len(self.opened_at)

    @property
    def ended_at(self) -> NDArray[np.datetime64]:
        """The instant at which each bar was complete and its close known: datetime64[s] UTC."""
        return self.opened_at + np.timedelta64(int(self.interval.total_seconds()), "s")

    def last_complete(self, at: datetime) -> tuple[float, datetime] | None:
        """Find the close of the last bar that ended at or before `at`, with the instant it ended."""
        index = int(np.searchsorted(self.ended_at, instant(at), side="right")) - 1
        if index < 0:
            return None
        return float(self.closes[index]), moment(self.ended_at[index])


def instant(at: datetime) -> np.datetime64:
    """Turn an aware datetime into datetime64[s] UTC, as the columns hold it."""
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None, microsecond=0), "s")


def moment(at: np.datetime64) -> datetime:
    """Turn one element of an instant column into an aware UTC datetime."""
    return datetime.fromtimestamp(int(at.astype("datetime64[s]").astype(np.int64)), tz=UTC)


def check_columns(keys: NDArray[np.datetime64], prices: NDArray[np.float64]) -> None:
    """Raise ValueError where times are not strictly ascending, or a price is not a finite positive number."""
    if len(keys) != len(prices):
        raise ValueError(f"{len(keys)} times but {len(prices)} prices")
    if len(keys) > 1 and not bool(np.all(keys[1:] > keys[:-1])):
        raise ValueError("times are not strictly ascending")
    if not bool(np.all(np.isfinite(prices) & (prices > 0))):
        raise ValueError("a price is not a positive number")


AI_PROXY = Symbol("SMH")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceStamp:
    """Where one leg's price came from, and the instant that it belongs to."""

    symbol: str
    source: str
    price: float
    at: datetime

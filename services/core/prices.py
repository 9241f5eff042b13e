"""Prices as a source reports them: quotes, session closes and bars, each with source and time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NewType

import numpy as np
from numpy.typing import NDArray

MIN_PRICE, MAX_PRICE = 1e-12, 10**12  # US dollars; anything outside is bad data
Symbol = NewType("Symbol", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An ETF and the cryptocurrency that it is compared with."""

    etf: Symbol
    crypto: Symbol

    def __str__(self) -> str:
        return f"{self.etf}/{self.crypto}"


WGMI_BTC = Pair(etf=Symbol("WGMI"), crypto=Symbol("BTC"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One price in US dollars; `at` (aware UTC) is the time that the source states."""

    symbol: Symbol
    price: float
    at: datetime
    source: str

    def age(self, now: datetime) -> timedelta:
        """Return the age of the quote at `now`."""
        return now - self.at


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Closes:
    """Session closes of one symbol. Raises ValueError if the columns do not fit.

    Attributes:
        sessions: datetime64[D], strictly ascending.
        prices: float64 of the same length, US dollars, finite and positive.
        volumes: Shares; NaN where unknown, None if none is known.
        open_to_close: Return of each session from its open to its close, as a fraction. Splits and dividends do not
            change it. NaN where unknown, None if none is known.
    """

    symbol: Symbol
    sessions: NDArray[np.datetime64]
    prices: NDArray[np.float64]
    source: str
    volumes: NDArray[np.float64] | None = None
    open_to_close: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        validate_columns(self.sessions, self.prices)
        if self.volumes is not None and len(self.volumes) != len(self.prices):
            raise ValueError(f"{len(self.prices)} prices but {len(self.volumes)} volumes")
        if self.open_to_close is not None and len(self.open_to_close) != len(self.prices):
            raise ValueError(f"{len(self.prices)} prices but {len(self.open_to_close)} returns inside sessions")

    def __len__(self) -> int:
        return len(self.sessions)

    @property
    def known_volumes(self) -> NDArray[np.float64]:
        """The volumes, all NaN if none is known."""
        return np.full(len(self), np.nan) if self.volumes is None else self.volumes

    @property
    def known_open_to_close(self) -> NDArray[np.float64]:
        """The open-to-close returns, all NaN if none is known."""
        return np.full(len(self), np.nan) if self.open_to_close is None else self.open_to_close

    def select(self, mask: NDArray[np.bool_]) -> Closes:
        """Return the sessions for which `mask` is True."""
        return replace(
            self,
            sessions=self.sessions[mask],
            prices=self.prices[mask],
            volumes=None if self.volumes is None else self.volumes[mask],
            open_to_close=None if self.open_to_close is None else self.open_to_close[mask],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bars:
    """Closing prices of bars of one symbol and one length. Raises ValueError if the columns do not fit.

    Attributes:
        opened_at: datetime64[s] UTC, strictly ascending; gaps are allowed.
        closes: float64 of the same length, US dollars, finite and positive.
    """

    symbol: Symbol
    interval: timedelta
    opened_at: NDArray[np.datetime64]
    closes: NDArray[np.float64]
    source: str

    def __post_init__(self) -> None:
        validate_columns(self.opened_at, self.closes)

    def __len__(self) -> int:
        return len(self.opened_at)

    @property
    def ended_at(self) -> NDArray[np.datetime64]:
        """The time at which each bar was complete and its close known: datetime64[s] UTC."""
        return self.opened_at + np.timedelta64(int(self.interval.total_seconds()), "s")

    def until(self, at: datetime) -> Bars:
        """Return the bars that ended at or before `at`."""
        over = self.ended_at <= to_datetime64(at)
        return self if over.all() else replace(self, opened_at=self.opened_at[over], closes=self.closes[over])

    def last_complete(self, at: datetime) -> tuple[float, datetime] | None:
        """Return the close of the last bar that ended at or before `at`, and the time it ended."""
        index = int(np.searchsorted(self.ended_at, to_datetime64(at), side="right")) - 1
        if index < 0:
            return None
        return float(self.closes[index]), to_datetime(self.ended_at[index])


def to_datetime64(at: datetime) -> np.datetime64:
    """Convert an aware datetime to datetime64[s] UTC, the type of the time columns."""
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None, microsecond=0), "s")


def to_datetime(at: np.datetime64) -> datetime:
    """Convert one element of a time column to an aware UTC datetime."""
    return datetime.fromtimestamp(int(at.astype("datetime64[s]").astype(np.int64)), tz=UTC)


def validate_columns(times: NDArray[np.datetime64], prices: NDArray[np.float64]) -> None:
    """Raise ValueError if times are not strictly ascending, or a price is not finite and positive."""
    if len(times) != len(prices):
        raise ValueError(f"{len(times)} times but {len(prices)} prices")
    if len(times) > 1 and not bool(np.all(times[1:] > times[:-1])):
        raise ValueError("times are not strictly ascending")
    if not bool(np.all(np.isfinite(prices) & (prices > 0))):
        raise ValueError("a price is not a positive number")


AI_PROXY = Symbol("SMH")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceStamp:
    """The price of one leg with its source and time."""

    symbol: str
    source: str
    price: float
    at: datetime

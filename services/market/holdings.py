"""A fund's holdings as of a day: shares, cash and other positions with their weights."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import Enum

from services.core.errors import HoldingsConflictError
from services.core.prices import Symbol

TOP_TEN = "top 10 only"  # part of the source name of partial holdings


class HoldingKind(Enum):
    """The kind of a holding; `other` is neither a share nor cash, or unknown."""

    SHARE = "share"
    CASH = "cash"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One position of a fund; `weight` is a fraction of its net assets, negative for liabilities.

    `ticker` has no exchange suffix. `exchange` is as the source wrote it ("US", "TO"), empty if it had none.
    `market_value` is in US dollars.
    """

    ticker: str
    weight: float
    kind: HoldingKind = HoldingKind.SHARE
    exchange: str = ""
    name: str = ""
    shares: float | None = None
    market_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """All positions that a source lists for one fund and day, in its order; weights need not sum to 1.

    Raises ValueError if there are no positions, or if a weight is not finite.
    """

    fund: Symbol
    as_of: date
    source: str
    positions: tuple[Holding, ...]

    def __post_init__(self) -> None:
        if not self.positions or not math.isfinite(self.total):
            raise ValueError(f"no finite weights of {self.fund} on {self.as_of}")

    @property
    def is_complete(self) -> bool:
        """Whether all holdings are listed, as in an issuer's file. Never scale a partial list up to the fund."""
        return TOP_TEN not in self.source

    @property
    def total(self) -> float:
        """The sum of all weights, including cash."""
        return math.fsum(position.weight for position in self.positions)

    @property
    def cash(self) -> float:
        """The weight of cash and cash equivalents."""
        return math.fsum(position.weight for position in self.positions if position.kind is HoldingKind.CASH)

    @property
    def unexplained(self) -> float:
        """1 minus the sum of the weights; negative if they exceed 1."""
        return 1 - self.total


def reject_partial_overwrite(stored: Iterable[Holdings], partial: Holdings) -> None:
    """Raise HoldingsConflictError if partial holdings would replace complete ones of the same fund and day."""
    for existing in stored:
        if (existing.fund, existing.as_of) == (partial.fund, partial.as_of) and existing.is_complete:
            raise HoldingsConflictError(
                f"The holdings of {partial.fund} on {partial.as_of} are known in full, from {existing.source}. "
                "The top 10 would overwrite them and weren't saved. You don't need to do anything."
            )


def holdings_on(history: Iterable[Holdings], day: date) -> Holdings | None:
    """Return the latest holdings as of `day` or earlier; None if there are none."""
    known = [holdings for holdings in history if holdings.as_of <= day]
    return max(known, key=lambda holdings: holdings.as_of, default=None)


class Cohort(Enum):
    """The stage of a miner's move to AI; `other` is not assigned to any cohort."""

    CONTRACTED = "contracted AI"
    TRANSITION = "in transition"
    PURE = "pure play"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A share's cohort as of a day, and the source."""

    ticker: str
    cohort: Cohort
    as_of: date
    source: str

"""What a fund holds, as of a day: its shares, its cash and the rest, each with its weight."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import Enum

from services.core.errors import HoldingsConflictError
from services.core.prices import Symbol

TOP_TEN = "top 10 only"  # stands in the source of holdings that leave out the smaller ones


class HoldingKind(Enum):
    """What a holding is; whatever is neither a share nor cash, or cannot be told, is `other`."""

    SHARE = "share"
    CASH = "cash"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One position of a fund; `weight` is a fraction of its net assets, below zero for what the fund owes.

    `ticker` comes without its exchange, which is kept as it was written ("US", "TO") and empty where none was. The
    market value is in US dollars.
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
    """Everything that a source lists for one fund and day, in its order; weights need not sum to 1.

    Raises ValueError where nothing is listed, or a weight is not finite.
    """

    fund: Symbol
    as_of: date
    source: str
    positions: tuple[Holding, ...]

    def __post_init__(self) -> None:
        if not self.positions or not math.isfinite(self.total):
            raise ValueError(f"no finite weights of {self.fund} on {self.as_of}")

    @property
    def whole(self) -> bool:
        """Whether all holdings are listed, as in an issuer's file; nothing may be scaled up from the largest alone."""
        return TOP_TEN not in self.source

    @property
    def total(self) -> float:
        """The sum of all weights, cash included."""
        return math.fsum(one.weight for one in self.positions)

    @property
    def cash(self) -> float:
        """The weight of cash and its like."""
        return math.fsum(one.weight for one in self.positions if one.kind is HoldingKind.CASH)

    @property
    def unexplained(self) -> float:
        """What the weights lack of 1; below zero where they exceed it."""
        return 1 - self.total


def keep_whole(kept: Iterable[Holdings], part: Holdings) -> None:
    """See that the largest holdings take the place of none but such. Raises HoldingsConflictError."""
    for known in kept:
        if (known.fund, known.as_of) == (part.fund, part.as_of) and known.whole:
            raise HoldingsConflictError(
                f"The holdings of {part.fund} on {part.as_of} are known in full, from {known.source}. "
                "The top 10 would take their place and were not stored; nothing is to be done."
            )


def held_at(history: Iterable[Holdings], day: date) -> Holdings | None:
    """Pick the holdings that held on a day: the last that are of it or of a day before; None where there are none."""
    known = [holdings for holdings in history if holdings.as_of <= day]
    return max(known, key=lambda holdings: holdings.as_of, default=None)


class Cohort(Enum):
    """How far a miner has turned to AI; `other` holds what nobody has put into one of them."""

    CONTRACTED = "contracted AI"
    TRANSITION = "in transition"
    PURE = "pure play"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A share's cohort, as of a day, with where that is told."""

    ticker: str
    cohort: Cohort
    as_of: date
    source: str

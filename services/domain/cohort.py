"""Cohorts: how far a miner has turned to AI, as somebody judged it on a day, from a source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date  # noqa: TC003 -- written as JSON by reading these types at run time
from enum import Enum


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

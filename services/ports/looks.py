"""Ticks: whose they are, and what they saw."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from datetime import date, datetime

    from services.domain.episode import LegStamp
    from services.domain.prices import Pair


Job: TypeAlias = "Pair | str"  # the ticks of a pair, or a chore by its name


class Claim(Enum):
    """Whose a tick is: ours to do, done already, or in the hands of another who has not finished."""

    OURS = "ours"
    DONE = "done"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A round of a job as one process has claimed it: its own until another takes it over or begins a later one."""

    job: Job
    boundary: datetime
    claimed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The value of what some rules look at, in their unit, at `at` in a session."""

    look: str
    session: date
    value: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a tick at `at` saw of its pair: how far its prices can be used, which they are, and what rules read in them.

    `reason` is None where prices can be used. `waiting` tells that there is nothing to see yet and nothing was lost.
    """

    pair: Pair
    at: datetime
    verdict: str
    reason: str | None
    waiting: bool = False
    prices: tuple[LegStamp, ...] = ()
    readings: tuple[Reading, ...] = ()
    simulated: bool = False

    @property
    def usable(self) -> bool:
        """Whether rules could fire and resolve on it."""
        return self.reason is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What was last seen of a pair, at `at`: its last usable prices, and since when there are none."""

    pair: Pair
    at: datetime
    reason: str | None
    usable_at: datetime | None
    dark_at: datetime | None
    prices: tuple[LegStamp, ...]
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Extreme:
    """How far a value went in a session, and when."""

    high: float
    high_at: datetime
    low: float
    low_at: datetime


class LookStore(Protocol):
    """What ticks saw."""

    async def sights(self) -> list[Sight]:
        """Load what was last seen of each pair."""
        ...

    async def verdicts(self, pair: Pair, begin: datetime, end: datetime) -> dict[str, int]:
        """Count the ticks of a pair that were done from `begin` until before `end`, by the verdict on their prices."""
        ...

    async def extremes(self, pair: Pair, session: date) -> dict[str, Extreme]:
        """Load how far each look at a pair went in a session."""
        ...

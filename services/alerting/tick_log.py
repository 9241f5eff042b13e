"""Looks: what a tick saw of its pair, in a form that can be kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Protocol, TypeAlias

from services.core.errors import NoHistoryError
from services.core.prices import Pair, PriceStamp
from services.core.trust import Verdict
from services.rules.grammar import parse_rule
from services.rules.market_service import MarketView
from services.rules.rule import DEFAULT_RULES, Rule

MISSING, WAITING = "missing", "waiting"

Job: TypeAlias = "Pair | str"  # the ticks of a pair, or a chore by its name

SHORTEST = DEFAULT_RULES[0]  # what can be measured wherever anything can


def observe_tick(pair: Pair, seen: MarketView | NoHistoryError, rules: Iterable[Rule], now: datetime) -> TickResult:
    """Tell how far a pair's prices can be used, and what each different thing that rules look at reads."""
    if isinstance(seen, NoHistoryError):
        return TickResult(pair=pair, at=now, verdict=MISSING, reason=str(seen))
    rule = parse_rule(SHORTEST, pair)
    observed, trust = seen.observe(rule), seen.trust(rule)
    usable = observed.value is not None
    verdict = trust.verdict if usable or not trust.verdict.usable else Verdict.STALE
    return TickResult(
        pair=pair,
        at=now,
        verdict=WAITING if observed.waiting else verdict.value,
        reason=None if usable else observed.reason,
        waiting=observed.waiting,
        prices=seen.stamps(rule) if usable else (),
        readings=tuple(_readings(seen, rules)),
        simulated=seen.simulated,
    )


def metric_key(rule: Rule) -> str:
    """Name what a rule looks at; rules of one name read the same value."""
    window = "" if rule.window is None else f"{rule.window.value} "
    return f"{window}{rule.metric.value}{' at close' if rule.at_close else ''}"


def _readings(seen: MarketView, rules: Iterable[Rule]) -> Iterable[Reading]:
    for rule in rules:
        observed, looked_at = seen.observe(rule), seen.seen_by(rule)
        if observed.value is not None and looked_at is not None:
            yield Reading(look=metric_key(rule), session=looked_at.session, value=observed.value, at=observed.at)


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
class TickResult:
    """What a tick at `at` saw of its pair: how far its prices can be used, which they are, and what rules read in them.

    `reason` is None where prices can be used. `waiting` tells that there is nothing to see yet and nothing was lost.
    """

    pair: Pair
    at: datetime
    verdict: str
    reason: str | None
    waiting: bool = False
    prices: tuple[PriceStamp, ...] = ()
    readings: tuple[Reading, ...] = ()
    simulated: bool = False

    @property
    def usable(self) -> bool:
        """Whether rules could fire and resolve on it."""
        return self.reason is None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairStatus:
    """What was last seen of a pair, at `at`: its last usable prices, and since when there are none."""

    pair: Pair
    at: datetime
    reason: str | None
    usable_at: datetime | None
    dark_at: datetime | None
    prices: tuple[PriceStamp, ...]
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Extreme:
    """How far a value went in a session, and when."""

    high: float
    high_at: datetime
    low: float
    low_at: datetime


class TickResultStore(Protocol):
    """What ticks saw."""

    async def sights(self) -> list[PairStatus]:
        """Load what was last seen of each pair."""
        ...

    async def verdicts(self, pair: Pair, begin: datetime, end: datetime) -> dict[str, int]:
        """Count the ticks of a pair that were done from `begin` until before `end`, by the verdict on their prices."""
        ...

    async def extremes(self, pair: Pair, session: date) -> dict[str, Extreme]:
        """Load how far each look at a pair went in a session."""
        ...

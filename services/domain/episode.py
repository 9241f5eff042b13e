"""Episodes: one open alert for each channel, pair, subject and direction, which rules join and leave."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime  # noqa: TC003 -- alerts are stored by reading these types at run time
from enum import Enum
from typing import TYPE_CHECKING

from services.domain.decide import Side, written
from services.domain.measure import Measurement, Metric, Window
from services.domain.precedent import Record  # noqa: TC001 -- as above
from services.domain.prices import Pair  # noqa: TC001 -- as above
from services.domain.rule import parse_rule
from services.domain.trust import FULL, Trust

if TYPE_CHECKING:
    from collections.abc import Sequence


class Subject(Enum):
    """What an episode is about; a long drawdown must not swallow the alerts of a divergence."""

    DIVERGENCE = "divergence"
    GAP = "gap"
    DRAWDOWN = "drawdown"

    @classmethod
    def of(cls, metric: Metric) -> Subject:
        """Tell what a rule on this metric is about."""
        return {Metric.GAP: cls.GAP, Metric.DRAWDOWN: cls.DRAWDOWN}.get(metric, cls.DIVERGENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """Where alerts go; both parts are opaque to the services."""

    team: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LegStamp:
    """Where one leg's price came from, and the instant that it belongs to."""

    symbol: str
    source: str
    price: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What one rule of an episode saw last: its metric's value in the rule's own unit (fractions for pp and %).

    `at` is the instant of the value. `peak` is the largest such value on the episode's side since the rule joined,
    `peak_before` the largest before `at`, None where there is none. `corrected_from` is what a close was before its
    price was corrected. `measurement` holds the legs over the rule's window, or over one day for a rule without one.
    `active` is False once the rule has cleared. `record` is how the rule's earlier episodes went, None where unknown.
    """

    rule_id: int
    rule: str
    at: datetime
    value: float
    peak: float
    measurement: Measurement
    peak_before: float | None = None
    corrected_from: float | None = None
    active: bool = True
    record: Record | None = None

    @property
    def strength(self) -> float:
        """How many times its rule's threshold the peak was."""
        return abs(self.peak) / parse_rule(self.rule).threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Who did something to an alert, and when; a snooze also has an end."""

    by: str
    at: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An episode as its message tells it; `id` is 0 until it is recorded.

    `facts` are ordered tightest window first, the first active one leads. `as_of` is the instant of the prices in
    it, and `trust` how far those could be relied on. A closed alert has `closed_at` and keeps the facts that closed it.
    """

    id: int
    channel: Channel
    pair: Pair
    side: Side
    opened_at: datetime
    as_of: datetime
    facts: tuple[Fact, ...]
    etf: LegStamp
    crypto: LegStamp
    simulated: bool
    reason: str
    trust: Trust = FULL
    subject: Subject = Subject.DIVERGENCE
    closed_at: datetime | None = None
    acknowledged: Mark | None = None
    snoozed: Mark | None = None

    @property
    def lead(self) -> Fact:
        """The fact that heads the message: the tightest window still active; at the end, the one that went furthest."""
        return next((fact for fact in self.facts if fact.active), max(self.facts, key=lambda fact: fact.strength))

    def is_snoozed(self, now: datetime) -> bool:
        """Tell whether the alert is to stay silent at `now`."""
        return self.snoozed is not None and self.snoozed.until is not None and now < self.snoozed.until


class EntryKind(Enum):
    """What a line of an alert's timeline tells."""

    FIRED = "fired"
    JOINED = "joined"
    LEFT = "left"
    CORRECTED = "corrected"
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of an alert's timeline, with the reason that it was written.

    `silent` entries are kept in the history but not posted to the thread.
    """

    kind: EntryKind
    at: datetime
    reason: str
    by: str | None = None
    until: datetime | None = None
    silent: bool = False


def order(facts: Sequence[Fact]) -> tuple[Fact, ...]:
    """Put the tightest window first; `ytd` comes last."""
    rank = list(Window)
    return tuple(sorted(facts, key=lambda fact: (rank.index(fact.measurement.window), fact.rule_id)))


def join(alert: Alert, fact: Fact) -> Alert:
    """Add a rule to an open alert; a rule that had left comes back with its new peak."""
    others = [known for known in alert.facts if known.rule_id != fact.rule_id]
    return replace(alert, facts=order([*others, fact]))


def leave(alert: Alert, rule_id: int) -> Alert:
    """Mark a rule as cleared; the alert itself stays open while another is active."""
    return replace(
        alert,
        facts=tuple(replace(fact, active=False) if fact.rule_id == rule_id else fact for fact in alert.facts),
    )


def see(alert: Alert, rule_id: int, value: float, at: datetime, measurement: Measurement) -> Alert:
    """Bring one rule's fact up to date, and its peak; at the same instant a value takes the place of the last."""
    facts = tuple(
        _seen(fact, alert.side, value, at, measurement) if fact.rule_id == rule_id else fact for fact in alert.facts
    )
    return replace(alert, facts=facts)


def is_corrected(fact: Fact, value: float, at: datetime, measurement: Measurement) -> bool:
    """Tell whether a close that the fact shows has another value by now; a live price that settles is no correction."""
    rule, known = parse_rule(fact.rule), fact.measurement
    settled = at == fact.at == known.as_of and not known.live and not measurement.live
    return settled and written(value, rule) != written(fact.value, rule)


def _seen(fact: Fact, side: Side, value: float, at: datetime, measurement: Measurement) -> Fact:
    again = at == fact.at
    before = fact.peak_before if again else fact.peak
    wrong = fact.corrected_from if again else None
    return replace(
        fact,
        at=at,
        value=value,
        peak=value if before is None else max(before, value, key=lambda seen: seen * side.sign),
        peak_before=before,
        corrected_from=fact.value if is_corrected(fact, value, at, measurement) else wrong,
        measurement=measurement,
    )


def close(alert: Alert, at: datetime, reason: str) -> Alert:
    """End an episode; what it saw last stays in it."""
    return replace(
        alert,
        closed_at=at,
        reason=reason,
        facts=tuple(replace(fact, active=False) for fact in alert.facts),
    )

"""Episodes: one open alert for each channel, pair, subject and direction, which rules join and leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from services.alerting.rule_hit import RuleHit, seen
from services.core.identity import (
    Channel,
    Mention,
)
from services.core.prices import (
    Pair,
    PriceStamp,
)
from services.core.trust import FULL, Trust
from services.market.measure import DIVERGENCES, Measurement, Metric, Window
from services.rules.chart_series import AlertChart
from services.rules.decide import Side
from services.rules.history_lookup import HistoryLookup


class Subject(Enum):
    """What an episode is about; a long drawdown must not swallow the alerts of a divergence."""

    DIVERGENCE = "divergence"
    GAP = "gap"
    DRAWDOWN = "drawdown"
    HASHPRICE = "hashprice"
    DIFFICULTY = "difficulty"

    @classmethod
    def of(cls, metric: Metric) -> Subject:
        """Tell what a rule on this metric is about."""
        return cls.DIVERGENCE if metric in DIVERGENCES else cls(metric.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorStamp:
    """Who did something to an alert, and when; a snooze also has an end."""

    by: str
    at: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An episode as its message tells it; `id` is 0 until it is recorded.

    `facts` are ordered tightest window first, the first active one leads. `as_of` is the instant of the prices in
    it, and `trust` how far those could be relied on. A closed alert has `closed_at` and keeps the facts that closed it.
    `course` is how the legs came to what its lead saw, where it is about how far they part.
    `unseen_since` is since when it waits for a person, `reminded_at` and `escalated_at` when one was called again.
    """

    id: int
    channel: Channel
    pair: Pair
    side: Side
    opened_at: datetime
    as_of: datetime
    facts: tuple[RuleHit, ...]
    etf: PriceStamp
    crypto: PriceStamp
    simulated: bool
    reason: str
    trust: Trust = FULL
    subject: Subject = Subject.DIVERGENCE
    closed_at: datetime | None = None
    acknowledged: ActorStamp | None = None
    snoozed: ActorStamp | None = None
    unseen_since: datetime | None = None
    reminded_at: datetime | None = None
    escalated_at: datetime | None = None
    course: AlertChart | None = None

    @property
    def retracted(self) -> bool:
        """Whether the alert is over, and would not have opened on the prices that are known by now."""
        return self.closed_at is not None and all(fact.retracted for fact in self.facts)

    @property
    def lead(self) -> RuleHit:
        """The fact that heads the message: the tightest window still active; at the end, the one that went furthest."""
        return next((fact for fact in self.facts if fact.active), max(self.facts, key=lambda fact: fact.strength))

    def is_snoozed(self, now: datetime) -> bool:
        """Tell whether the alert is to stay silent at `now`."""
        return self.snoozed is not None and self.snoozed.until is not None and now < self.snoozed.until


class EntryKind(Enum):
    """What a line of an alert's timeline tells; CHANGED is what people changed in its channel beside the alert."""

    FIRED = "fired"
    JOINED = "joined"
    LEFT = "left"
    CORRECTED = "corrected"
    WORSENED = "worsened"
    REPEATED = "repeated"
    EDITED = "edited"
    PAUSED = "paused"
    CHANGED = "changed"
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    SNOOZED = "snoozed"
    REMINDED = "reminded"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    RETRACTED = "retracted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of an alert's timeline, with the reason that it was written.

    `silent` entries are kept in the history but not posted to the thread. `calls` is whom the line calls, `to` the
    other channel that was told.
    """

    kind: EntryKind
    at: datetime
    reason: str
    by: str | None = None
    until: datetime | None = None
    silent: bool = False
    calls: Mention | None = None
    to: Channel | None = None


def order(facts: Sequence[RuleHit]) -> tuple[RuleHit, ...]:
    """Put the tightest window first; `ytd` comes last."""
    rank = list(Window)
    return tuple(sorted(facts, key=lambda fact: (rank.index(fact.measurement.window), fact.rule_id)))


def with_rule(alert: Alert, fact: RuleHit) -> Alert:
    """Add a rule to an open alert; a rule that had left comes back with its new peak."""
    others = [known for known in alert.facts if known.rule_id != fact.rule_id]
    return replace(alert, facts=order([*others, fact]))


def without_rule(alert: Alert, rule_id: int) -> Alert:
    """Mark a rule as cleared; the alert itself stays open while another is active."""
    return replace(
        alert,
        facts=tuple(replace(fact, active=False) if fact.rule_id == rule_id else fact for fact in alert.facts),
    )


def with_observation(alert: Alert, rule_id: int, value: float, at: datetime, measurement: Measurement) -> Alert:
    """Bring one rule's fact up to date, and its peak; at the same instant a value takes the place of the last."""
    facts = tuple(
        seen(fact, alert.side, value, at, measurement) if fact.rule_id == rule_id else fact for fact in alert.facts
    )
    return replace(alert, facts=facts)


def with_hit(alert: Alert, fact: RuleHit) -> Alert:
    """Let a fact take the place of its rule's."""
    facts = [fact if known.rule_id == fact.rule_id else known for known in alert.facts]
    return replace(alert, facts=order(facts))


def with_chart(alert: Alert, past: HistoryLookup) -> Alert:
    """Let an alert show how the legs came to what its lead saw; two lines say nothing of any other subject."""
    if alert.subject is not Subject.DIVERGENCE:
        return alert
    return replace(alert, course=past.course(alert.lead.measurement))


def close(alert: Alert, at: datetime, reason: str) -> Alert:
    """End an episode; what it saw last stays in it."""
    return replace(
        alert,
        closed_at=at,
        reason=reason,
        facts=tuple(replace(fact, active=False) for fact in alert.facts),
    )

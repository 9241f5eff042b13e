"""Alerts: one open alert per channel, pair, subject and direction, which rules join and leave."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from services.alerting.rule_hit import RuleHit, with_value
from services.core.identity import (
    Channel,
    Mention,
)
from services.core.prices import (
    Pair,
    PriceStamp,
)
from services.core.reason import Reason
from services.core.trust import TRUSTED, Trust
from services.market.measure import Measurement, Window
from services.market.metrics import DIVERGENCE, METRICS, Subject
from services.rules.chart_series import AlertChart
from services.rules.decide import Side
from services.rules.history_lookup import HistoryLookup


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorStamp:
    """Person and time of an action on an alert, with the end of a snooze."""

    by: str
    at: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert, as its message shows it. Raises ValueError for a subject that no metric has, as of a damaged row.

    Attributes:
        id: 0 until the alert is saved.
        as_of: Time of the prices in the alert.
        hits: One per rule, shortest window first; the first active one leads. Closing doesn't remove any.
        trust: How far the prices could be relied on.
        closed_at: None while the alert is open.
        unacknowledged_since: Start of the time that counts for reminders and the escalation.
        reminded_at: Time of the last reminder.
        escalated_at: Time of the escalation.
        chart: Prices of both legs up to the lead's measurement; only for a divergence.
    """

    id: int
    channel: Channel
    pair: Pair
    side: Side
    opened_at: datetime
    as_of: datetime
    hits: tuple[RuleHit, ...]
    etf: PriceStamp
    crypto: PriceStamp
    simulated: bool
    reason: Reason | str
    trust: Trust = TRUSTED
    subject: Subject = DIVERGENCE
    closed_at: datetime | None = None
    acknowledged: ActorStamp | None = None
    snoozed: ActorStamp | None = None
    unacknowledged_since: datetime | None = None
    reminded_at: datetime | None = None
    escalated_at: datetime | None = None
    chart: AlertChart | None = None

    def __post_init__(self) -> None:
        if self.subject not in {metric.subject for metric in METRICS.values()}:
            raise ValueError(f"no metric has the subject {self.subject!r}")

    @property
    def retracted(self) -> bool:
        """Whether the alert is closed and, on the prices known now, would not have opened."""
        return self.closed_at is not None and all(hit.retracted for hit in self.hits)

    @property
    def lead(self) -> RuleHit:
        """The hit that heads the message: the shortest active window, else the largest breach ratio."""
        return next((hit for hit in self.hits if hit.active), max(self.hits, key=lambda hit: hit.breach_ratio))

    def is_snoozed(self, now: datetime) -> bool:
        """Return whether the alert is snoozed at `now`."""
        return self.snoozed is not None and self.snoozed.until is not None and now < self.snoozed.until


class EntryKind(Enum):
    """Kind of a timeline entry. CHANGED is a change in the channel that concerns no rule of the alert."""

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
class TimelineEntry:
    """One entry of an alert's timeline.

    Attributes:
        reason: Why the entry was written.
        by: Person who caused it, None for the app.
        until: End of a snooze.
        silent: Kept in the history, but not posted to the thread.
        mention: Person or group that the entry notifies.
        to: Channel that an escalation was posted in.
    """

    kind: EntryKind
    at: datetime
    reason: Reason | str
    by: str | None = None
    until: datetime | None = None
    silent: bool = False
    mention: Mention | None = None
    to: Channel | None = None


def sort_hits(hits: Sequence[RuleHit]) -> tuple[RuleHit, ...]:
    """Return the hits by window, shortest first and `ytd` last, then by rule."""
    rank = list(Window)
    return tuple(sorted(hits, key=lambda hit: (rank.index(hit.measurement.window), hit.rule_id)))


def with_rule(alert: Alert, hit: RuleHit) -> Alert:
    """Return the alert with one more rule. A rule that had left rejoins with its new peak."""
    others = [other for other in alert.hits if other.rule_id != hit.rule_id]
    return replace(alert, hits=sort_hits([*others, hit]))


def without_rule(alert: Alert, rule_id: int) -> Alert:
    """Return the alert with a rule marked as cleared; the alert itself stays open."""
    return replace(
        alert,
        hits=tuple(replace(hit, active=False) if hit.rule_id == rule_id else hit for hit in alert.hits),
    )


def with_observation(alert: Alert, rule_id: int, value: float, at: datetime, measurement: Measurement) -> Alert:
    """Return the alert with a rule's new value and peak. A value at the same instant replaces the last one."""
    hits = tuple(
        with_value(hit, alert.side, value, at, measurement) if hit.rule_id == rule_id else hit for hit in alert.hits
    )
    return replace(alert, hits=hits)


def with_hit(alert: Alert, hit: RuleHit) -> Alert:
    """Return the alert with the hit of one rule replaced."""
    hits = [hit if other.rule_id == hit.rule_id else other for other in alert.hits]
    return replace(alert, hits=sort_hits(hits))


def with_chart(alert: Alert, history: HistoryLookup) -> Alert:
    """Return the alert with a chart up to its lead's measurement; unchanged if its subject isn't a divergence."""
    if alert.subject != DIVERGENCE:
        return alert
    return replace(alert, chart=history.chart(alert.lead.measurement))


def close(alert: Alert, at: datetime, reason: Reason | str) -> Alert:
    """Return the alert as closed, with its last values."""
    return replace(
        alert,
        closed_at=at,
        reason=reason,
        hits=tuple(replace(hit, active=False) for hit in alert.hits),
    )

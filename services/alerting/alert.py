"""Alerts: one open alert per channel, pair, subject and direction, and the hits of the rules that join and leave it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum

from services.core.identity import (
    Channel,
    Mention,
    Person,
)
from services.core.prices import (
    Pair,
    PriceStamp,
)
from services.core.reason import Reason
from services.core.trust import TRUSTED, Trust
from services.market.chart_points import AlertChart
from services.market.measure import Measurement, Window
from services.market.metrics import DIVERGENCE, METRICS, Subject
from services.research.attribution import AlertAttribution
from services.research.track_record import TrackRecord
from services.rules.decide import Side, round_as_shown
from services.rules.grammar import parse_rule
from services.rules.history_lookup import HistoryLookup, PastReading
from services.rules.rule import Rule, levels_of

MAX_CLOSES = 5  # sessions back that are checked for corrections
DRILL = Subject("drill")  # of test alerts, which no rule opens and no metric has
NO_RULE = 0  # the rule id in a test alert


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """Votes on an alert, one per person."""

    useful: int = 0
    noise: int = 0


NO_VOTES = Votes()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorStamp:
    """Person and time of an action on an alert, with the end of a snooze."""

    by: str
    at: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedClose:
    """A rule's value at a session's close."""

    session: date
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LastReported:
    """The last report of a rule in the thread: the time of its prices, and the peak until then."""

    at: datetime
    prices_at: datetime
    peak: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Widening:
    """The last reported growth of a rule's peak, in the rule's unit, and when it was reported."""

    by: float
    at: datetime


class HitEnd(Enum):
    """Why a rule no longer keeps an alert open."""

    CLEARED = "cleared"
    RESOLVED = "resolved"
    PAUSED = "paused"
    EDITED = "edited"
    MOVED = "moved"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPeak:
    """The largest value of the rule that opened an alert, in the unit and window that fired.

    Attributes:
        rule_id: The rule that opened the alert.
        rule: Its text when it fired.
        before: The peak until the rule cleared and fired again in the same alert, or was edited to measure something
            else.
        session: The session of the rule's last value, which a year-to-date window needs.
    """

    rule_id: int
    rule: str
    value: float
    before: float | None = None
    window: Window
    session: date


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleHit:
    """The latest value of one rule of an alert.

    Attributes:
        at: Time of the value.
        value: The metric's value in the rule's unit (fractions for pp and %).
        peak: The largest value on the alert's side since the rule joined: of `closes`, `peak_before` and `value`.
        measurement: Both legs over the rule's window, or over one session for a rule without a window.
        peak_before: The largest value before `at` that isn't among `closes`, None if there is none.
        closes: The newest closes that the rule has observed.
        corrected_from: The value of a close before its price was corrected.
        widened: The last growth of the peak that the thread reported; None if there is none.
        active: False once the rule no longer keeps the alert open.
        ended: Why it no longer does; None while it does, and in alerts of older releases.
        ended_by: Who ended it, None if it cleared.
        retracted: On the prices known now, the rule would not have fired.
        track_record: Earlier alerts of the rule, None if unknown.
        attribution: Return attribution when the rule fired, None if unknown.
    """

    rule_id: int
    rule: str
    at: datetime
    value: float
    peak: float
    measurement: Measurement
    peak_before: float | None = None
    closes: tuple[ObservedClose, ...] = ()
    corrected_from: float | None = None
    last_reported: LastReported | None = None
    widened: Widening | None = None
    active: bool = True
    ended: HitEnd | None = None
    ended_by: str | None = None
    retracted: bool = False
    track_record: TrackRecord | None = None
    attribution: AlertAttribution | None = None

    @property
    def breach_ratio(self) -> float:
        """The peak as a multiple of the rule's threshold."""
        return abs(self.peak) / parse_rule(self.rule).threshold

    @property
    def is_close(self) -> bool:
        """Whether the value is that of a session's close. A gap moves on after the close."""
        return not self.measurement.live and self.at == self.measurement.as_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert, as its message shows it. Raises ValueError for an unknown subject, as of a damaged row.

    Attributes:
        id: 0 until the alert is saved.
        as_of: Time of the prices in the alert.
        hits: One per rule, shortest window first; the first active one leads. Closing doesn't remove any.
        trust: How far the prices could be relied on.
        closed_at: None while the alert is open.
        closed_by: Who resolved it, or paused, edited or removed its last rule; None if it cleared.
        opening: The peak that the alert is known by; None in alerts of older releases.
        unacknowledged_since: Start of the time that counts for reminders and the escalation.
        reminded_at: Time of the last reminder.
        escalated_at: Time of the escalation.
        chart: Prices of both legs up to the lead's measurement; only for a divergence.
        permalink: Address of the alert's message, for `fmt.alert_link(alert.id, alert.permalink)`; empty while it is
            unknown. The store keeps it beside the alert: changes of an alert leave it as it is.
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
    closed_by: str | None = None
    opening: AlertPeak | None = None
    acknowledged: ActorStamp | None = None
    snoozed: ActorStamp | None = None
    unacknowledged_since: datetime | None = None
    reminded_at: datetime | None = None
    escalated_at: datetime | None = None
    chart: AlertChart | None = None
    permalink: str = ""

    def __post_init__(self) -> None:
        if self.subject not in {DRILL, *(metric.subject for metric in METRICS.values())}:
            raise ValueError(f"no metric has the subject {self.subject!r}")

    @property
    def is_drill(self) -> bool:
        """Whether it is a test alert: a person opened it, it resolves by itself, and it doesn't count in any record."""
        return self.subject == DRILL

    @property
    def retracted(self) -> bool:
        """Whether the alert is closed and, on the prices known now, would not have opened."""
        return self.closed_at is not None and all(hit.retracted for hit in self.hits)

    @property
    def lead(self) -> RuleHit:
        """The hit that heads the message: the shortest active window, else the largest breach ratio."""
        return next((hit for hit in self.hits if hit.active), max(self.hits, key=lambda hit: hit.breach_ratio))

    @property
    def peak(self) -> AlertPeak:
        """The one peak of the alert, that of the rule that opened it."""
        return self.opening or _peak_of(self.lead)

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
    UNSNOOZED = "unsnoozed"
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
        by_name: Their name in the payload that caused it; empty if that is unknown.
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
    by_name: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.by, Person) and not self.by_name:
            object.__setattr__(self, "by_name", self.by.name)


def sort_hits(hits: Sequence[RuleHit]) -> tuple[RuleHit, ...]:
    """Return the hits by window, shortest first and `ytd` last, then by rule."""
    rank = list(Window)
    return tuple(sorted(hits, key=lambda hit: (rank.index(hit.measurement.window), hit.rule_id)))


def with_opening(alert: Alert) -> Alert:
    """Return a new alert with the rule that leads its first message as the one that opened it."""
    return replace(alert, opening=_peak_of(alert.lead))


def with_rule(alert: Alert, hit: RuleHit) -> Alert:
    """Return the alert with one more rule. A rule that had left rejoins with its new peak."""
    others = [other for other in alert.hits if other.rule_id != hit.rule_id]
    opening = alert.opening
    if opening and opening.rule_id == hit.rule_id:
        alert = replace(alert, opening=replace(opening, before=opening.value))
    return _with_hits(alert, [*others, hit])


def without_rule(alert: Alert, rule_id: int, ended: HitEnd, by: str | None = None) -> Alert:
    """Return the alert with a rule marked as ended; the alert itself stays open."""
    hits = (_end(hit, ended, by) if hit.rule_id == rule_id else hit for hit in alert.hits)
    return replace(alert, hits=tuple(hits))


def with_observation(alert: Alert, rule_id: int, value: float, at: datetime, measurement: Measurement) -> Alert:
    """Return the alert with a rule's new value and peak. A value at the same instant replaces the last one."""
    return _with_hits(
        alert,
        [with_value(hit, alert.side, value, at, measurement) if hit.rule_id == rule_id else hit for hit in alert.hits],
    )


def with_hit(alert: Alert, hit: RuleHit) -> Alert:
    """Return the alert with the hit of one rule replaced."""
    return _with_hits(alert, [hit if other.rule_id == hit.rule_id else other for other in alert.hits])


def _with_hits(alert: Alert, hits: Sequence[RuleHit]) -> Alert:
    """Return the alert with these hits, and with its peak if the rule that opened it still measures the same."""
    alert = replace(alert, hits=sort_hits(hits))
    opening = alert.opening
    if opening is None:
        return alert
    hit = next((hit for hit in alert.hits if hit.rule_id == opening.rule_id), None)
    if hit is None or not _measures_the_same(hit, opening):
        return replace(alert, opening=replace(opening, before=opening.value))
    value = _extreme([opening.before, hit.peak], alert.side)
    return replace(
        alert, opening=replace(opening, value=hit.peak if value is None else value, session=hit.measurement.session)
    )


def _measures_the_same(hit: RuleHit, opening: AlertPeak) -> bool:
    return parse_rule(hit.rule).metric == parse_rule(opening.rule).metric and hit.measurement.window is opening.window


def _peak_of(hit: RuleHit) -> AlertPeak:
    measurement = hit.measurement
    return AlertPeak(
        rule_id=hit.rule_id,
        rule=hit.rule,
        value=hit.peak,
        window=measurement.window,
        session=measurement.session,
    )


def _end(hit: RuleHit, ended: HitEnd, by: str | None) -> RuleHit:
    """Return a hit that no longer keeps its alert open; one that had ended before stays as it was."""
    return replace(hit, active=False, ended=ended, ended_by=by) if hit.active else hit


def with_chart(alert: Alert, history: HistoryLookup) -> Alert:
    """Return the alert with a chart up to its lead's measurement; unchanged if its subject isn't a divergence."""
    if alert.subject != DIVERGENCE:
        return alert
    return replace(alert, chart=history.chart(alert.lead.measurement))


def with_pair(alert: Alert, pair: Pair, at: datetime) -> Alert:
    """Return the alert with its rules moved to another pair `at` a time: values and peaks stay.

    Its closes are those of the old pair, so they are no longer compared with corrected ones.
    """
    hits = (
        replace(
            hit,
            rule=_on_pair(hit.rule, pair),
            at=at,
            peak_before=hit.peak,
            closes=(),
            corrected_from=None,
            measurement=replace(hit.measurement, pair=pair),
        )
        for hit in alert.hits
    )
    opening = alert.opening and replace(alert.opening, rule=_on_pair(alert.opening.rule, pair))
    return replace(alert, pair=pair, hits=tuple(hits), opening=opening)


def _on_pair(rule: str, pair: Pair) -> str:
    return str(replace(parse_rule(rule), pair=pair))


def close(alert: Alert, at: datetime, reason: Reason | str, by: str | None = None) -> Alert:
    """Return the alert as closed, with its last values; rules that are still active are resolved `by` a person."""
    return replace(
        alert,
        closed_at=at,
        closed_by=by,
        reason=reason,
        hits=tuple(_end(hit, HitEnd.RESOLVED, by) for hit in alert.hits),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A close that has another value now; `shown` if it is the latest value of the rule."""

    session: date
    old: float
    new: float
    shown: bool


def open_hit(
    rule_id: int,
    rule: Rule,
    value: float,
    *,
    at: datetime,
    measurement: Measurement,
    now: datetime,
    track_record: TrackRecord | None = None,
    attribution: AlertAttribution | None = None,
) -> RuleHit:
    """Return the first hit of a rule, reported at `now`."""
    hit = RuleHit(
        rule_id=rule_id,
        rule=str(rule),
        at=at,
        value=value,
        peak=value,
        measurement=measurement,
        last_reported=LastReported(at=now, prices_at=at, peak=value),
        track_record=track_record,
        attribution=attribution,
    )
    return replace(hit, closes=_closes_with_current(hit))


def with_value(hit: RuleHit, side: Side, value: float, at: datetime, measurement: Measurement) -> RuleHit:
    """Return the hit with a new value and peak. A value at the same instant replaces the last one."""
    replaces = at == hit.at
    closes = _closes_with_current(hit)
    before = hit.peak_before if replaces or hit.is_close else _extreme([hit.peak_before, hit.value], side)
    corrected_from = hit.corrected_from if replaces else None
    after = replace(
        hit,
        at=at,
        value=value,
        peak_before=before,
        corrected_from=hit.value if is_corrected(hit, value, at, measurement) else corrected_from,
        measurement=measurement,
        closes=closes,
    )
    after = replace(after, closes=_closes_with_current(after))
    return _with_peak(_without_old_closes(after, side), side)


def is_corrected(hit: RuleHit, value: float, at: datetime, measurement: Measurement) -> bool:
    """Return whether the close that the hit shows has another value now. A settling live price is no correction."""
    settled = at == hit.at and hit.is_close and not measurement.live
    return settled and _differ(hit.value, value, hit)


def recheck(
    hit: RuleHit, side: Side, recall: Callable[[date], PastReading | None]
) -> tuple[RuleHit, tuple[Correction, ...]]:
    """Compare the observed closes with their current values; return the hit and its corrections, oldest first.

    A close that can't be recalled stays as it was.
    """
    corrections, closes = [], []
    for close in _closes_with_current(hit):
        current = recall(close.session)
        if current is None or not _differ(close.value, current.value, hit):
            closes.append(close)
            continue
        shown = hit.is_close and close.session == hit.measurement.session
        closes.append(replace(close, value=current.value))
        corrections.append(Correction(session=close.session, old=close.value, new=current.value, shown=shown))
        if shown:
            hit = replace(hit, value=current.value, measurement=current.measurement, corrected_from=close.value)
    if not corrections:
        return hit, ()
    return _with_peak(replace(hit, closes=tuple(closes)), side), tuple(corrections)


def is_breach(value: float, hit: RuleHit, side: Side) -> bool:
    """Return whether a value is at or past the threshold of the hit's rule on a side."""
    levels = levels_of(parse_rule(hit.rule))
    return bool(levels.is_above(value) if side is Side.ABOVE else levels.is_below(value))


def _closes_with_current(hit: RuleHit) -> tuple[ObservedClose, ...]:
    """Return the observed closes with the one that the hit shows, which replaces an earlier value of its session."""
    if not hit.is_close:
        return hit.closes
    session = hit.measurement.session
    others = tuple(close for close in hit.closes if close.session != session)
    return (*others, ObservedClose(session=session, value=hit.value))


def _without_old_closes(hit: RuleHit, side: Side) -> RuleHit:
    """Return the hit without the closes that are too old to be corrected; the peak still includes them."""
    old, kept = hit.closes[:-MAX_CLOSES], hit.closes[-MAX_CLOSES:]
    before = _extreme([hit.peak_before, *(close.value for close in old)], side)
    return replace(hit, closes=kept, peak_before=before)


def _with_peak(hit: RuleHit, side: Side) -> RuleHit:
    peak = _extreme([hit.peak_before, hit.value, *(close.value for close in hit.closes)], side)
    return hit if peak is None else replace(hit, peak=peak)


def _extreme(values: Iterable[float | None], side: Side) -> float | None:
    known = [value for value in values if value is not None]
    return max(known, key=lambda value: value * side.sign) if known else None


def _differ(one: float, other: float, hit: RuleHit) -> bool:
    rule = parse_rule(hit.rule)
    return round_as_shown(one, rule.unit) != round_as_shown(other, rule.unit)

"""Rule hits: the values of one rule of an alert, their peak, and corrections of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime

from services.market.measure import Measurement
from services.research.attribution import AlertAttribution
from services.research.track_record import TrackRecord
from services.rules.decide import Side, round_as_shown
from services.rules.grammar import parse_rule
from services.rules.history_lookup import PastReading
from services.rules.rule import Rule
from services.rules.threshold import levels_of

MAX_CLOSES = 5  # sessions back that are checked for corrections


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
        active: False once the rule has cleared.
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
    active: bool = True
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

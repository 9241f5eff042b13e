"""Facts: what one rule of an episode has seen, its peak, and what of that was corrected."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime

from services.market.measure import Measurement
from services.research.attribution import AlertAttribution
from services.research.track_record import Record
from services.rules.decide import Side, format_value
from services.rules.grammar import parse_rule
from services.rules.history_lookup import PastReading
from services.rules.rule import Rule

CLOSES_KEPT = 5  # how many sessions back a correction is looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedClose:
    """What a rule saw at a session's close."""

    session: date
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LastReported:
    """When a rule was last told of in the thread: `of` is the instant of the prices, `peak` the peak by then."""

    at: datetime
    of: datetime
    peak: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleHit:
    """What one rule of an episode saw last: its metric's value in the rule's own unit (fractions for pp and %).

    `at` is the instant of the value. `peak` is the largest such value on the episode's side since the rule joined: of
    `closes`, the newest ones that it saw, of `peak_before`, the largest before `at` that is not among them (None where
    there is none), and of the value. `corrected_from` is what a close was before its price was corrected.
    `measurement` holds the legs over the rule's window, or over one day for a rule without one. `active` is False once
    the rule has cleared, and `retracted` tells that it would not have fired on the prices that are known by now.
    `record` is how the rule's earlier episodes went, `parted` what the ETF's return came with when the rule fired; each
    is None where unknown.
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
    told: LastReported | None = None
    active: bool = True
    retracted: bool = False
    record: Record | None = None
    parted: AlertAttribution | None = None

    @property
    def strength(self) -> float:
        """How many times its rule's threshold the peak was."""
        return abs(self.peak) / parse_rule(self.rule).threshold

    @property
    def is_close(self) -> bool:
        """Whether the value is that of a session's close; the gap goes on after it."""
        return not self.measurement.live and self.at == self.measurement.as_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A close that a rule saw and that has another value by now; `shown` where it is the newest thing that it saw."""

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
    record: Record | None = None,
    parted: AlertAttribution | None = None,
) -> RuleHit:
    """Begin to follow a rule, of which the message tells at `now`."""
    fact = RuleHit(
        rule_id=rule_id,
        rule=str(rule),
        at=at,
        value=value,
        peak=value,
        measurement=measurement,
        told=LastReported(at=now, of=at, peak=value),
        record=record,
        parted=parted,
    )
    return replace(fact, closes=_listed(fact))


def seen(fact: RuleHit, side: Side, value: float, at: datetime, measurement: Measurement) -> RuleHit:
    """Bring a fact up to date, and its peak; at the same instant a value takes the place of the last."""
    again = at == fact.at
    closes = _listed(fact)
    before = fact.peak_before if again or fact.is_close else _furthest([fact.peak_before, fact.value], side)
    wrong = fact.corrected_from if again else None
    after = replace(
        fact,
        at=at,
        value=value,
        peak_before=before,
        corrected_from=fact.value if is_corrected(fact, value, at, measurement) else wrong,
        measurement=measurement,
        closes=closes,
    )
    after = replace(after, closes=_listed(after))
    return _with_peak(_forgetting(after, side), side)


def is_corrected(fact: RuleHit, value: float, at: datetime, measurement: Measurement) -> bool:
    """Tell whether a close that the fact shows has another value by now; a live price that settles is no correction."""
    settled = at == fact.at and fact.is_close and not measurement.live
    return settled and _differ(fact.value, value, fact)


def recheck(
    fact: RuleHit, side: Side, recall: Callable[[date], PastReading | None]
) -> tuple[RuleHit, tuple[Correction, ...]]:
    """Hold the closes that a rule saw against what is known of them now, and give what was corrected, oldest first.

    What cannot be recalled stays as it was.
    """
    corrections, closes = [], []
    for close in _listed(fact):
        known = recall(close.session)
        if known is None or not _differ(close.value, known.value, fact):
            closes.append(close)
            continue
        shown = fact.is_close and close.session == fact.measurement.session
        closes.append(replace(close, value=known.value))
        corrections.append(Correction(session=close.session, old=close.value, new=known.value, shown=shown))
        if shown:
            fact = replace(fact, value=known.value, measurement=known.measurement, corrected_from=close.value)
    if not corrections:
        return fact, ()
    return _with_peak(replace(fact, closes=tuple(closes)), side), tuple(corrections)


def is_past(value: float, fact: RuleHit, side: Side) -> bool:
    """Tell whether a value is past the threshold of the fact's rule on a side."""
    return value * side.sign >= parse_rule(fact.rule).threshold


def _listed(fact: RuleHit) -> tuple[ObservedClose, ...]:
    """Give the closes that a fact saw with the one that it shows, in the place of what that session had before."""
    if not fact.is_close:
        return fact.closes
    session = fact.measurement.session
    others = tuple(close for close in fact.closes if close.session != session)
    return (*others, ObservedClose(session=session, value=fact.value))


def _forgetting(fact: RuleHit, side: Side) -> RuleHit:
    """Let the closes go that are too old to be corrected; the peak remembers them."""
    old, kept = fact.closes[:-CLOSES_KEPT], fact.closes[-CLOSES_KEPT:]
    before = _furthest([fact.peak_before, *(close.value for close in old)], side)
    return replace(fact, closes=kept, peak_before=before)


def _with_peak(fact: RuleHit, side: Side) -> RuleHit:
    peak = _furthest([fact.peak_before, fact.value, *(close.value for close in fact.closes)], side)
    return fact if peak is None else replace(fact, peak=peak)


def _furthest(values: Iterable[float | None], side: Side) -> float | None:
    known = [value for value in values if value is not None]
    return max(known, key=lambda value: value * side.sign) if known else None


def _differ(one: float, other: float, fact: RuleHit) -> bool:
    rule = parse_rule(fact.rule)
    return format_value(one, rule) != format_value(other, rule)

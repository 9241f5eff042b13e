"""Rule evaluation: whether a rule fires, holds or resolves on one observation, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from itertools import count

from services.market.measure import Unit
from services.rules.rule import Direction, Rule, print_value

NODATA_GRACE = timedelta(minutes=30)
MAX_PRICE_GAP = timedelta(minutes=35)  # the slowest tick is 15 minutes, and its price up to 20 minutes old
MINUTE_S, HOUR_S = 60, 3600


class Side(Enum):
    """The side of the spread: ETF above (ahead of) bitcoin, or below it."""

    ABOVE = "above"
    BELOW = "below"

    @property
    def sign(self) -> int:
        """+1 for above, -1 for below."""
        return 1 if self is Side.ABOVE else -1


class RuleStatus(Enum):
    """The state of a rule as people see it."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    NODATA = "nodata"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The value of a rule's metric at `at`; None, with the reason, if it is missing or cannot be trusted.

    Attributes:
        at_close: The value is final for its session; hold and keep times count as zero.
        awaiting_trade: The session has just started. There is no value yet, and no data is lost.
        pair_unavailable: No source has any data on the pair, so its rules cannot be evaluated at all.
    """

    at: datetime
    value: float | None
    reason: str = ""
    at_close: bool = False
    awaiting_trade: bool = False
    pair_unavailable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleState:
    """The state of a rule between two observations.

    Attributes:
        firing: Side of the open episode, since `fired_at`.
        breach: Side past the threshold but not yet held for the hold time.
        breach_at: Time of the price at which the breach started.
        breach_seen_at: Time of the last price in breach.
        clear_at: Time of the price at which a firing rule came inside its clear level, not yet for the keep time.
        clear_seen_at: Time of the last price inside the clear level.
        nodata_since: Since when no observation is usable.
        error_since: Since when no source has any data on the pair.
    """

    firing: Side | None = None
    fired_at: datetime | None = None
    breach: Side | None = None
    breach_at: datetime | None = None
    breach_seen_at: datetime | None = None
    clear_at: datetime | None = None
    clear_seen_at: datetime | None = None
    nodata_since: datetime | None = None
    error_since: datetime | None = None

    def status(self, now: datetime) -> RuleStatus:
        """Return the status at `now`; missing data becomes ERROR or NODATA after the grace period."""
        if self.error_since is not None and now - self.error_since > NODATA_GRACE:
            return RuleStatus.ERROR
        if self.nodata_since is not None and now - self.nodata_since > NODATA_GRACE:
            return RuleStatus.NODATA
        if self.firing is not None:
            return RuleStatus.FIRING if self.clear_at is None else RuleStatus.RECOVERING
        return RuleStatus.OK if self.breach is None else RuleStatus.PENDING

    def without_firing(self) -> RuleState:
        """Return the state as if the rule had not fired."""
        return replace(_reset(self), firing=None, fired_at=None)


class Change(Enum):
    """What happened to a rule."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of a rule, on one side."""

    change: Change
    side: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The state after an observation, the transitions (at most a resolve, then a fire), and the reason in words."""

    state: RuleState
    transitions: tuple[Transition, ...] = ()
    reason: str


def decide(state: RuleState, observation: Observation, rule: Rule, now: datetime) -> Decision:
    """Evaluate a rule on one observation.

    1. While the session's first trade is awaited, nothing changes. Without a usable value nothing fires or resolves:
       `nodata_since` is set, and hold and keep times restart, as nobody saw the price meanwhile.
    2. Past the threshold on a watched side, the breach must last for the hold time. Then the rule fires on that side;
       if it was firing on the other side, it resolves first.
    3. Inside the clear level, a firing rule resolves after the keep time.
    4. Between the two nothing changes, except that hold and keep times restart.
    """
    if observation.awaiting_trade:
        return Decision(state=state, reason=f"nothing decided yet: {observation.reason}")
    if observation.value is None:
        return Decision(
            state=replace(
                _reset(state),
                nodata_since=state.nodata_since or now,
                error_since=(state.error_since or now) if observation.pair_unavailable else None,
            ),
            reason=f"nothing decided: {observation.reason}",
        )
    state = replace(state, nodata_since=None, error_since=None)
    side = breached_side(observation.value, rule)
    if side is not None and side is not state.firing:
        return _hold_or_fire(state, observation, rule, side)
    if state.firing is None:
        threshold = print_value(rule.threshold, rule.unit)
        text = f"{format_against(observation.value, rule.threshold, rule)} is within {threshold}"
        return Decision(state=_reset(state), reason=text)
    if side is None and is_cleared(observation.value, rule, state.firing):
        return _keep_or_resolve(state, observation, rule, state.firing)
    value, clear = format_against(observation.value, rule.clear, rule), print_value(rule.clear, rule.unit)
    return Decision(state=_reset(state), reason=f"{value} keeps it firing: clear is {clear}")


def format_value(value: float, rule: Rule) -> str:
    """Format a value in the rule's unit with two decimals; a value that rounds to zero has no sign."""
    return print_value(round(value, _decimals(rule)) + 0.0, rule.unit)


def _hold_or_fire(state: RuleState, observation: Observation, rule: Rule, side: Side) -> Decision:
    started = (state.breach_at, state.breach_seen_at) if state.breach is side else (None, None)
    since, seen = _last_seen(started, observation.at)
    held = seen - since
    value, threshold = observation.value or 0.0, print_value(rule.threshold, rule.unit)
    breach_text = f"{format_against(value, rule.threshold, rule)} is past {threshold}"
    if held < rule.hold and not observation.at_close:
        return Decision(
            state=replace(_reset(state), breach=side, breach_at=since, breach_seen_at=seen),
            reason=f"{breach_text}, held for {_format_duration(held)} of {_format_duration(rule.hold)}",
        )
    resolved = (Transition(change=Change.RESOLVED, side=state.firing),) if state.firing else ()
    return Decision(
        state=RuleState(firing=side, fired_at=observation.at),
        transitions=(*resolved, Transition(change=Change.FIRING, side=side)),
        reason=breach_text
        + (" at the close" if observation.at_close else f", held for {_format_duration(held)}" if held else ""),
    )


def _keep_or_resolve(state: RuleState, observation: Observation, rule: Rule, firing: Side) -> Decision:
    since, seen = _last_seen((state.clear_at, state.clear_seen_at), observation.at)
    kept = seen - since
    value, clear = format_against(observation.value or 0.0, rule.clear, rule), print_value(rule.clear, rule.unit)
    clear_text = f"{value} is back inside the clear level of {clear}"
    if kept < rule.keep and not observation.at_close:
        return Decision(
            state=replace(_reset(state), clear_at=since, clear_seen_at=seen),
            reason=f"{clear_text}, for {_format_duration(kept)} of {_format_duration(rule.keep)}",
        )
    return Decision(
        state=state.without_firing(),
        transitions=(Transition(change=Change.RESOLVED, side=firing),),
        reason=clear_text + (f", for {_format_duration(kept)}" if kept else ""),
    )


def _last_seen(started: tuple[datetime | None, datetime | None], at: datetime) -> tuple[datetime, datetime]:
    """Return since when a condition lasts and when it was last seen; it restarts after a gap between prices.

    A price that is not newer than the last one adds no time.
    """
    since, seen = started
    if since is None or seen is None or at - seen > MAX_PRICE_GAP:
        return at, at
    return since, max(seen, at)


def _reset(state: RuleState) -> RuleState:
    """Return the state with hold and keep times reset."""
    return replace(state, breach=None, breach_at=None, breach_seen_at=None, clear_at=None, clear_seen_at=None)


def breached_side(value: float, rule: Rule) -> Side | None:
    """Return the watched side on which a value is past the threshold, or None."""
    if value >= rule.threshold and rule.direction is not Direction.BELOW:
        return Side.ABOVE
    if value <= -rule.threshold and rule.direction is not Direction.ABOVE:
        return Side.BELOW
    return None


def is_cleared(value: float, rule: Rule, side: Side) -> bool:
    """Return whether a value is inside the clear level of a rule that fires on `side`.

    An `either` rule compares the distance from zero, a one-sided rule the signed value on its side.
    """
    distance = abs(value) if rule.direction is Direction.EITHER else value * side.sign
    return distance < rule.clear


def format_against(value: float, level: float, rule: Rule) -> str:
    """Format a value with as many decimals as it takes to appear on the correct side of a level."""
    inside = abs(value) < level
    rounded = (round(value, decimals) + 0.0 for decimals in count(_decimals(rule)))
    return print_value(next(number for number in rounded if (abs(number) < level) is inside), rule.unit)


def _decimals(rule: Rule) -> int:
    return 2 if rule.unit is Unit.SIGMA else 4


def _format_duration(duration: timedelta) -> str:
    """Format a duration in its two largest units: `45s`, `4m 59s`, `1h 30m`."""
    seconds = int(duration.total_seconds())
    if seconds < HOUR_S:
        parts = {"m": seconds // MINUTE_S, "s": seconds % MINUTE_S}
    else:
        parts = {"h": seconds // HOUR_S, "m": seconds % HOUR_S // MINUTE_S}
    return " ".join(f"{number}{unit}" for unit, number in parts.items() if number) or "0s"

"""Decide: whether a rule fires, holds or resolves on one observation, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from itertools import count

from services.market.measure import Unit
from services.rules.rule import Direction, Rule, print_value

GRACE = timedelta(minutes=30)
UNSEEN_AT_MOST = timedelta(minutes=35)  # the slowest tick is 15 minutes, and the price that it sees up to 20 old
MINUTE_S, HOUR_S = 60, 3600


class Side(Enum):
    """Which leg is ahead: the ETF above bitcoin, or below it."""

    ABOVE = "above"
    BELOW = "below"

    @property
    def sign(self) -> int:
        """+1 for above, -1 for below."""
        return 1 if self is Side.ABOVE else -1


class Status(Enum):
    """What a rule is doing."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    NODATA = "nodata"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The value of a rule's metric at the instant `at`; None where it cannot be trusted or taken, with the reason.

    At a session's close (`closing`) the value is final for that session; what is to be held or kept counts as zero.
    `waiting` tells that a session has only just begun: there is nothing to see yet, and nothing has been lost.
    `unknown` tells that no source knows anything of the pair, so that its rules cannot be evaluated at all.
    """

    at: datetime
    value: float | None
    reason: str = ""
    closing: bool = False
    waiting: bool = False
    unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleState:
    """What must be remembered of a rule between two observations.

    `firing` is the side of its open episode since `fired_at`. `breach` is a side that is past the threshold but not
    yet held, since `breach_at` and last seen there at `breach_seen_at`, both instants of prices; `clear_at` and
    `clear_seen_at` are the same of a firing rule that is inside its clear level, but has not been kept there yet.
    `dark_at` is when observations stopped being usable, `error_at` since when nothing at all is known of the pair.
    """

    firing: Side | None = None
    fired_at: datetime | None = None
    breach: Side | None = None
    breach_at: datetime | None = None
    breach_seen_at: datetime | None = None
    clear_at: datetime | None = None
    clear_seen_at: datetime | None = None
    dark_at: datetime | None = None
    error_at: datetime | None = None

    def status(self, now: datetime) -> Status:
        """Name the state at `now`; what lasts for longer than the grace period is an ERROR, or else NODATA."""
        if self.error_at is not None and now - self.error_at > GRACE:
            return Status.ERROR
        if self.dark_at is not None and now - self.dark_at > GRACE:
            return Status.NODATA
        if self.firing is not None:
            return Status.FIRING if self.clear_at is None else Status.RECOVERING
        return Status.OK if self.breach is None else Status.PENDING

    def unfired(self) -> RuleState:
        """Take back that it fired."""
        return replace(_settled(self), firing=None, fired_at=None)


class Change(Enum):
    """What happened to a rule."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of a rule, on one side."""

    to: Change
    side: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The state after an observation, what changed (at most a resolve, then a fire), and why, in words."""

    state: RuleState
    transitions: tuple[Transition, ...] = ()
    reason: str


def decide(state: RuleState, observation: Observation, rule: Rule, now: datetime) -> Decision:
    """Take a rule's state through one observation.

    1. While a session's first trade is awaited nothing changes. Without a usable value nothing fires or resolves; the
       time it went dark is kept, and what was being held or kept is forgotten: what nobody saw did not last.
    2. Past the threshold on a watched side, the breach must last for the hold; then the rule fires on that side and,
       where it was firing on the other, resolves that first.
    3. Inside the clear level a firing rule resolves, after as long as it is to be kept there.
    4. Between the two nothing changes, except that what did not last is forgotten.
    """
    if observation.waiting:
        return Decision(state=state, reason=f"nothing decided yet: {observation.reason}")
    if observation.value is None:
        return Decision(
            state=replace(
                _settled(state),
                dark_at=state.dark_at or now,
                error_at=(state.error_at or now) if observation.unknown else None,
            ),
            reason=f"nothing decided: {observation.reason}",
        )
    state = replace(state, dark_at=None, error_at=None)
    side = breached(observation.value, rule)
    if side is not None and side is not state.firing:
        return _hold_or_fire(state, observation, rule, side)
    if state.firing is None:
        threshold = print_value(rule.threshold, rule.unit)
        within = f"{format_against(observation.value, rule.threshold, rule)} is within {threshold}"
        return Decision(state=_settled(state), reason=within)
    if side is None and cleared(observation.value, rule, state.firing):
        return _keep_or_resolve(state, observation, rule, state.firing)
    value, clear = format_against(observation.value, rule.clear, rule), print_value(rule.clear, rule.unit)
    return Decision(state=_settled(state), reason=f"{value} keeps it firing: clear is {clear}")


def format_value(value: float, rule: Rule) -> str:
    """Write an observed value in its rule's unit, to a hundredth; what rounds to zero has no sign."""
    return print_value(round(value, _digits(rule)) + 0.0, rule.unit)


def _hold_or_fire(state: RuleState, observation: Observation, rule: Rule, side: Side) -> Decision:
    begun = (state.breach_at, state.breach_seen_at) if state.breach is side else (None, None)
    since, seen = _lasted(begun, observation.at)
    held = seen - since
    value, threshold = observation.value or 0.0, print_value(rule.threshold, rule.unit)
    passed = f"{format_against(value, rule.threshold, rule)} is past {threshold}"
    if held < rule.hold and not observation.closing:
        return Decision(
            state=replace(_settled(state), breach=side, breach_at=since, breach_seen_at=seen),
            reason=f"{passed}, held for {_lasting(held)} of {_lasting(rule.hold)}",
        )
    flipped = (Transition(to=Change.RESOLVED, side=state.firing),) if state.firing else ()
    return Decision(
        state=RuleState(firing=side, fired_at=observation.at),
        transitions=(*flipped, Transition(to=Change.FIRING, side=side)),
        reason=passed + (" at the close" if observation.closing else f", held for {_lasting(held)}" if held else ""),
    )


def _keep_or_resolve(state: RuleState, observation: Observation, rule: Rule, firing: Side) -> Decision:
    since, seen = _lasted((state.clear_at, state.clear_seen_at), observation.at)
    kept = seen - since
    value, clear = format_against(observation.value or 0.0, rule.clear, rule), print_value(rule.clear, rule.unit)
    inside = f"{value} is back inside the clear level of {clear}"
    if kept < rule.keep and not observation.closing:
        return Decision(
            state=replace(_settled(state), clear_at=since, clear_seen_at=seen),
            reason=f"{inside}, for {_lasting(kept)} of {_lasting(rule.keep)}",
        )
    return Decision(
        state=state.unfired(),
        transitions=(Transition(to=Change.RESOLVED, side=firing),),
        reason=inside + (f", for {_lasting(kept)}" if kept else ""),
    )


def _lasted(begun: tuple[datetime | None, datetime | None], at: datetime) -> tuple[datetime, datetime]:
    """Tell since when something lasts and when it was last seen; it begins anew after a gap between prices.

    A price that is no newer than the last adds nothing.
    """
    since, seen = begun
    if since is None or seen is None or at - seen > UNSEEN_AT_MOST:
        return at, at
    return since, max(seen, at)


def _settled(state: RuleState) -> RuleState:
    """Forget what was being held or kept."""
    return replace(state, breach=None, breach_at=None, breach_seen_at=None, clear_at=None, clear_seen_at=None)


def breached(value: float, rule: Rule) -> Side | None:
    """Tell on which watched side a value is past the threshold."""
    if value >= rule.threshold and rule.direction is not Direction.BELOW:
        return Side.ABOVE
    if value <= -rule.threshold and rule.direction is not Direction.ABOVE:
        return Side.BELOW
    return None


def cleared(value: float, rule: Rule, firing: Side) -> bool:
    """Tell whether a value is inside the clear level of a rule that fires on a side.

    An `either` rule is measured by its distance from zero, a one-sided one by what is left on its side.
    """
    distance = abs(value) if rule.direction is Direction.EITHER else value * firing.sign
    return distance < rule.clear


def format_against(value: float, level: float, rule: Rule) -> str:
    """Write a value with as many digits as it takes to stand on the same side of a level as it does."""
    inside = abs(value) < level
    shown = (round(value, digits) + 0.0 for digits in count(_digits(rule)))
    return print_value(next(one for one in shown if (abs(one) < level) is inside), rule.unit)


def _digits(rule: Rule) -> int:
    return 2 if rule.unit is Unit.SIGMA else 4


def _lasting(span: timedelta) -> str:
    """Write a length of time in its two largest units: `45s`, `4m 59s`, `1h 30m`."""
    seconds = int(span.total_seconds())
    if seconds < HOUR_S:
        parts = {"m": seconds // MINUTE_S, "s": seconds % MINUTE_S}
    else:
        parts = {"h": seconds // HOUR_S, "m": seconds % HOUR_S // MINUTE_S}
    return " ".join(f"{number}{unit}" for unit, number in parts.items() if number) or "0s"

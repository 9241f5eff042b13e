"""Decide: whether a rule fires, holds or resolves on one observation, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from services.domain.measure import Unit
from services.domain.rule import Direction, print_duration, print_value

if TYPE_CHECKING:
    from services.domain.rule import Rule

GRACE = timedelta(minutes=30)


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
    NODATA = "nodata"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The value of a rule's metric at the instant `at`; None where it cannot be trusted or taken, with the reason.

    At a session's close (`closing`) the value is final for that session and hold times count as zero.
    """

    at: datetime
    value: float | None
    reason: str = ""
    closing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleState:
    """What must be remembered of a rule between two observations.

    `firing` is the side of its open episode since `fired_at`. `breach` is a side that is past the threshold but not
    yet held, since `breach_at`. `dark_at` is when observations stopped being usable.
    """

    firing: Side | None = None
    fired_at: datetime | None = None
    breach: Side | None = None
    breach_at: datetime | None = None
    dark_at: datetime | None = None

    def status(self, now: datetime) -> Status:
        """Name the state at `now`; without usable data for longer than the grace period it is NODATA."""
        if self.dark_at is not None and now - self.dark_at > GRACE:
            return Status.NODATA
        if self.firing is not None:
            return Status.FIRING
        return Status.OK if self.breach is None else Status.PENDING


class Change(Enum):
    """What happened to a rule."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of a rule, on one side, at the observation's instant."""

    to: Change
    side: Side
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The state after an observation, what changed (at most a resolve, then a fire), and why, in words."""

    state: RuleState
    transitions: tuple[Transition, ...] = ()
    reason: str


def decide(state: RuleState, observation: Observation, rule: Rule, now: datetime) -> Decision:
    """Take a rule's state through one observation.

    1. Without a usable value nothing fires or resolves; the time it went dark is kept.
    2. Past the threshold on a watched side, the breach must last for the hold; then the rule fires on that side and,
       where it was firing on the other, resolves that first.
    3. Below the clear level a firing rule resolves.
    4. Between the two nothing changes, except that a breach that was not yet held is forgotten.
    """
    if observation.value is None:
        return Decision(
            state=replace(state, dark_at=state.dark_at or now),
            reason=f"nothing decided: {observation.reason}",
        )
    state = replace(state, dark_at=None)
    side = _breached(observation.value, rule)
    written = _written(observation.value, rule)
    if side is not None and side is not state.firing:
        return _hold_or_fire(state, observation, rule, side)
    state = replace(state, breach=None, breach_at=None)
    if state.firing is None:
        return Decision(state=state, reason=f"{written} is within {print_value(rule.threshold, rule.unit)}")
    if side is None and _cleared(observation.value, rule, state.firing):
        return Decision(
            state=replace(state, firing=None, fired_at=None),
            transitions=(Transition(to=Change.RESOLVED, side=state.firing, at=observation.at),),
            reason=f"{written} is back inside the clear level of {print_value(rule.clear, rule.unit)}",
        )
    return Decision(state=state, reason=f"{written} keeps it firing: clear is {print_value(rule.clear, rule.unit)}")


def _hold_or_fire(state: RuleState, observation: Observation, rule: Rule, side: Side) -> Decision:
    since = state.breach_at if state.breach is side and state.breach_at else observation.at
    held = observation.at - since
    passed = f"{_written(observation.value or 0.0, rule)} is past {print_value(rule.threshold, rule.unit)}"
    if held < rule.hold and not observation.closing:
        return Decision(
            state=replace(state, breach=side, breach_at=since),
            reason=f"{passed}, held for {print_duration(held)} of {print_duration(rule.hold)}",
        )
    flipped = (Transition(to=Change.RESOLVED, side=state.firing, at=observation.at),) if state.firing else ()
    return Decision(
        state=RuleState(firing=side, fired_at=observation.at),
        transitions=(*flipped, Transition(to=Change.FIRING, side=side, at=observation.at)),
        reason=passed
        + (" at the close" if observation.closing else f", held for {print_duration(held)}" if held else ""),
    )


def _breached(value: float, rule: Rule) -> Side | None:
    if value >= rule.threshold and rule.direction is not Direction.BELOW:
        return Side.ABOVE
    if value <= -rule.threshold and rule.direction is not Direction.ABOVE:
        return Side.BELOW
    return None


def _cleared(value: float, rule: Rule, firing: Side) -> bool:
    """Measure an `either` rule by its distance from zero, a one-sided one by what is left on its side."""
    distance = abs(value) if rule.direction is Direction.EITHER else value * firing.sign
    return distance < rule.clear


def _written(value: float, rule: Rule) -> str:
    return print_value(round(value, 2 if rule.unit is Unit.SIGMA else 4), rule.unit)

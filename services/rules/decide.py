"""Rule evaluation: whether a rule fires, holds or resolves on one observation, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from services.core.reason import Code, Reason
from services.market.metrics import Unit
from services.rules.rule import Rule, levels_of

NODATA_GRACE = timedelta(minutes=30)
MAX_PRICE_GAP = timedelta(minutes=35)  # the slowest tick is 15 minutes, and its price up to 20 minutes old


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
    reason: Reason | str = ""
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
    """One change of a rule, on one side, and its reason."""

    change: Change
    side: Side
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The state after an observation, the transitions (at most a resolve, then a fire), and the reason."""

    state: RuleState
    transitions: tuple[Transition, ...] = ()
    reason: Reason


def decide(state: RuleState, observation: Observation, rule: Rule, now: datetime) -> Decision:
    """Evaluate a rule on one observation.

    1. While the session's first trade is awaited, nothing changes. Without a usable value nothing fires or resolves:
       `nodata_since` is set, and hold and keep times restart, as no price was seen meanwhile.
    2. Below the clear level on its own side, a firing rule resolves after the keep time.
    3. Past the threshold on a watched side, the breach must last for the hold time. Then the rule fires on that side;
       if it is still firing on the other side, it resolves first.
    4. Between the two nothing changes, except that hold and keep times restart.

    Times ahead of `now`, from a clock that was set back, count as now: they would stop hold and keep times until then.
    """
    state = _without_future(state, now)
    if observation.awaiting_trade:
        return Decision(state=state, reason=Reason.of(Code.RULE_AWAITS_TRADE, reason=observation.reason))
    if observation.value is None:
        return Decision(
            state=replace(
                _reset(state),
                nodata_since=state.nodata_since or now,
                error_since=(state.error_since or now) if observation.pair_unavailable else None,
            ),
            reason=Reason.of(Code.RULE_HAS_NO_DATA, reason=observation.reason),
        )
    state = replace(state, nodata_since=None, error_since=None)
    levels = levels_of(rule, state.firing.sign if state.firing else 0)
    if state.firing is not None and levels.is_cleared(observation.value):
        decision = _keep_or_resolve(state, observation, rule, state.firing)
    else:
        decision = Decision(
            state=replace(state, clear_at=None, clear_seen_at=None), reason=_unchanged(state, observation.value, rule)
        )
    if levels.is_above(observation.value):
        return _hold_or_fire(decision, observation, rule, Side.ABOVE)
    if levels.is_below(observation.value):
        return _hold_or_fire(decision, observation, rule, Side.BELOW)
    return replace(decision, state=_without_breach(decision.state))


def _unchanged(state: RuleState, value: float, rule: Rule) -> Reason:
    """Return why a rule neither fires nor recovers."""
    if state.firing is None:
        return Reason.of(Code.RULE_WITHIN_THRESHOLD, value=value, threshold=rule.threshold, unit=rule.unit.name)
    return Reason.of(Code.RULE_KEEPS_FIRING, value=value, clear=rule.clear, unit=rule.unit.name)


def _hold_or_fire(so_far: Decision, observation: Observation, rule: Rule, side: Side) -> Decision:
    """Add a breach on `side` to the decision on the episode of the other side."""
    state = so_far.state
    started = (state.breach_at, state.breach_seen_at) if state.breach is side else (None, None)
    since, seen = _last_seen(started, observation.at)
    held = seen - since
    value = observation.value or 0.0
    if held < rule.hold and not observation.at_close:
        return Decision(
            state=replace(state, breach=side, breach_at=since, breach_seen_at=seen),
            transitions=so_far.transitions,
            reason=Reason.of(
                Code.RULE_PENDING,
                value=value,
                threshold=rule.threshold,
                unit=rule.unit.name,
                held_s=held.total_seconds(),
                hold_s=rule.hold.total_seconds(),
            ),
        )
    past = Reason.of(
        Code.RULE_PAST_THRESHOLD,
        value=value,
        threshold=rule.threshold,
        unit=rule.unit.name,
        held_s=held.total_seconds(),
        at_close=observation.at_close,
    )
    resolved = () if state.firing is None else (_resolved(state, observation, rule, state.firing),)
    return Decision(
        state=RuleState(firing=side, fired_at=observation.at),
        transitions=(*so_far.transitions, *resolved, Transition(change=Change.FIRING, side=side, reason=past)),
        reason=past,
    )


def _keep_or_resolve(state: RuleState, observation: Observation, rule: Rule, firing: Side) -> Decision:
    since, seen = _last_seen((state.clear_at, state.clear_seen_at), observation.at)
    kept = seen - since
    state = replace(state, clear_at=since, clear_seen_at=seen)
    if kept < rule.keep and not observation.at_close:
        return Decision(
            state=state,
            reason=Reason.of(
                Code.RULE_RECOVERING,
                value=observation.value or 0.0,
                clear=rule.clear,
                unit=rule.unit.name,
                kept_s=kept.total_seconds(),
                keep_s=rule.keep.total_seconds(),
            ),
        )
    resolved = _resolved(state, observation, rule, firing)
    return Decision(
        state=replace(state, firing=None, fired_at=None, clear_at=None, clear_seen_at=None),
        transitions=(resolved,),
        reason=resolved.reason,
    )


def _resolved(state: RuleState, observation: Observation, rule: Rule, firing: Side) -> Transition:
    """Return the end of an episode whose value is inside the clear level since `state.clear_at`."""
    kept_s = (state.clear_seen_at - state.clear_at).total_seconds() if state.clear_at and state.clear_seen_at else 0.0
    cleared = Reason.of(
        Code.RULE_CLEARED, value=observation.value or 0.0, clear=rule.clear, unit=rule.unit.name, kept_s=kept_s
    )
    return Transition(change=Change.RESOLVED, side=firing, reason=cleared)


def _last_seen(started: tuple[datetime | None, datetime | None], at: datetime) -> tuple[datetime, datetime]:
    """Return when a condition started and when it was last seen; it restarts after a gap between prices.

    A price that is not newer than the last one adds no time.
    """
    since, seen = started
    if since is None or seen is None or at - seen > MAX_PRICE_GAP:
        return at, at
    return since, max(seen, at)


def _reset(state: RuleState) -> RuleState:
    """Return the state with hold and keep times reset."""
    return replace(_without_breach(state), clear_at=None, clear_seen_at=None)


def _without_breach(state: RuleState) -> RuleState:
    return replace(state, breach=None, breach_at=None, breach_seen_at=None)


def _without_future(state: RuleState, now: datetime) -> RuleState:
    """Return the state without times ahead of `now`; hold and keep times that have such a time restart."""
    seen = [at for at in (state.breach_seen_at, state.clear_seen_at) if at is not None]
    missing = [at for at in (state.nodata_since, state.error_since) if at is not None]
    if max([*seen, *missing], default=now) <= now:
        return state
    if max(seen, default=now) > now:
        state = _reset(state)
    return replace(
        state,
        nodata_since=state.nodata_since and min(state.nodata_since, now),
        error_since=state.error_since and min(state.error_since, now),
    )


def is_cleared(value: float, rule: Rule, side: Side) -> bool:
    """Return whether a value is inside the clear level of a rule that fires on `side`."""
    return bool(levels_of(rule, side.sign).is_cleared(value))


def round_as_shown(value: float, unit: Unit) -> float:
    """Return a value rounded to the decimals that people see; a value that rounds to zero has no sign."""
    return round(value, unit.decimals + 2) + 0.0

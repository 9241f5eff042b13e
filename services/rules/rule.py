"""Rules: a threshold on one metric of one pair, the levels where it fires and clears, and its text form."""

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from math import inf, isfinite
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.core.prices import WGMI_BTC, Pair
from services.market.measure import Window
from services.market.metrics import METRICS, SPREAD, Direction, Metric, Unit

Values: TypeAlias = "float | NDArray[np.float64]"
Flags: TypeAlias = "bool | NDArray[np.bool_]"
DEFAULT_HOLD = timedelta(minutes=5)
DEFAULT_CLEAR_RATIO = Decimal("0.6")
DEFAULT_RULES = ("1d 8pp", "5d 15pp", "20d 30pp")
EXAMPLE = "1d 8pp"
MAX_HOLD = timedelta(hours=6)  # a full session; also the longest keep time
REPEAT_RANGE = timedelta(minutes=15), timedelta(hours=24)  # minimum and maximum
TIE_SCALE = 1e6  # of a fraction; a z has the same decimals
SECONDS_PER_UNIT = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A threshold on one metric.

    Attributes:
        window: None for a metric without a window.
        threshold: Positive: a fraction for pp and %, standard deviations for z and sigma, the level itself for a level.
        clear: Positive, in the same unit: at most `threshold`, but for a level beyond it on the side of recovery.
        hold: How long a breach must last before the rule fires.
        keep: How long the value must stay inside the clear level before the rule resolves.
        repeat: How often a firing rule is reported again; None for never.
        at_close: Evaluated once a session at its close, without hold and keep.
    """

    window: Window | None
    metric: Metric = SPREAD
    threshold: float
    direction: Direction = Direction.EITHER
    clear: float
    hold: timedelta = DEFAULT_HOLD
    keep: timedelta = timedelta(0)
    repeat: timedelta | None = None
    at_close: bool = False
    pair: Pair = WGMI_BTC

    @property
    def unit(self) -> Unit:
        """The unit of the rule's values."""
        return self.metric.unit

    def __str__(self) -> str:
        return print_rule(self)


def print_rule(rule: Rule) -> str:
    """Format a rule in its shortest form; `parse_rule` returns an equal rule."""
    words = [rule.window.value] if rule.window else []
    if rule.metric.named:
        words.append(rule.metric.name)
    words.append(print_value(rule.threshold, rule.unit))
    if rule.direction is not Direction.EITHER:
        words.append(rule.direction.value)
    if rule.clear != default_clear(rule):
        words += ["clear", print_value(rule.clear, rule.unit)]
    if not rule.at_close and rule.hold != DEFAULT_HOLD:
        words += ["for", print_duration(rule.hold)]
    if rule.keep:
        words += ["keep", print_duration(rule.keep)]
    if rule.repeat:
        words += ["repeat", print_duration(rule.repeat)]
    if rule.at_close and not rule.metric.closes_only:
        words += ["at", "close"]
    if rule.pair != WGMI_BTC:
        words += ["on", str(rule.pair)]
    return " ".join(words)


def print_value(value: float, unit: Unit) -> str:
    """Format a threshold in its unit, exactly: 0.081 in pp is `8.1pp`, 3.5 in z is `z3.5`."""
    return unit.affix(f"{Decimal(repr(value)).scaleb(unit.decimals).normalize():f}")


def successor_of(rule: Rule) -> Rule | None:
    """Return the rule that comes closest to one that is not offered any more; None if the rule is offered."""
    retired = rule.metric.retired
    if retired is None or rule.window not in retired.windows:
        return None
    metric = METRICS[retired.successor]
    steps = max(1, round(retired.threshold(rule.window, rule.threshold) / metric.unit.step))
    return with_threshold(replace(rule, metric=metric), metric.unit.threshold_at(min(steps, metric.unit.max_steps)))


def print_duration(duration: timedelta) -> str:
    """Format a duration in the largest unit that divides it: 90 s is `90s`, 600 s is `10m`."""
    seconds = int(duration.total_seconds())
    for unit in ("h", "m"):
        if seconds and seconds % SECONDS_PER_UNIT[unit] == 0:
            return f"{seconds // SECONDS_PER_UNIT[unit]}{unit}"
    return f"{seconds}s"


def default_clear(rule: Rule) -> float:
    """Return 60% of a rule's threshold, in decimal, so that 8 pp clears at exactly 4.8 pp.

    A level clears at its unit's margin behind the threshold: 0.4 below clears at 0.5.
    """
    threshold = Decimal(repr(rule.threshold))
    if rule.unit.margin is None:
        return float(threshold * DEFAULT_CLEAR_RATIO)
    margin = Decimal(repr(rule.unit.margin))
    return float(threshold - margin if rule.direction is Direction.ABOVE else threshold + margin)


def with_default_clear(rule: Rule) -> Rule:
    """Return the rule with the clear level of one that does not say."""
    return replace(rule, clear=default_clear(rule))


def with_threshold(rule: Rule, threshold: float) -> Rule:
    """Return the rule with another threshold, and the clear level of one that does not say."""
    return with_default_clear(replace(rule, threshold=threshold))


def rounded(value: Values) -> Values:
    """Return a value as levels are compared with it: to 6 decimals, far below what anyone sees.

    A tie is a tie in spite of binary fractions: 23/20 - 1 is 15 pp, although the float is 0.1499999999999999.
    """
    if isinstance(value, np.ndarray):
        return np.rint(value * TIE_SCALE) / TIE_SCALE
    return round(value * TIE_SCALE) / TIE_SCALE if isfinite(value) else value


class Levels(NamedTuple):
    """The values at which a rule changes, rounded; arrays have one element per rule. NaN is past none of them.

    Attributes:
        fires_above: At or above this value the rule fires above; infinite if it doesn't watch that side, or fires
            there.
        fires_below: At or below this value the rule fires below.
        clears_above: Strictly between this value and `clears_below` the rule clears; empty if it isn't firing.
    """

    fires_above: Values
    fires_below: Values
    clears_above: Values
    clears_below: Values

    def is_above(self, value: Values) -> Flags:
        """Return whether a value is past the threshold above."""
        return rounded(value) >= self.fires_above

    def is_below(self, value: Values) -> Flags:
        """Return whether a value is past the threshold below."""
        return rounded(value) <= self.fires_below

    def is_cleared(self, value: Values) -> Flags:
        """Return whether a value is inside the clear level."""
        value = rounded(value)
        return (value > self.clears_above) & (value < self.clears_below)


def levels_of(rule: Rule, firing: int = 0) -> Levels:
    """Return the levels of a rule that fires above (1), below (-1), or not at all (0).

    A firing rule clears by the signed value on its side, so an `either` rule also clears on the other side of zero. A
    level is not mirrored at zero: both of its values are on one side of it.
    """
    above = rule.direction is not Direction.BELOW and firing <= 0
    below = rule.direction is not Direction.ABOVE and firing >= 0
    threshold, clear = rounded(rule.threshold), rounded(rule.clear)
    if rule.unit.is_level:
        low, high = (-inf, clear) if firing > 0 else (clear, inf) if firing < 0 else (inf, -inf)
        return Levels(threshold if above else inf, threshold if below else -inf, low, high)
    low, high = (-inf, clear) if firing > 0 else (-clear, inf) if firing < 0 else (inf, -inf)
    return Levels(threshold if above else inf, -threshold if below else -inf, low, high)

"""The threshold rule: at which values a rule fires and clears. The same comparisons serve one value and arrays."""

from math import inf
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.rules.rule import Direction, Rule

Values: TypeAlias = "float | NDArray[np.float64]"
Flags: TypeAlias = "bool | NDArray[np.bool_]"


class Levels(NamedTuple):
    """The values at which a rule changes; arrays have one element per rule. NaN is past none of them.

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
        return value >= self.fires_above

    def is_below(self, value: Values) -> Flags:
        """Return whether a value is past the threshold below."""
        return value <= self.fires_below

    def is_cleared(self, value: Values) -> Flags:
        """Return whether a value is inside the clear level."""
        return (value > self.clears_above) & (value < self.clears_below)


def levels_of(rule: Rule, firing: int = 0) -> Levels:
    """Return the levels of a rule that fires above (1), below (-1), or not at all (0).

    An `either` rule clears by its distance from zero, a one-sided rule by the signed value on its side.
    """
    above = rule.direction is not Direction.BELOW and firing <= 0
    below = rule.direction is not Direction.ABOVE and firing >= 0
    low, high = (-rule.clear, rule.clear) if firing else (inf, -inf)
    if firing and rule.direction is not Direction.EITHER:
        low, high = (-inf, high) if firing > 0 else (low, inf)
    return Levels(rule.threshold if above else inf, -rule.threshold if below else -inf, low, high)

"""Counting: how often a rule fires over a whole series at once, and what rate a count speaks for."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from services.domain.rule import Direction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from services.domain.rule import Rule

CERTAINTY = 0.90


def count(values: NDArray[np.float64], rule: Rule) -> int:
    """Count a rule's episodes over a series of its metric without gaps: as often as a replay fires, all at once."""
    return len(firings(values, rule))


def firings(values: NDArray[np.float64], rule: Rule) -> NDArray[np.intp]:
    """Find the elements at which a rule fires."""
    side = sides(values, rule)
    return np.flatnonzero((side != 0) & (side != np.append(0, side[:-1])))


def sides(values: NDArray[np.float64], rule: Rule) -> NDArray[np.intp]:
    """Tell at each element on which side a rule is firing: 1 above, -1 below, 0 on neither.

    The last threshold or clear level that was passed decides it.
    """
    above, below, cleared = values >= rule.threshold, values <= -rule.threshold, np.abs(values) < rule.clear
    if rule.direction is Direction.ABOVE:
        below, cleared = np.zeros_like(below), values < rule.clear
    if rule.direction is Direction.BELOW:
        above, cleared = np.zeros_like(above), values > -rule.clear
    last = np.maximum.accumulate(np.where(above | below | cleared, np.arange(len(values)), -1))
    side = np.where(above, 1, np.where(below, -1, 0))
    return np.where(last >= 0, side[last], 0)


def interval(events: int, years: float) -> tuple[float, float]:
    """Give the rate a year that so many independent events speak for, nine times out of ten.

    Byar's approximation to the exact Poisson limits.
    Source: Breslow and Day, Statistical Methods in Cancer Research II, 1987, section 2.3.
    """
    z = NormalDist().inv_cdf((1 + CERTAINTY) / 2)
    low = events * (1 - 1 / (9 * events) - z / (3 * math.sqrt(events))) ** 3 if events else 0.0
    more = events + 1
    high = more * (1 - 1 / (9 * more) + z / (3 * math.sqrt(more))) ** 3
    return low / years, high / years

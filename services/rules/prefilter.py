"""Screen: find, among very many rules, the few that one round of observations may change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.rules.decide import RuleState, Side
from services.rules.rule import Direction, Rule


@dataclass(frozen=True, slots=True, eq=False)
class RulePrefilter:
    """Columns over rules, one element each.

    `column` is the index of the observation that a rule looks at. At or above `fires_above`, or at or below
    `fires_below`, it may fire; strictly between `clears_above` and `clears_below` it may resolve. `busy` rules have
    something to hold, to keep or to forget; `dark` rules had no usable value last time, and of the pair of those with
    an `error` nothing was known at all.
    """

    column: NDArray[np.intp]
    fires_above: NDArray[np.float64]
    fires_below: NDArray[np.float64]
    clears_above: NDArray[np.float64]
    clears_below: NDArray[np.float64]
    busy: NDArray[np.bool_]
    dark: NDArray[np.bool_]
    error: NDArray[np.bool_]

    @classmethod
    def of(cls, rules: Sequence[Rule], states: Sequence[RuleState], columns: Sequence[int]) -> RulePrefilter:
        """Lay out rules and their states; `columns` tells which observation each rule looks at."""
        fires = np.array([_fires(rule, state) for rule, state in zip(rules, states, strict=True)]).reshape(-1, 2)
        clears = np.array([_clears(rule, state) for rule, state in zip(rules, states, strict=True)]).reshape(-1, 2)
        return cls(
            column=np.array(columns, dtype=np.intp),
            fires_above=fires[:, 0],
            fires_below=fires[:, 1],
            clears_above=clears[:, 0],
            clears_below=clears[:, 1],
            busy=np.array([_is_busy(state) for state in states], dtype=bool),
            dark=np.array([state.dark_at is not None for state in states], dtype=bool),
            error=np.array([state.error_at is not None for state in states], dtype=bool),
        )

    def put(self, row: int, rule: Rule, state: RuleState) -> None:
        """Take over a rule's new state in place."""
        self.fires_above[row], self.fires_below[row] = _fires(rule, state)
        self.clears_above[row], self.clears_below[row] = _clears(rule, state)
        self.busy[row], self.dark[row] = _is_busy(state), state.dark_at is not None
        self.error[row] = state.error_at is not None

    def may_change(self, values: NDArray[np.float64], *, unknown: bool = False) -> NDArray[np.intp]:
        """Give the indices of the rules whose state `decide` may change; `values` has NaN where nothing is usable.

        `unknown` tells that nothing at all is known of their pair. Every rule that is not among them stays exactly as
        it is.
        """
        seen = values[self.column]
        lost = np.isnan(seen)
        moved = (seen >= self.fires_above) | (seen <= self.fires_below)
        cleared = (seen > self.clears_above) & (seen < self.clears_below)
        news = ~self.dark | (~self.error if unknown else self.error)
        seeing = moved | cleared | self.busy | self.dark | self.error
        return np.flatnonzero(np.where(lost, self.busy | news, seeing))


def _is_busy(state: RuleState) -> bool:
    return state.breach is not None or state.clear_at is not None


def _fires(rule: Rule, state: RuleState) -> tuple[float, float]:
    """Give the two values from which a rule fires; infinite on a side that it does not watch, or fires on already."""
    above = rule.direction is not Direction.BELOW and state.firing is not Side.ABOVE
    below = rule.direction is not Direction.ABOVE and state.firing is not Side.BELOW
    return (rule.threshold if above else np.inf, -rule.threshold if below else -np.inf)


def _clears(rule: Rule, state: RuleState) -> tuple[float, float]:
    """Give the open interval inside which a firing rule resolves; empty for one that is not firing."""
    if state.firing is None:
        return (np.inf, -np.inf)
    if rule.direction is Direction.EITHER:
        return (-rule.clear, rule.clear)
    return (-np.inf, rule.clear) if state.firing is Side.ABOVE else (-rule.clear, np.inf)

"""Vectorized prefilter: find the few rules, among very many, that a set of observations may change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.rules.decide import RuleState, Side
from services.rules.rule import Direction, Rule


@dataclass(frozen=True, slots=True, eq=False)
class RulePrefilter:
    """Columns with one element per rule.

    Attributes:
        column: Index of the observation that the rule uses.
        fires_above: At or above this value the rule may fire.
        fires_below: At or below this value the rule may fire.
        clears_above: Strictly between this value and `clears_below` the rule may resolve.
        pending: The rule has a hold or keep time running.
        nodata: The last observation had no usable value.
        error: No source had any data on the pair.
    """

    column: NDArray[np.intp]
    fires_above: NDArray[np.float64]
    fires_below: NDArray[np.float64]
    clears_above: NDArray[np.float64]
    clears_below: NDArray[np.float64]
    pending: NDArray[np.bool_]
    nodata: NDArray[np.bool_]
    error: NDArray[np.bool_]

    @classmethod
    def from_rules(cls, rules: Sequence[Rule], states: Sequence[RuleState], columns: Sequence[int]) -> RulePrefilter:
        """Build the columns from rules and their states; `columns` is the index of each rule's observation."""
        fires = np.array([_fires(rule, state) for rule, state in zip(rules, states, strict=True)]).reshape(-1, 2)
        clears = np.array([_clears(rule, state) for rule, state in zip(rules, states, strict=True)]).reshape(-1, 2)
        return cls(
            column=np.array(columns, dtype=np.intp),
            fires_above=fires[:, 0],
            fires_below=fires[:, 1],
            clears_above=clears[:, 0],
            clears_below=clears[:, 1],
            pending=np.array([_is_pending(state) for state in states], dtype=bool),
            nodata=np.array([state.nodata_since is not None for state in states], dtype=bool),
            error=np.array([state.error_since is not None for state in states], dtype=bool),
        )

    def update(self, row: int, rule: Rule, state: RuleState) -> None:
        """Replace a rule's state in place."""
        self.fires_above[row], self.fires_below[row] = _fires(rule, state)
        self.clears_above[row], self.clears_below[row] = _clears(rule, state)
        self.pending[row], self.nodata[row] = _is_pending(state), state.nodata_since is not None
        self.error[row] = state.error_since is not None

    def may_change(self, values: NDArray[np.float64], *, pair_unavailable: bool = False) -> NDArray[np.intp]:
        """Return the indices of the rules whose state `decide` may change; all others stay exactly as they are.

        `values` has NaN where no value is usable. `pair_unavailable` means that no source has any data on their pair.
        """
        observed = values[self.column]
        missing = np.isnan(observed)
        moved = (observed >= self.fires_above) | (observed <= self.fires_below)
        cleared = (observed > self.clears_above) & (observed < self.clears_below)
        status_changes = ~self.nodata | (~self.error if pair_unavailable else self.error)
        may_change = moved | cleared | self.pending | self.nodata | self.error
        return np.flatnonzero(np.where(missing, self.pending | status_changes, may_change))


def _is_pending(state: RuleState) -> bool:
    return state.breach is not None or state.clear_at is not None


def _fires(rule: Rule, state: RuleState) -> tuple[float, float]:
    """Return the two values from which a rule fires; infinite on a side that is not watched or already firing."""
    above = rule.direction is not Direction.BELOW and state.firing is not Side.ABOVE
    below = rule.direction is not Direction.ABOVE and state.firing is not Side.BELOW
    return (rule.threshold if above else np.inf, -rule.threshold if below else -np.inf)


def _clears(rule: Rule, state: RuleState) -> tuple[float, float]:
    """Return the open interval in which a firing rule resolves; empty for one that is not firing."""
    if state.firing is None:
        return (np.inf, -np.inf)
    if rule.direction is Direction.EITHER:
        return (-rule.clear, rule.clear)
    return (-np.inf, rule.clear) if state.firing is Side.ABOVE else (-rule.clear, np.inf)

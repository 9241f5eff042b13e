"""Vectorized prefilter: find the few rules, among very many, that a set of observations may change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import cast

import numpy as np
from numpy.typing import NDArray

from services.rules.decide import RuleState
from services.rules.rule import Levels, Rule, levels_of


@dataclass(frozen=True, slots=True, eq=False)
class RulePrefilter:
    """Columns with one element per rule.

    Attributes:
        column: Index of the observation that the rule uses.
        levels: The values from which the rule may fire or resolve.
        pending: The rule has a hold or keep time running.
        nodata: The last observation had no usable value.
        error: No source had any data on the pair.
        missing_since: Time of `nodata` or `error` in seconds since 1970, the later one; -inf without both.
    """

    column: NDArray[np.intp]
    levels: Levels
    pending: NDArray[np.bool_]
    nodata: NDArray[np.bool_]
    error: NDArray[np.bool_]
    missing_since: NDArray[np.float64]

    @classmethod
    def from_rules(cls, rules: Sequence[Rule], states: Sequence[RuleState], columns: Sequence[int]) -> RulePrefilter:
        """Build the columns from rules and their states; `columns` is the index of each rule's observation."""
        levels = chain.from_iterable(_levels(rule, state) for rule, state in zip(rules, states, strict=True))
        table = np.fromiter(levels, dtype=np.float64).reshape(-1, len(Levels._fields))
        return cls(
            column=np.array(columns, dtype=np.intp),
            levels=Levels(*table.T.copy()),
            pending=np.array([_is_pending(state) for state in states], dtype=bool),
            nodata=np.array([state.nodata_since is not None for state in states], dtype=bool),
            error=np.array([state.error_since is not None for state in states], dtype=bool),
            missing_since=np.array([_missing_since(state) for state in states], dtype=np.float64),
        )

    def update(self, row: int, rule: Rule, state: RuleState) -> None:
        """Replace a rule's state in place."""
        for column, level in zip(self.levels, _levels(rule, state), strict=True):
            cast("NDArray[np.float64]", column)[row] = level
        self.pending[row], self.nodata[row] = _is_pending(state), state.nodata_since is not None
        self.error[row], self.missing_since[row] = state.error_since is not None, _missing_since(state)

    def may_change(
        self, values: NDArray[np.float64], now: datetime, *, pair_unavailable: bool = False
    ) -> NDArray[np.intp]:
        """Return the indices of the rules whose state `decide` may change; all others stay exactly as they are.

        `values` has NaN where no value is usable. `pair_unavailable` means that no source has any data on their pair.
        """
        observed = values[self.column]
        missing = np.isnan(observed)
        moved = self.levels.is_above(observed) | self.levels.is_below(observed)
        cleared = self.levels.is_cleared(observed)
        status_changes = ~self.nodata | (~self.error if pair_unavailable else self.error)
        status_changes |= self.missing_since > now.timestamp()  # dated by a clock that was ahead
        may_change = moved | cleared | self.pending | self.nodata | self.error
        return np.flatnonzero(np.where(missing, self.pending | status_changes, may_change))


def _is_pending(state: RuleState) -> bool:
    return state.breach is not None or state.clear_at is not None


def _missing_since(state: RuleState) -> float:
    since = [at.timestamp() for at in (state.nodata_since, state.error_since) if at is not None]
    return max(since, default=-math.inf)


def _levels(rule: Rule, state: RuleState) -> Levels:
    return levels_of(rule, state.firing.sign if state.firing else 0)

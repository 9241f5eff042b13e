"""What followed alerts: whether the gap was closed 5 sessions later, and how often it is by chance alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from services.core.intervals import Interval, wilson_interval
from services.core.volatility import ewma_volatility
from services.market.align import Aligned
from services.market.measure import daily_relative_returns, relative_logs
from services.rules.decide import Side, is_cleared
from services.rules.rule import Rule

FOLLOW_UP_SESSIONS = 5
MIN_CASES = 10  # fewer have no interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one alert's gap, measured from the first close of its window.

    Attributes:
        closed: The gap was inside the clear level 5 sessions later.
        chance: The probability of that if relative returns are as in the rest of the history; None if unknown.
        non_overlapping: The window does not begin before the 5 sessions of the previous such alert have passed.
    """

    closed: bool
    chance: float | None
    non_overlapping: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """How many gaps were closed 5 sessions later.

    Attributes:
        alerts, alerts_closed: Alerts with 5 sessions after them, and how many gaps closed.
        cases, closed: The same for alerts that do not overlap; only these are independent cases.
        chance: The mean probability of a case to close by chance alone; None if unknown.
    """

    alerts: int
    alerts_closed: int
    cases: int
    closed: int
    chance: float | None

    @property
    def interval(self) -> Interval | None:
        """The 90% interval of the share of cases that close; None with fewer than 10 cases."""
        return wilson_interval(self.closed, self.cases) if self.cases >= MIN_CASES else None

    @property
    def is_like_chance(self) -> bool:
        """Whether chance alone explains the share: it lies inside the interval."""
        return self.interval is not None and self.chance is not None and self.chance in self.interval


def summarize_outcomes(outcomes: Sequence[Outcome]) -> FollowUp | None:
    """Count the outcomes of a rule's alerts; None without any."""
    if not outcomes:
        return None
    cases = [outcome for outcome in outcomes if outcome.non_overlapping]
    chances = [case.chance for case in cases if case.chance is not None]
    return FollowUp(
        alerts=len(outcomes),
        alerts_closed=sum(outcome.closed for outcome in outcomes),
        cases=len(cases),
        closed=sum(case.closed for case in cases),
        chance=sum(chances) / len(chances) if chances else None,
    )


class GapFollower:
    """Follows the gaps of one rule's alerts, from the oldest on."""

    def __init__(self, aligned: Aligned, rule: Rule) -> None:
        self.aligned, self.rule = aligned, rule
        weights = rule.metric.crypto_weight
        self.weights = weights(aligned) if weights and rule.metric.is_divergence else None
        self.volatility = ewma_volatility(daily_relative_returns(aligned))
        self.moves = _scaled_moves(aligned, self.volatility)
        self.busy_until = -1

    def follow(self, row: int, anchor: int, side: Side) -> Outcome | None:
        """Return what became of an alert that fired at `row`; None if that is unknown.

        Bitcoin's return from `anchor`, the first row of the window, counts with the metric's weight there.
        """
        later = row + FOLLOW_UP_SESSIONS
        if self.weights is None or later >= len(self.aligned) or not self.aligned.complete[later]:
            return None
        weight = float(self.weights[anchor])
        etf, crypto = self._returns(later, anchor)
        non_overlapping = anchor >= self.busy_until
        if non_overlapping:
            self.busy_until = later
        return Outcome(
            closed=is_cleared(etf - weight * crypto, self.rule, side),
            chance=self._chance(row, anchor, side, weight),
            non_overlapping=non_overlapping,
        )

    def _returns(self, row: int, anchor: int) -> tuple[float, float]:
        etf, crypto = self.aligned.etf, self.aligned.crypto
        return float(etf[row] / etf[anchor] - 1), float(crypto[row] / crypto[anchor] - 1)

    def _chance(self, row: int, anchor: int, side: Side, weight: float) -> float | None:
        """Return the share of 5-session moves, scaled to the alert's volatility, that bring the gap to its clear level.

        With bitcoin where it is, the ETF closes the gap at a return of clear level plus bitcoin's weighted return; at
        a high beta that can be a price below zero, which has no chance.
        """
        etf, crypto = self._returns(row, anchor)
        at_clear = 1 + side.sign * self.rule.clear + weight * crypto
        volatility = self.volatility[row]
        if not np.isfinite(volatility) or not len(self.moves):
            return None
        if at_clear <= 0:
            return 0.0
        need = side.sign * log((1 + etf) / at_clear)
        return float(np.mean(-side.sign * self.moves * volatility > need))


def _scaled_moves(aligned: Aligned, volatility: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return every relative log move over 5 sessions, divided by the volatility at its start."""
    logs = relative_logs(aligned)
    with np.errstate(divide="ignore", invalid="ignore"):  # prices that never moved have no volatility
        moves = (logs[FOLLOW_UP_SESSIONS:] - logs[:-FOLLOW_UP_SESSIONS]) / volatility[:-FOLLOW_UP_SESSIONS]
    return moves[np.isfinite(moves)]

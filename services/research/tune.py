"""Tune: from a wanted rate of alerts back to the threshold that gives it, checked on prices that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from services.core.errors import ReplayError
from services.core.prices import Pair
from services.core.statistics import UNUSUAL_SESSIONS
from services.market.align import Aligned
from services.market.measure import METRICS, Metric, Unit, Window
from services.research.rate_target import RateTarget
from services.rules.replay import check_network
from services.rules.rule import Direction, Rule, default_clear

STEP = {Unit.PP: 0.001, Unit.PERCENT: 0.01, Unit.SIGMA: 0.1}  # between two thresholds: 0.1 pp, 1%, z 0.1
LARGEST = {Unit.PP: 10_000, Unit.PERCENT: 100, Unit.SIGMA: 1_000}  # in steps, as far as a rule can be written
NEAR = 10  # steps around the bisected one: the count falls with the threshold, but not at every step


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The same search on the first half of history alone, and how its `rule` then did in the second, from `since` on.

    The true rate lies between `low` and `high` alerts a year nine times out of ten, were alerts independent.
    """

    rule: Rule
    since: date
    episodes: int
    per_year: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """The days on which the new rule alone would have fired, and on which the old one `against` it alone did."""

    against: Rule
    gained: tuple[date, ...]
    lost: tuple[date, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedRule:
    """The rule that comes nearest to a wish; `check` is None where half of history has no alert to go by."""

    wish: RateTarget
    rule: Rule
    episodes: int
    per_year: float
    years: float
    check: Check | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LooserRule:
    """A rule that would have fired half as often, and how often a year the present one did, `before`."""

    tuned: TunedRule
    before: float


def tune(aligned: Aligned, wish: RateTarget) -> TunedRule:
    """Find the threshold, with its usual clear level, at which alerts come as often as is wished, decided at closes.

    1. Bisect the thresholds for the smallest one that fires no more often, on the whole series at once.
    2. Of it and its neighbours take the one that comes nearest.
    3. Do the same on the first half of history, and count on the second what that would have done.

    The hold time is left as it is: closes cannot tell what happened within a day. Raises ReplayError where the history
    is too short for a single alert at that rate, or no threshold fires as often.
    """
    values, known = _series(aligned, wish.rule)
    found = _nearest(values, wish)
    episodes = count(values, found)
    if episodes < wish.per_year * _years(values) / 2:
        most = _a_year(episodes, values)
        raise ReplayError(f"No threshold fires {wish.per_year:g} times a year; the nearest, {found}, fires {most:.1f}.")
    return TunedRule(
        wish=wish,
        rule=found,
        episodes=episodes,
        per_year=_a_year(episodes, values),
        years=_years(values),
        check=_check(values, aligned.sessions[known], wish),
    )


def half_as_often(aligned: Aligned, rule: Rule) -> LooserRule | None:
    """Find the threshold at which a rule would have fired half as often; None where there is none such in a year.

    Raises ReplayError.
    """
    values, _ = _series(aligned, rule)
    per_year = _a_year(count(values, rule), values) if len(values) else 0.0
    half = round(per_year / 2)
    if half < 1:
        return None
    found = tune(aligned, RateTarget(rule=rule, per_year=half))
    return LooserRule(tuned=found, before=per_year) if found.rule.threshold > rule.threshold else None


def shift(aligned: Aligned, old: Rule, new: Rule) -> Shift:
    """Tell which alerts a new rule would have added to those of an old one on the same metric, and which it had not.

    One that both would have had counts in neither, though they may have begun it some sessions apart.
    """
    values, known = _series(aligned, new)
    ours, theirs = sides(values, new), sides(values, old)
    days = aligned.sessions[known]
    return Shift(
        against=old,
        gained=tuple(days[_alone(ours, theirs)].tolist()),
        lost=tuple(days[_alone(theirs, ours)].tolist()),
    )


def calibrated(aligned: Aligned, wish: RateTarget, against: Sequence[Rule]) -> tuple[TunedRule, tuple[Shift, ...]]:
    """Tune, and tell what the rule would change against those others that watch the same. Raises ReplayError."""
    found = tune(aligned, wish)
    alike = [rule for rule in against if _look(rule) == _look(found.rule)]
    return found, tuple(shift(aligned, rule, found.rule) for rule in alike)


def _look(rule: Rule) -> tuple[Pair, Metric, Window | None]:
    return rule.pair, rule.metric, rule.window


def _alone(ours: NDArray[np.intp], theirs: NDArray[np.intp]) -> list[int]:
    """Find where the episodes begin during which the other rule is never firing on the same side."""
    begun = np.flatnonzero((ours != 0) & (ours != np.append(0, ours[:-1])))
    number = np.cumsum(np.isin(np.arange(len(ours)), begun)) * (ours != 0)  # of the episode, from 1
    shared = np.unique(number[(ours == theirs) & (ours != 0)])
    alone: list[int] = begun[~np.isin(np.arange(1, len(begun) + 1), shared)].tolist()
    return alone


def _series(aligned: Aligned, rule: Rule) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Take a rule's metric at the sessions that have one, and their rows. Raises ReplayError for the gap."""
    series = METRICS[rule.metric].series
    if series is None:
        raise ReplayError(f"“{rule}” is measured only while the ETF is shut; a replay decides at session closes.")
    check_network(aligned, rule)
    values = series(aligned, rule.window or Window.D1)
    known = np.flatnonzero(np.isfinite(values))
    return values[known], known


def _check(values: NDArray[np.float64], days: NDArray[np.datetime64], wish: RateTarget) -> Check | None:
    """Search the first half, and count on the second; None where the first is too short for a single alert."""
    half = len(values) // 2
    first, second = values[:half], values[half:]
    if wish.per_year * _years(first) < 1:
        return None
    rule = _nearest(first, wish)
    episodes = count(second, rule)
    low, high = interval(episodes, _years(second))
    return Check(
        rule=rule,
        since=days[half].astype(object),
        episodes=episodes,
        per_year=_a_year(episodes, second),
        low=low,
        high=high,
    )


def _nearest(values: NDArray[np.float64], wish: RateTarget) -> Rule:
    """Bisect for the smallest threshold that fires no more often than is wished, and look around it."""
    wanted = wish.per_year * _years(values)
    if wanted < 1:
        raise ReplayError(f"{_years(values):.1f} years of history are too short for {wish.per_year:g} alerts a year.")
    too_low, enough = 0, LARGEST[wish.rule.unit]
    while enough - too_low > 1:
        middle = (too_low + enough) // 2
        if count(values, _at(wish.rule, middle)) <= wanted:
            enough = middle
        else:
            too_low = middle
    near = range(max(1, enough - NEAR), min(LARGEST[wish.rule.unit], enough + NEAR) + 1)
    return min(
        (_at(wish.rule, step) for step in near),
        key=lambda rule: (abs(count(values, rule) - wanted), abs(rule.threshold - enough * STEP[rule.unit])),
    )


def _at(rule: Rule, step: int) -> Rule:
    threshold = round(step * STEP[rule.unit], 3)
    return replace(rule, threshold=threshold, clear=default_clear(threshold))


def _years(values: NDArray[np.float64]) -> float:
    return len(values) / UNUSUAL_SESSIONS


def _a_year(episodes: int, values: NDArray[np.float64]) -> float:
    return episodes / _years(values)


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

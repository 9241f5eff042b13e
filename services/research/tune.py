"""Tune a rule: find the threshold for a target alert rate such as `5d 2/month`, and check it out of sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.errors import ReplayError, RuleError
from services.core.intervals import CountRange, Dispersion, count_range, dispersion_of
from services.core.prices import Pair
from services.core.scan import Scanner, Word, words
from services.core.statistics import LOOKBACK_SESSIONS
from services.core.text import any_of, counted
from services.market.align import Aligned
from services.market.measure import Window
from services.market.metrics import METRICS, SPREAD, Direction, Metric
from services.rules.grammar import parse_window
from services.rules.replay import check_network
from services.rules.rule import Flags, Rule, levels_of, with_threshold

SEARCH_RADIUS = 10  # steps around the bisected threshold: the count is not strictly monotonic in it
PER_YEAR = {"day": 252, "week": 52, "month": 12, "quarter": 4, "year": 1}
EXAMPLE = "5d 2/month"
LONGEST_RATE = 4  # words, as in `2 alerts per month`
MAX_RATE_LENGTH = len("9999.99")
_COUNTS = {"once": "1", "one": "1", "twice": "2", "two": "2", "three": "3"}
_SPANS = {
    "wk": "week",
    "mo": "month",
    "mth": "month",
    "qtr": "quarter",
    "yr": "year",
    "y": "year",
    "m": "month",
    "w": "week",
}
_WINDOWS = {member.value: member for member in Window}
_DIRECTIONS = {member.value: member for member in Direction}


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTarget:
    """A rule with an open threshold, and the wanted number of alerts a year."""

    rule: Rule
    per_year: float


def parse_target(text: str, template: Rule) -> RateTarget:
    """Parse `WINDOW [METRIC] [above|below|either] COUNT/SPAN`, such as `5d 2/month`. Raises RuleError.

    `template` gives the pair and everything that the text does not set.
    """
    rule, per_year, direction = replace(template, window=None, metric=SPREAD), None, None
    for typed, offset in _rate_words(text):
        word = "".join(typed.lower().split())
        rate = _parse_rate(word)
        if window := parse_window(typed):
            rule = replace(rule, window=window)
        elif (metric := METRICS.get(word)) is not None and metric.series:
            rule = replace(rule, metric=metric)
        elif word in _DIRECTIONS:
            direction = _DIRECTIONS[word]
        elif rate:
            per_year = rate
        else:
            expected = f"a window, a metric or a rate, as in “{EXAMPLE}”"
            raise RuleError(text, word=typed, offset=offset, expected=expected, role="rate")
    if per_year is None:
        raise _incomplete(text, f"a number of alerts, as in “{EXAMPLE}” or 10/year", "rate")
    rule = replace(rule, direction=direction or rule.metric.direction)
    return RateTarget(rule=_watchable(rule, text), per_year=per_year)


def _rate_words(text: str) -> Iterator[Word]:
    """Return the words of a target without commas and periods; a window or a rate of several words is one word."""
    parts = [Word(word.text.rstrip(",.;"), word.at) for word in words(text)]
    at = 0
    while at < len(parts):
        size = _size_of_phrase([part.text.lower() for part in parts[at : at + LONGEST_RATE]])
        last = parts[at + size - 1]
        yield Word(text[parts[at].at : last.at + len(last.text)], parts[at].at)
        at += size


def _size_of_phrase(found: list[str]) -> int:
    """Return how many of these words are one rate or window, as in `2 per month` and `5 days`."""
    for size in range(len(found), 1, -1):
        phrase = "".join(found[:size])
        if _parse_rate(phrase) or (size == len(("5", "days")) and found[0].isdigit() and parse_window(phrase)):
            return size
    return 1


def _watchable(rule: Rule, text: str) -> Rule:
    """Return the rule as its metric is watched. Raises RuleError if that is not possible."""
    metric = rule.metric
    if metric.unit.is_level and rule.direction is Direction.EITHER:
        raise _incomplete(text, f"“above” or “below”, because a {metric.name} rule has one side", "direction")
    if metric.windowed and rule.window is None:
        raise _incomplete(text, f"a window ({' '.join(_WINDOWS)}), as in “{EXAMPLE}”", "window")
    retired = metric.retired.windows if metric.retired else ()
    windows = [window for window in metric.windows if window not in retired]
    if metric.windowed and rule.window not in windows:
        problem = f"“{rule.window.value if rule.window else ''}” isn't a valid window for {metric.name}."
        raise _incomplete(text, any_of([window.value for window in windows]), "window", problem)
    rule = rule if metric.windowed else replace(rule, window=None)
    return replace(rule, at_close=True, hold=timedelta(0)) if metric.closes_only else rule


def _parse_rate(word: str) -> float | None:
    """Return the yearly rate of a word such as `2/month` or `0.5/week`; None if it is no rate above zero."""
    scanner = Scanner(word)
    number = scanner.number() or _COUNTS.get(scanner.skip(*_COUNTS), "")
    scanner.skip("x", "times", "alerts", "alert")
    per = scanner.skip("/", "per", "every", "each", "an", "a")
    span = _SPANS.get(scanner.rest, scanner.rest)
    if not per or span not in PER_YEAR or not 0 < len(number) <= MAX_RATE_LENGTH:
        return None
    return float(number) * PER_YEAR[span] or None


def print_target(target: RateTarget) -> str:
    """Return the shortest text of a target, with a yearly rate; `parse_target` round-trips it for the same pair."""
    rule = target.rule
    words = [rule.window.value] if rule.window else []
    words += [rule.metric.name] if rule.metric is not SPREAD else []
    words += [rule.direction.value] if rule.direction is not rule.metric.direction else []
    return " ".join([*words, f"{target.per_year:.6g}/year"])


def _incomplete(text: str, expected: str, role: str = "", problem: str = "") -> RuleError:
    offset = len(text.rstrip()) + 1 if text.strip() else 0
    return RuleError(text, word="", offset=offset, expected=expected, role=role, problem=problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfSampleCheck:
    """A rule tuned on the first half of history, and how often it fired in the second half, from `since` on.

    Attributes:
        years: Length of the second half.
        promised: The range of the count that the first half gives for that length; None if it has fewer than 4
            half-years.
    """

    rule: Rule
    since: date
    episodes: int
    years: float
    promised: CountRange | None

    @property
    def per_year(self) -> float:
        """Episodes a year in the second half."""
        return self.episodes / self.years


class YearCount(NamedTuple):
    """Episodes in one calendar year."""

    year: int
    episodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDiff:
    """Firing dates of a new rule alone (`added`) and of the old rule `against` alone (`removed`)."""

    against: Rule
    added: tuple[date, ...]
    removed: tuple[date, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedRule:
    """The rule closest to a target rate.

    Attributes:
        years: Measured sessions over 252.
        until: The last measured session.
        dispersion: How unevenly its alerts came.
        next_year: The 90% range of the count in the next 12 months; None with fewer than 4 half-years of history.
        calendar_years: Complete calendar years; empty if there is none.
        check: Out-of-sample check; None if half the history is too short for one alert.
        scaled: A rule with the same target on the move scaled by volatility; None if there is none.
    """

    target: RateTarget
    rule: Rule
    episodes: int
    per_year: float
    years: float
    until: date
    dispersion: Dispersion
    next_year: CountRange | None
    calendar_years: tuple[YearCount, ...]
    check: OutOfSampleCheck | None
    scaled: TunedRule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfRateRule:
    """A rule that would have fired half as often as the present one, and the present yearly rate."""

    tuned: TunedRule
    per_year_before: float


def tune(aligned: Aligned, target: RateTarget) -> TunedRule:
    """Find the threshold, with its default clear level, that gives the target alert rate at session closes.

    1. Bisect for the smallest threshold that fires no more often than the target, on the whole series.
    2. Of that threshold and its neighbours, choose the closest one.
    3. Repeat on the first half of history, and count the firings of that rule in the second half.

    The hold time does not change, because closes cannot show what happened within a session. Raises ReplayError if the
    history is too short for one alert at that rate, or if no threshold fires as often.
    """
    values, known = _series(aligned, target.rule)
    rule = _nearest(values, target)
    fired = firings(values, rule)
    episodes, dispersion = len(fired), dispersion_of(fired, len(values))
    if episodes < target.per_year * _years(values) / 2:
        nearest_rate = _per_year(episodes, values)
        raise ReplayError(
            f"No threshold fires {counted(target.per_year, 'time')} a year. The nearest, {rule}, fires "
            f"{nearest_rate:.1f} times."
        )
    return TunedRule(
        target=target,
        rule=rule,
        episodes=episodes,
        per_year=_per_year(episodes, values),
        years=_years(values),
        until=aligned.sessions[known[-1]].item(),
        dispersion=dispersion,
        next_year=count_range(episodes, _years(values), dispersion),
        calendar_years=_calendar_years(aligned.sessions[known], fired),
        check=_check_out_of_sample(values, aligned.sessions[known], target),
    )


def half_rate_rule(aligned: Aligned, rule: Rule) -> HalfRateRule | None:
    """Find the threshold at which a rule would have fired half as often; None if half its rate is below once a year.

    Also None if that threshold is not larger. Raises ReplayError.
    """
    values, _ = _series(aligned, rule)
    per_year = _per_year(count_firings(values, rule), values) if len(values) else 0.0
    half = round(per_year / 2)
    if half < 1:
        return None
    tuned = tune(aligned, RateTarget(rule=rule, per_year=half))
    return HalfRateRule(tuned=tuned, per_year_before=per_year) if _is_stricter(tuned.rule, rule) else None


def _is_stricter(new: Rule, old: Rule) -> bool:
    """Return whether a threshold is further out than another of the same metric and direction."""
    below = new.unit.is_level and new.direction is Direction.BELOW
    return new.threshold < old.threshold if below else new.threshold > old.threshold


def diff_rules(aligned: Aligned, old: Rule, new: Rule) -> RuleDiff:
    """Return the alerts that a new rule adds to those of an old rule on the same metric, and those that it removes.

    An alert of both rules counts in neither, even if they fire some sessions apart.
    """
    values, known = _series(aligned, new)
    new_sides, old_sides = sides(values, new), sides(values, old)
    days = aligned.sessions[known]
    return RuleDiff(
        against=old,
        added=tuple(days[_unmatched(new_sides, old_sides)].tolist()),
        removed=tuple(days[_unmatched(old_sides, new_sides)].tolist()),
    )


def tune_with_diffs(
    aligned: Aligned, target: RateTarget, against: Sequence[Rule]
) -> tuple[TunedRule, tuple[RuleDiff, ...]]:
    """Tune a rule, also scaled by volatility, and compare it with rules on the same pair, metric and window.

    Raises ReplayError.
    """
    tuned = replace(tune(aligned, target), scaled=_tune_scaled(aligned, target))
    same_metric = [rule for rule in against if _metric_key(rule) == _metric_key(tuned.rule)]
    return tuned, tuple(diff_rules(aligned, rule, tuned.rule) for rule in same_metric)


def _tune_scaled(aligned: Aligned, target: RateTarget) -> TunedRule | None:
    metric = METRICS.get(target.rule.metric.scaled)
    if metric is None:
        return None
    try:
        return tune(aligned, replace(target, rule=replace(target.rule, metric=metric)))
    except ReplayError:
        return None


def _metric_key(rule: Rule) -> tuple[Pair, Metric, Window | None]:
    return rule.pair, rule.metric, rule.window


def _unmatched(ours: NDArray[np.intp], theirs: NDArray[np.intp]) -> list[int]:
    """Return the first rows of the episodes during which the other rule never fires on the same side."""
    starts = _episode_starts(ours)
    number = np.cumsum(np.isin(np.arange(len(ours)), starts)) * (ours != 0)  # number of the episode, from 1
    shared = np.unique(number[(ours == theirs) & (ours != 0)])
    unmatched: list[int] = starts[~np.isin(np.arange(1, len(starts) + 1), shared)].tolist()
    return unmatched


def _series(aligned: Aligned, rule: Rule) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the known values of a rule's metric, and their rows. Raises ReplayError for a gap rule."""
    series = rule.metric.series
    if series is None:
        raise ReplayError(f"“{rule}” is measured only while the market is closed; a replay evaluates session closes.")
    check_network(aligned, rule)
    values = series(aligned, rule.window or Window.D1)
    known = np.flatnonzero(np.isfinite(values))
    return values[known], known


def _check_out_of_sample(
    values: NDArray[np.float64], days: NDArray[np.datetime64], target: RateTarget
) -> OutOfSampleCheck | None:
    """Tune on the first half and count on the second; None if the first half is too short for one alert."""
    half = len(values) // 2
    first, second = values[:half], values[half:]
    if target.per_year * _years(first) < 1:
        return None
    rule = _nearest(first, target)
    fired = firings(first, rule)
    return OutOfSampleCheck(
        rule=rule,
        since=days[half].astype(object),
        episodes=count_firings(second, rule),
        years=_years(second),
        promised=count_range(len(fired), _years(first), dispersion_of(fired, len(first)), ahead=_years(second)),
    )


def _calendar_years(days: NDArray[np.datetime64], fired: NDArray[np.intp]) -> tuple[YearCount, ...]:
    """Return the episodes in each calendar year between the first and the last measured one, which are not complete."""
    years = days.astype("datetime64[Y]").astype(int) + 1970  # numpy counts years from 1970
    return tuple(YearCount(year, int((years[fired] == year).sum())) for year in range(years[0] + 1, years[-1]))


def _nearest(values: NDArray[np.float64], target: RateTarget) -> Rule:
    """Bisect for the smallest threshold that fires no more often than the target, then search around it.

    Of a level, all thresholds are tried.
    """
    max_count = target.per_year * _years(values)
    if max_count < 1:
        wanted = counted(target.per_year, "alert")
        raise ReplayError(f"{_years(values):.1f} years of history is too short for {wanted} a year.")
    steps = target.rule.unit.max_steps
    low, high = 0, steps
    while high - low > 1:
        middle = (low + high) // 2
        if count_firings(values, _with_threshold(target.rule, middle)) <= max_count:
            high = middle
        else:
            low = middle
    near = range(max(1, high - SEARCH_RADIUS), min(steps, high + SEARCH_RADIUS) + 1)
    if target.rule.unit.is_level:  # it fires most often somewhere in the middle
        near = _reachable_steps(target.rule)
    return min(
        (_with_threshold(target.rule, step) for step in near),
        key=lambda rule: (
            abs(count_firings(values, rule) - max_count),
            abs(rule.threshold - rule.unit.threshold_at(high)) if not rule.unit.is_level else rule.threshold,
        ),
    )


def _reachable_steps(rule: Rule) -> range:
    """Return the steps of a level at which the clear level behind the threshold is above 0."""
    first = next(step for step in range(1, rule.unit.max_steps + 1) if _with_threshold(rule, step).clear > 0)
    return range(first, rule.unit.max_steps + 1)


def _with_threshold(rule: Rule, step: int) -> Rule:
    return with_threshold(rule, rule.unit.threshold_at(step))


def _years(values: NDArray[np.float64]) -> float:
    return len(values) / LOOKBACK_SESSIONS


def _per_year(episodes: int, values: NDArray[np.float64]) -> float:
    return episodes / _years(values)


def count_firings(values: NDArray[np.float64], rule: Rule) -> int:
    """Count a rule's episodes in a series of its metric without NaN; equals the count of a replay."""
    return len(firings(values, rule))


def firings(values: NDArray[np.float64], rule: Rule) -> NDArray[np.intp]:
    """Return the indices at which a rule fires."""
    return _episode_starts(sides(values, rule))


def _episode_starts(sides: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.flatnonzero((sides != 0) & (sides != np.append(0, sides[:-1])))


def sides(values: NDArray[np.float64], rule: Rule) -> NDArray[np.intp]:
    """Return the firing side at each element: 1 above, -1 below, 0 for neither.

    On each side, the last threshold or clear level that was crossed decides it.
    """
    levels = levels_of(rule)
    above = _is_latched(levels.is_above(values), levels_of(rule, 1).is_cleared(values))
    below = _is_latched(levels.is_below(values), levels_of(rule, -1).is_cleared(values))
    return above.astype(np.intp) - below.astype(np.intp)


def _is_latched(breached: Flags, cleared: Flags) -> NDArray[np.bool_]:
    """Return, for each element, whether the last breach is newer than the last clear value."""
    rows = np.arange(np.size(breached))
    return np.maximum.accumulate(np.where(breached, rows, -1)) > np.maximum.accumulate(np.where(cleared, rows, -1))

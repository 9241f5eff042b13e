"""A course: how both legs came to where an alert saw them, in few enough points to be kept with it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import (
    date,
    datetime,
)

import numpy as np
from numpy.typing import NDArray

from services.core.errors import NoHistoryError
from services.core.prices import Pair, moment
from services.market.align import Aligned
from services.market.measure import METRICS, Measurement, Metric, Window
from services.rules.decide import Change
from services.rules.replay import RuleReplay, Step
from services.rules.rule import Rule

USUAL, SESSIONS = Window.D20, 20  # what is drawn where the window is a single session


KEPT = 20  # points; more cannot be told apart on a phone


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChart:
    """Both legs over a window, up to what an alert saw, which is the last point; each point has both prices."""

    window: Window
    points: tuple[Point, ...]


def alert_chart(closes: Aligned, seen: Measurement) -> AlertChart | None:
    """Index both legs to where a measurement starts, or to 20 sessions before it where that is one session before.

    None where a leg has no price there any more.
    """
    rows = rows_of(closes, seen)
    window, first = (seen.window, rows.start) if len(rows) > 1 else (USUAL, rows.stop - SESSIONS)
    if first < 0 or not _has(closes, first) or not _starts(closes, rows, seen):
        return None
    points = points_of(closes, range(first, rows.stop))
    return AlertChart(window=window, points=_few([*points, _onto(points[rows.start - first], end_of(seen))]))


def _starts(closes: Aligned, rows: range, seen: Measurement) -> bool:
    """Tell whether the rows start at the session that the measurement does, and it still has both prices."""
    return bool(rows) and closes.sessions[rows.start] == np.datetime64(seen.anchor) and _has(closes, rows.start)


def _has(closes: Aligned, row: int) -> bool:
    return bool(closes.complete[row])


def _onto(anchor: Point, end: Point) -> Point:
    """Link a return since the anchor onto the anchor's own."""
    return Point(
        session=end.session,
        at=end.at,
        live=end.live,
        etf=anchor.etf + end.etf + anchor.etf * end.etf,
        crypto=anchor.crypto + end.crypto + anchor.crypto * end.crypto,
    )


def _few(points: Sequence[Point]) -> tuple[Point, ...]:
    """Choose the points to keep: evenly, both ends, and where the legs were furthest apart."""
    furthest = max((one for one in points if one.complete), key=lambda one: abs(one.etf - one.crypto))
    return tuple(sorted({*thinned(points, KEPT - 1), furthest}, key=lambda one: one.at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Both legs' returns (fractions) since the curve's start, at the close of `session`, or at `at` within it.

    A leg without a usable price there has NaN.
    """

    session: date
    at: datetime
    live: bool
    etf: float
    crypto: float

    @property
    def complete(self) -> bool:
        """Whether both legs have a price."""
        return math.isfinite(self.etf) and math.isfinite(self.crypto)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedReturns:
    """Both legs of a pair, a point for each session; at the first both returns are 0, and the last one is complete.

    `window` is None for a stretch between two sessions of somebody's choice. Each trace has a value for each point.
    """

    pair: Pair
    window: Window | None
    points: tuple[Point, ...]
    traces: tuple[RuleSeries, ...] = ()


def indexed_returns(closes: Aligned, measured: Measurement, traces: Sequence[RuleSeries] = ()) -> IndexedReturns:
    """Index both legs to the start of what was measured, and end with the measurement itself, live or a close."""
    rows = rows_of(closes, measured)
    points = (*points_of(closes, rows), end_of(measured))
    return IndexedReturns(pair=measured.pair, window=measured.window, points=points, traces=tuple(traces))


def rows_of(closes: Aligned, measured: Measurement) -> range:
    """Find the rows from the session that a measurement starts from up to its own, which is left out."""
    start, end = np.searchsorted(closes.sessions, np.array([measured.anchor, measured.session], dtype="datetime64[D]"))
    return range(int(start), int(end))


def stretch(closes: Aligned, rows: range, traces: Sequence[RuleSeries] = ()) -> IndexedReturns:
    """Index both legs to the first of some rows, those of `between`."""
    return IndexedReturns(pair=closes.pair, window=None, points=tuple(points_of(closes, rows)), traces=tuple(traces))


def between(closes: Aligned, first: date | None = None, last: date | None = None) -> range:
    """Find the rows from the first to the last one that has both prices, among those from one session to another.

    Raises NoHistoryError where there is none.
    """
    begin = 0 if first is None else np.searchsorted(closes.sessions, np.datetime64(first))
    end = len(closes) if last is None else np.searchsorted(closes.sessions, np.datetime64(last), side="right")
    known = int(begin) + np.flatnonzero(closes.complete[begin:end])
    if not len(known):
        raise NoHistoryError(f"{closes.pair} have no session in common from {first or 'the start'} to {last or 'now'}.")
    return range(int(known[0]), int(known[-1]) + 1)


def thinned(points: Sequence[Point], at_most: int) -> tuple[Point, ...]:
    """Choose points that have both prices, evenly, the first and the last among them."""
    known = [point for point in points if point.complete]
    places = np.linspace(0, len(known) - 2, min(at_most - 1, len(known) - 1)).round().astype(int)
    return (*(known[place] for place in places), known[-1])


def points_of(closes: Aligned, rows: range) -> list[Point]:
    """Give both legs at some rows, as returns since the first of them."""
    etf, crypto = (_since(prices, rows) for prices in (closes.etf, closes.crypto))
    return [
        Point(session=closes.sessions[row].astype(object), at=moment(closes.at[row]), live=False, etf=one, crypto=other)
        for row, one, other in zip(rows, etf, crypto, strict=True)
    ]


def _since(prices: NDArray[np.float64], rows: range) -> list[float]:
    shown = prices[rows.start : rows.stop]
    moved: list[float] = (shown / shown[:1] - 1).tolist()
    return moved


def end_of(measured: Measurement) -> Point:
    """Give what was measured as a point of the curve that begins where it does."""
    return Point(
        session=measured.session,
        at=measured.as_of,
        live=measured.live,
        etf=measured.etf_return,
        crypto=measured.crypto_return,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEvent:
    """A rule fired or resolved in a session."""

    session: date
    to: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSeries:
    """One metric over one window at each point of a curve, in the metric's own unit, NaN where it cannot be measured.

    `window` is None for a metric that has none. `rules` all watch this, and have their levels in the same unit.
    """

    metric: Metric
    window: Window | None
    values: tuple[float, ...]
    rules: tuple[Rule, ...] = ()
    marks: tuple[RuleEvent, ...] = ()


def rule_series(
    closes: Aligned,
    rows: range,
    watched: tuple[Metric, Window | None],
    *,
    end: Sequence[float] = (),
    rules: Sequence[Rule] = (),
    marks: Iterable[RuleEvent] = (),
) -> RuleSeries:
    """Measure at some rows, and add what was measured at the `end`, as live. The metric must exist at closes."""
    metric, window = watched
    series = METRICS[metric].series
    column = series(closes, window or Window.D1) if series else np.full(len(closes), np.nan)
    values = (*column[rows.start : rows.stop].tolist(), *end)
    return RuleSeries(metric=metric, window=window, values=values, rules=tuple(rules), marks=tuple(marks))


def replayed_series(closes: Aligned, rows: range, found: RuleReplay) -> RuleSeries:
    """Draw what a replayed rule watched at some rows, and mark where it fired and resolved."""
    return rule_series(closes, rows, watched_by(found.rule), rules=[found.rule], marks=events_of(found.steps))


def watched_by(rule: Rule) -> tuple[Metric, Window | None]:
    """Tell what a rule watches."""
    return rule.metric, rule.window


def events_of(steps: Iterable[Step]) -> list[RuleEvent]:
    """Mark where a replay fired and resolved."""
    return [RuleEvent(session=step.session, to=step.to) for step in steps]

"""Chart data: the legs' returns beside rules' metrics, with the events where the rules fired and resolved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from services.core.prices import Pair
from services.market.align import Aligned
from services.market.chart_points import Point, end_point, measured_rows, points_at
from services.market.measure import Measurement, Window
from services.market.metrics import Metric
from services.rules.decide import Change
from services.rules.replay import RuleReplay, Step
from services.rules.rule import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedReturns:
    """Both legs of a pair, one point per session; both returns are 0 at the first, and the last one is complete.

    Attributes:
        window: None for a range between two chosen sessions.
        series: Metrics with one value per point.
    """

    pair: Pair
    window: Window | None
    points: tuple[Point, ...]
    series: tuple[RuleSeries, ...] = ()


def indexed_returns(closes: Aligned, measurement: Measurement, series: Sequence[RuleSeries] = ()) -> IndexedReturns:
    """Index both legs to the start of a measurement; the last point is the measurement itself, live or a close."""
    rows = measured_rows(closes, measurement)
    points = (*points_at(closes, rows), end_point(measurement))
    return IndexedReturns(pair=measurement.pair, window=measurement.window, points=points, series=tuple(series))


def indexed_returns_over(closes: Aligned, rows: range, series: Sequence[RuleSeries] = ()) -> IndexedReturns:
    """Index both legs to the first of some rows, as returned by `common_rows`."""
    return IndexedReturns(pair=closes.pair, window=None, points=tuple(points_at(closes, rows)), series=tuple(series))


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEvent:
    """A rule fired or resolved in a session."""

    session: date
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSeries:
    """One metric at each point of a chart, in the metric's own unit; NaN where it cannot be measured.

    Attributes:
        window: None for a metric without a window.
        rules: Rules on this metric and window; their levels are in the same unit.
    """

    metric: Metric
    window: Window | None
    values: tuple[float, ...]
    rules: tuple[Rule, ...] = ()
    events: tuple[RuleEvent, ...] = ()


def rule_series(
    closes: Aligned,
    rows: range,
    metric_window: tuple[Metric, Window | None],
    *,
    live_values: Sequence[float] = (),
    rules: Sequence[Rule] = (),
    events: Iterable[RuleEvent] = (),
) -> RuleSeries:
    """Measure a metric at some rows and append `live_values`. The metric must exist at closes."""
    metric, window = metric_window
    series = metric.series
    column = series(closes, window or Window.D1) if series else np.full(len(closes), np.nan)
    values = (*column[rows.start : rows.stop].tolist(), *live_values)
    return RuleSeries(metric=metric, window=window, values=values, rules=tuple(rules), events=tuple(events))


def replayed_series(closes: Aligned, rows: range, replayed: RuleReplay) -> RuleSeries:
    """Return the metric of a replayed rule at some rows, with the events where it fired and resolved."""
    return rule_series(
        closes, rows, metric_and_window(replayed.rule), rules=[replayed.rule], events=replay_events(replayed.steps)
    )


def metric_and_window(rule: Rule) -> tuple[Metric, Window | None]:
    """Return the metric and the window of a rule."""
    return rule.metric, rule.window


def replay_events(steps: Iterable[Step]) -> list[RuleEvent]:
    """Return the events where a replay fired and resolved."""
    return [RuleEvent(session=step.session, change=step.change) for step in steps]

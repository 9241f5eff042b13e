"""Look back: what a rule's metric was at a close of the past, from the prices that are known now."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import numpy as np

from services.market.align import Aligned
from services.market.measure import Measurement, Metric, Window, drawdown, measure, reading
from services.rules.chart_series import AlertChart, alert_chart
from services.rules.rule import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class PastReading:
    """A rule's metric at a past close, in its own unit, with both legs over the rule's window, or over one day."""

    value: float
    measurement: Measurement


@dataclass(frozen=True, slots=True, eq=False)
class HistoryLookup:
    """The closes of one pair as they are known now; each is measured, and each course drawn, once for all alerts."""

    closes: Aligned
    _known: dict[tuple[Metric, Window, date], PastReading | None] = field(default_factory=dict)
    _courses: dict[Measurement, AlertChart | None] = field(default_factory=dict)

    def recall(self, rule: Rule, session: date) -> PastReading | None:
        """Measure a rule at a session's close; None where that cannot be done, as always for the gap."""
        key = rule.metric, rule.window or Window.D1, session
        if key not in self._known:
            self._known[key] = _recall(self.closes, *key)
        return self._known[key]

    def course(self, seen: Measurement) -> AlertChart | None:
        """Draw how both legs came to where they were seen; None where that cannot be drawn."""
        if seen not in self._courses:
            self._courses[seen] = alert_chart(self.closes, seen)
        return self._courses[seen]


def _recall(closes: Aligned, metric: Metric, window: Window, session: date) -> PastReading | None:
    until = closes.head(int(np.searchsorted(closes.sessions, np.datetime64(session), side="right")))
    if not len(until) or until.sessions[-1] != np.datetime64(session):
        return None
    measured = measure(until, window)
    if not isinstance(measured, Measurement):
        return None
    value = _value(until, measured, metric)
    return None if value is None else PastReading(value=value, measurement=measured)


def _value(until: Aligned, measured: Measurement, metric: Metric) -> float | None:
    match metric:
        case Metric.GAP:
            return None
        case Metric.DRAWDOWN:
            depth = drawdown(until, until.crypto, until.crypto_past)
            return depth.depth if depth else None
        case _:
            return reading(measured, metric)

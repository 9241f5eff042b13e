"""A rule's metric at past closes, measured from the prices known now."""

from dataclasses import dataclass, field
from datetime import date

import numpy as np

from services.market.align import Aligned
from services.market.chart_points import AlertChart, alert_chart
from services.market.measure import Measurement, Window, measure
from services.market.metrics import Metric
from services.rules.rule import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class PastReading:
    """A rule's metric at a past close, in its own unit, and both legs over the rule's window.

    Without a window, both legs are measured over one session.
    """

    value: float
    measurement: Measurement


@dataclass(frozen=True, slots=True, eq=False)
class HistoryLookup:
    """Measurements and charts at past closes of one pair, cached for all alerts."""

    closes: Aligned
    _readings: dict[tuple[Metric, Window, date], PastReading | None] = field(default_factory=dict)
    _charts: dict[Measurement, AlertChart | None] = field(default_factory=dict)

    def reading_at(self, rule: Rule, session: date) -> PastReading | None:
        """Measure a rule at a session's close; None if that is impossible, as always for the gap."""
        key = rule.metric, rule.window or Window.D1, session
        if key not in self._readings:
            self._readings[key] = _measure_at(self.closes, *key)
        return self._readings[key]

    def chart(self, measurement: Measurement) -> AlertChart | None:
        """Return the chart of both legs up to a measurement; None if it cannot be drawn."""
        if measurement not in self._charts:
            self._charts[measurement] = alert_chart(self.closes, measurement)
        return self._charts[measurement]


def _measure_at(closes: Aligned, metric: Metric, window: Window, session: date) -> PastReading | None:
    closes_until = closes.head(int(np.searchsorted(closes.sessions, np.datetime64(session), side="right")))
    if not len(closes_until) or closes_until.sessions[-1] != np.datetime64(session):
        return None
    measurement = measure(closes_until, window)
    if not isinstance(measurement, Measurement):
        return None
    value = metric.value(closes_until, measurement)
    return None if value is None else PastReading(value=value, measurement=measurement)

"""A trace: what rules watch, session by session, with their levels and where they fired and resolved."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from services.domain.decide import Change
from services.domain.measure import METRICS, Metric, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date, datetime

    from services.domain.align import Aligned
    from services.domain.episode import Alert
    from services.domain.replay import RuleReplay, Step
    from services.domain.rule import Rule

NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A rule fired or resolved in a session."""

    session: date
    to: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One metric over one window at each point of a curve, in the metric's own unit, NaN where it cannot be measured.

    `window` is None for a metric that has none. `rules` all watch this, and have their levels in the same unit.
    """

    metric: Metric
    window: Window | None
    values: tuple[float, ...]
    rules: tuple[Rule, ...] = ()
    marks: tuple[Mark, ...] = ()


def trace(
    closes: Aligned,
    rows: range,
    watched: tuple[Metric, Window | None],
    *,
    end: Sequence[float] = (),
    rules: Sequence[Rule] = (),
    marks: Iterable[Mark] = (),
) -> Trace:
    """Measure at some rows, and add what was measured at the `end`, as live. The metric must exist at closes."""
    metric, window = watched
    series = METRICS[metric].series
    column = series(closes, window or Window.D1) if series else np.full(len(closes), np.nan)
    values = (*column[rows.start : rows.stop].tolist(), *end)
    return Trace(metric=metric, window=window, values=values, rules=tuple(rules), marks=tuple(marks))


def traced(closes: Aligned, rows: range, found: RuleReplay) -> Trace:
    """Draw what a replayed rule watched at some rows, and mark where it fired and resolved."""
    return trace(closes, rows, watched_by(found.rule), rules=[found.rule], marks=marks_of(found.steps))


def watched_by(rule: Rule) -> tuple[Metric, Window | None]:
    """Tell what a rule watches."""
    return rule.metric, rule.window


def marks_of(steps: Iterable[Step]) -> list[Mark]:
    """Mark where a replay fired and resolved."""
    return [Mark(session=step.session, to=step.to) for step in steps]


def marks_of_alerts(alerts: Iterable[Alert], sessions: Sequence[date]) -> list[Mark]:
    """Mark alerts by the sessions in which they began and ended, or that were the last before."""
    return [mark for alert in alerts for mark in _marks(alert, sessions)]


def _marks(alert: Alert, sessions: Sequence[date]) -> Iterator[Mark]:
    for at, to in ((alert.opened_at, Change.FIRING), (alert.closed_at, Change.RESOLVED)):
        session = _session(at, sessions) if at else None
        if session:
            yield Mark(session=session, to=to)


def _session(at: datetime, sessions: Sequence[date]) -> date | None:
    place = bisect_right(sessions, at.astimezone(NEW_YORK).date())
    return sessions[place - 1] if place else None

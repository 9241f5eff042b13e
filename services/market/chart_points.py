"""The returns of both legs since a first session, as points of a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from services.core.errors import NoHistoryError
from services.core.prices import to_datetime
from services.market.align import Aligned
from services.market.measure import Measurement, Window

DEFAULT_WINDOW, DEFAULT_SESSIONS = Window.D20, 20  # drawn if the window is a single session
MAX_POINTS = 20  # more points are indistinguishable on a phone


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChart:
    """Both legs over a window up to the alert's measurement, the last point. Each point has both prices."""

    window: Window
    points: tuple[Point, ...]


def alert_chart(closes: Aligned, measurement: Measurement) -> AlertChart | None:
    """Index both legs to the start of a measurement, or to 20 sessions earlier for a 1-session window.

    Returns None if a leg no longer has a price there.
    """
    rows = measured_rows(closes, measurement)
    window, first = (
        (measurement.window, rows.start) if len(rows) > 1 else (DEFAULT_WINDOW, rows.stop - DEFAULT_SESSIONS)
    )
    if first < 0 or not _has_both_prices(closes, first) or not _starts_with(closes, rows, measurement):
        return None
    points = points_at(closes, range(first, rows.stop))
    return AlertChart(
        window=window, points=_sample([*points, _compound(points[rows.start - first], end_point(measurement))])
    )


def _starts_with(closes: Aligned, rows: range, measurement: Measurement) -> bool:
    """Return whether the rows start at the measurement's first session and it still has both prices."""
    return (
        bool(rows)
        and closes.sessions[rows.start] == np.datetime64(measurement.anchor)
        and _has_both_prices(closes, rows.start)
    )


def _has_both_prices(closes: Aligned, row: int) -> bool:
    return bool(closes.complete[row])


def _compound(anchor: Point, end: Point) -> Point:
    """Compound a return since the anchor with the anchor's own return."""
    return Point(
        session=end.session,
        at=end.at,
        live=end.live,
        etf=anchor.etf + end.etf + anchor.etf * end.etf,
        crypto=anchor.crypto + end.crypto + anchor.crypto * end.crypto,
    )


def _sample(points: Sequence[Point]) -> tuple[Point, ...]:
    """Select evenly spaced points, both ends, and the point with the widest spread."""
    widest = max((point for point in points if point.complete), key=lambda point: abs(point.etf - point.crypto))
    return tuple(sorted({*downsample(points, MAX_POINTS - 1), widest}, key=lambda point: point.at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Returns of both legs (fractions) since the first point, at the close of `session` or at `at` within it.

    A leg without a usable price has NaN.
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


def measured_rows(closes: Aligned, measurement: Measurement) -> range:
    """Return the rows from a measurement's first session to before its last one."""
    start, end = np.searchsorted(
        closes.sessions, np.array([measurement.anchor, measurement.session], dtype="datetime64[D]")
    )
    return range(int(start), int(end))


def common_rows(closes: Aligned, first: date | None = None, last: date | None = None) -> range:
    """Return the rows from the first to the last one with both prices, between two sessions (inclusive).

    Raises NoHistoryError if there is none.
    """
    begin = 0 if first is None else np.searchsorted(closes.sessions, np.datetime64(first))
    end = len(closes) if last is None else np.searchsorted(closes.sessions, np.datetime64(last), side="right")
    known = int(begin) + np.flatnonzero(closes.complete[begin:end])
    if not len(known):
        raise NoHistoryError(
            f"{closes.pair} have no sessions in common from {first or 'the start'} to {last or 'now'}."
        )
    return range(int(known[0]), int(known[-1]) + 1)


def downsample(points: Sequence[Point], max_points: int) -> tuple[Point, ...]:
    """Select evenly spaced points with both prices, including the first and the last."""
    known = [point for point in points if point.complete]
    indices = np.linspace(0, len(known) - 2, min(max_points - 1, len(known) - 1)).round().astype(int)
    return (*(known[index] for index in indices), known[-1])


def points_at(closes: Aligned, rows: range) -> list[Point]:
    """Return both legs at some rows, as returns since the first of them."""
    etf, crypto = (_returns_since(prices, rows) for prices in (closes.etf, closes.crypto))
    return [
        Point(
            session=closes.sessions[row].astype(object),
            at=to_datetime(closes.at[row]),
            live=False,
            etf=etf_return,
            crypto=crypto_return,
        )
        for row, etf_return, crypto_return in zip(rows, etf, crypto, strict=True)
    ]


def _returns_since(prices: NDArray[np.float64], rows: range) -> list[float]:
    selected = prices[rows.start : rows.stop]
    since_first: list[float] = (selected / selected[:1] - 1).tolist()
    return since_first


def end_point(measurement: Measurement) -> Point:
    """Return a measurement as the last point of the series that starts with it."""
    return Point(
        session=measurement.session,
        at=measurement.as_of,
        live=measurement.live,
        etf=measurement.etf_return,
        crypto=measurement.crypto_return,
    )

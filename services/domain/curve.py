"""A curve: how far both legs have come since the window's start, at as many points as a chart can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from services.domain.prices import moment

if TYPE_CHECKING:
    from datetime import date, datetime

    from numpy.typing import NDArray

    from services.domain.align import Aligned
    from services.domain.measure import Measurement, Window
    from services.domain.prices import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Both legs' returns (fractions) since the curve's start, at the close of `session`, or at `at` within it."""

    session: date
    at: datetime
    live: bool
    etf: float
    crypto: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Both legs of a pair over a window; the first point is its start, where both returns are 0."""

    pair: Pair
    window: Window
    points: tuple[Point, ...]


def curve(closes: Aligned, measured: Measurement, at_most: int) -> Curve:
    """Index both legs to the start of what was measured, and end with the measurement itself, live or a close.

    Of the sessions between, those with both prices, chosen evenly so that there are `at_most` points at most.
    """
    start, end = np.searchsorted(closes.sessions, _days(measured.anchor, measured.session))
    known = start + np.flatnonzero(closes.complete[start:end])
    places = np.linspace(0, len(known) - 1, min(at_most - 1, len(known)))
    chosen = known[places.round().astype(np.intp)]
    points = [_point(closes, int(start), int(row)) for row in chosen]
    return Curve(pair=measured.pair, window=measured.window, points=(*points, _end(measured)))


def _point(closes: Aligned, start: int, row: int) -> Point:
    return Point(
        session=closes.sessions[row].astype(object),
        at=moment(closes.at[row]),
        live=False,
        etf=float(closes.etf[row] / closes.etf[start] - 1),
        crypto=float(closes.crypto[row] / closes.crypto[start] - 1),
    )


def _end(measured: Measurement) -> Point:
    return Point(
        session=measured.session,
        at=measured.as_of,
        live=measured.live,
        etf=measured.etf_return,
        crypto=measured.crypto_return,
    )


def _days(*sessions: date) -> NDArray[np.datetime64]:
    return np.array(sessions, dtype="datetime64[D]")

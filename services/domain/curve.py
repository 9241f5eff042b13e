"""A curve: how far both legs have come since a start, session by session, with what rules watch beneath."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime  # noqa: TC003 -- points are stored by reading these types at run time
from typing import TYPE_CHECKING

import numpy as np

from services.domain.errors import NoHistoryError
from services.domain.prices import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from services.domain.align import Aligned
    from services.domain.measure import Measurement, Window
    from services.domain.prices import Pair
    from services.domain.trace import Trace


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
class Curve:
    """Both legs of a pair, a point for each session; at the first both returns are 0, and the last one is complete.

    `window` is None for a stretch between two sessions of somebody's choice. Each trace has a value for each point.
    """

    pair: Pair
    window: Window | None
    points: tuple[Point, ...]
    traces: tuple[Trace, ...] = ()


def curve(closes: Aligned, measured: Measurement, traces: Sequence[Trace] = ()) -> Curve:
    """Index both legs to the start of what was measured, and end with the measurement itself, live or a close."""
    rows = rows_of(closes, measured)
    points = (*points_of(closes, rows), end_of(measured))
    return Curve(pair=measured.pair, window=measured.window, points=points, traces=tuple(traces))


def rows_of(closes: Aligned, measured: Measurement) -> range:
    """Find the rows from the session that a measurement starts from up to its own, which is left out."""
    start, end = np.searchsorted(closes.sessions, np.array([measured.anchor, measured.session], dtype="datetime64[D]"))
    return range(int(start), int(end))


def stretch(closes: Aligned, rows: range, traces: Sequence[Trace] = ()) -> Curve:
    """Index both legs to the first of some rows, those of `between`."""
    return Curve(pair=closes.pair, window=None, points=tuple(points_of(closes, rows)), traces=tuple(traces))


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

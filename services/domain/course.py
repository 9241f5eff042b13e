"""A course: how both legs came to where an alert saw them, in few enough points to be kept with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from services.domain.curve import Point, end_of, points_of, rows_of, thinned
from services.domain.measure import Measurement, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.domain.align import Aligned

KEPT = 20  # points; more cannot be told apart on a phone
USUAL, SESSIONS = Window.D20, 20  # what is drawn where the window is a single session


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Both legs over a window, up to what an alert saw, which is the last point; each point has both prices."""

    window: Window
    points: tuple[Point, ...]


def course(closes: Aligned, seen: Measurement) -> Course | None:
    """Index both legs to where a measurement starts, or to 20 sessions before it where that is one session before.

    None where a leg has no price there any more.
    """
    rows = rows_of(closes, seen)
    window, first = (seen.window, rows.start) if len(rows) > 1 else (USUAL, rows.stop - SESSIONS)
    if first < 0 or not _has(closes, first) or not _starts(closes, rows, seen):
        return None
    points = points_of(closes, range(first, rows.stop))
    return Course(window=window, points=_few([*points, _onto(points[rows.start - first], end_of(seen))]))


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

"""The axis of days: where a few labels stand, and what they say."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

MOST, MOST_MONTHS = 5, 4  # labels that a phone's width holds; those of months are wide
MONTHS = (1, 2, 3, 4, 6)  # between labels
YEARS = (1, 2, 5, 10)
WEEKS_ONLY = timedelta(days=66)  # up to which days are named


class Tick(NamedTuple):
    """A label, and the place of its day."""

    at: int
    label: str


def ticks(days: Sequence[date]) -> list[Tick]:
    """Name days of a few weeks, else the first session of months, or of years."""
    if days[-1] - days[0] <= WEEKS_ONLY:
        return _evenly(days)
    for step in MONTHS:
        found = [Tick(at, f"{day:%b} {day.year}") for at, day in _begins(days, step)]
        if len(found) <= MOST_MONTHS:
            return found or _evenly(days)
    for step in YEARS:
        found = [Tick(at, f"{day.year}") for at, day in _begins(days, 12 * step)]
        if len(found) <= MOST:
            return found
    return _evenly(days)


def _evenly(days: Sequence[date]) -> list[Tick]:
    last = len(days) - 1
    places = sorted({round(last * part / (MOST - 1)) for part in range(MOST)})
    return [Tick(at, f"{days[at].day} {days[at]:%b}") for at in places]


def _begins(days: Sequence[date], months: int) -> list[tuple[int, date]]:
    """Find the sessions that begin a stretch of so many months, the first day's own left out."""
    return [
        (at, after)
        for at, (before, after) in enumerate(pairwise(days), 1)
        if _count(after, months) != _count(before, months)
    ]


def _count(day: date, months: int) -> int:
    return (12 * day.year + day.month - 1) // months

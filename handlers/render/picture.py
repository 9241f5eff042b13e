"""A picture as a value: all that is drawn and written, in the units that are shown, and what it says in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

from handlers.render.limits import ALT_TEXT, clip
from services.rules.decide import Change

MOST, MOST_MONTHS = 5, 4  # labels that a phone's width holds; those of months are wide

SOLID, DASHED, DOTTED = "solid", (0, (5, 1.8)), (0, (1.2, 1.6))


class Role(Enum):
    """What a line stands for; each has a colour and a style of its own in every picture."""

    ETF = "etf"
    CRYPTO = "crypto"
    PROXY = "proxy"
    WATCHED = "watched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A value for each day, NaN where there is none, which leaves a gap; `label` stands at the line's end."""

    role: Role
    values: tuple[float, ...]
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Where a rule fires, and where it clears again, both on the same side of zero."""

    fires: float
    clears: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A rule fired or resolved on the day at this place, at this height."""

    at: int
    value: float
    to: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One set of axes: its title, small print beneath, lines around `base`, and the levels and spots of rules."""

    title: str
    small: str
    base: float
    lines: tuple[Line, ...]
    levels: tuple[Level, ...] = ()
    spots: tuple[Spot, ...] = ()

    @property
    def reach(self) -> tuple[float, float]:
        """The lowest and the highest of what must be seen: the base, all values, and where rules fire."""
        heights = [value for line in self.lines for value in line.values if math.isfinite(value)]
        heights += [self.base, *(level.fires for level in self.levels)]
        return min(heights), max(heights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Panels above one another over the same days, with a title and a foot; `alt` tells all of it to who cannot see."""

    title: str
    days: tuple[date, ...]
    panels: tuple[Panel, ...]
    foot: str
    alt: str
    simulated: bool = False


def alt(*sentences: str) -> str:
    """Put the words for a picture together, in what Slack takes."""
    return clip(" ".join(sentence for sentence in sentences if sentence), ALT_TEXT)


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


STYLES = {Role.ETF: SOLID, Role.CRYPTO: DASHED, Role.PROXY: DOTTED, Role.WATCHED: SOLID}
WIDTHS = {Role.ETF: 5.0, Role.CRYPTO: 4.5, Role.PROXY: 4.5, Role.WATCHED: 4.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours for the ground, for what is written, and for lines; `alarm` is for where rules fire."""

    ground: str
    ink: str
    muted: str
    grid: str
    alarm: str
    lines: dict[Role, str]


class Scheme(Enum):
    """What a picture is looked at on."""

    LIGHT = "light"
    DARK = "dark"


THEMES = {
    Scheme.LIGHT: Theme(
        ground="#ffffff",
        ink="#1a1d21",
        muted="#565b63",
        grid="#e3e5e8",
        alarm="#a8457f",
        lines={Role.ETF: "#0072b2", Role.CRYPTO: "#d55e00", Role.PROXY: "#00795a", Role.WATCHED: "#1a1d21"},
    ),
    Scheme.DARK: Theme(
        ground="#14181d",
        ink="#eceff2",
        muted="#a9b1ba",
        grid="#2c333b",
        alarm="#e08fbb",
        lines={Role.ETF: "#56b4e9", Role.CRYPTO: "#e69f00", Role.PROXY: "#2fc79b", Role.WATCHED: "#eceff2"},
    ),
}

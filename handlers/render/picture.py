"""A picture as a value: all that is drawn and written, in the units that are shown, and what it says in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from handlers.render.limits import ALT_TEXT, clip

if TYPE_CHECKING:
    from datetime import date

    from services.domain.decide import Change


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

"""The sheet that a picture is drawn on, in pixels: 1,080 wide, so that a phone shows its print at 11 points."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from handlers.render.picture import Picture

WIDTH = 1_080
LEFT, RIGHT, EDGE = 118, 236, 28  # the labels of lines stand on the right
DOTS_AN_INCH = 100
LINE, LABEL_LINE = 1.3, 1.1  # of a letter's height
FIRST_HEIGHT, NEXT_HEIGHT = 420, 330
HEAD_ROOM, AXES_ROOM, TICK_ROOM, FOOT_ROOM, LABEL_ROOM = 22, 14, 64, 24, 14


class Print(NamedTuple):
    """A size of letters, in pixels, and how many of them a line holds."""

    size: int
    chars: int
    weight: str


TITLE, HEAD, TEXT = Print(46, 36, "bold"), Print(38, 42, "bold"), Print(33, 60, "normal")


class Strip(NamedTuple):
    """Where axes stand: from `top` on, so high."""

    top: float
    height: float


class Sheet:
    """What is written from the top down, around the axes."""

    def __init__(self, picture: Picture, color: str) -> None:
        self.height = _height(picture)
        self.y: float = EDGE
        self.figure = Figure(
            figsize=(WIDTH / DOTS_AN_INCH, self.height / DOTS_AN_INCH), dpi=DOTS_AN_INCH, facecolor=color
        )

    def write(self, text: str, form: Print, color: str) -> None:
        """Write lines, and go on beneath them."""
        for line in _wrapped(text, form):
            self._put(EDGE, self.y, line, form).set(color=color, va="top")
            self.y += form.size * LINE

    def axes(self, number: int) -> tuple[Axes, Strip]:
        """Make room for the axes of the panel with this number, and go on beneath them."""
        strip = Strip(self.y + AXES_ROOM, _high(number))
        self.y = strip.top + strip.height
        box = LEFT / WIDTH, 1 - self.y / self.height, (WIDTH - LEFT - RIGHT) / WIDTH, strip.height / self.height
        return self.figure.add_axes(box), strip

    def label(self, text: str, middle: float, color: str) -> None:
        """Write beside the axes, around a height."""
        put = self._put(WIDTH - RIGHT + LABEL_ROOM, middle, text, TEXT)
        put.set(color=color, va="center", weight="bold", linespacing=LABEL_LINE)

    def _put(self, x: float, y: float, text: str, form: Print) -> Text:
        place = x / WIDTH, 1 - y / self.height
        return self.figure.text(*place, text, fontsize=points(form.size), weight=form.weight, parse_math=False)


def points(pixels: float) -> float:
    """Turn pixels into the points that matplotlib counts in."""
    return pixels * 72 / DOTS_AN_INCH


def _height(picture: Picture) -> float:
    height = EDGE + _tall(picture.title, TITLE)
    for number, panel in enumerate(picture.panels):
        height += HEAD_ROOM + _tall(panel.title, HEAD) + _tall(panel.small, TEXT) + AXES_ROOM + _high(number)
    return height + TICK_ROOM + FOOT_ROOM + _tall(picture.foot, TEXT) + EDGE


def _high(number: int) -> int:
    return FIRST_HEIGHT if number == 0 else NEXT_HEIGHT


def _wrapped(text: str, form: Print) -> list[str]:
    return textwrap.wrap(text, form.chars)


def _tall(text: str, form: Print) -> float:
    return len(_wrapped(text, form)) * form.size * LINE

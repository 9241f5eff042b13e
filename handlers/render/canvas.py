"""The canvas of a picture, in pixels: 1,080 wide, so that a phone shows body text at 11 points."""

import textwrap
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from handlers.render.picture import Picture

WIDTH = 1_080
LEFT_MARGIN, RIGHT_MARGIN, MARGIN = 118, 236, 28  # the right margin holds the curve labels
DPI = 100
LINE_HEIGHT, LABEL_LINE_HEIGHT = 1.3, 1.1  # times the font size
FIRST_PANEL_HEIGHT, PANEL_HEIGHT = 420, 330
HEADING_GAP, AXES_GAP, TICKS_GAP, FOOTER_GAP, LABEL_GAP = 22, 14, 64, 24, 14


class TextStyle(NamedTuple):
    """A font size in pixels, the number of characters per line, and a weight."""

    size: int
    chars: int
    weight: str


TITLE, HEADING, BODY = TextStyle(46, 36, "bold"), TextStyle(38, 42, "bold"), TextStyle(33, 60, "normal")


class AxesSpan(NamedTuple):
    """The vertical position of a set of axes, in pixels from the top."""

    top: float
    height: float


class Canvas:
    """A figure that is filled from top to bottom with text and axes; `y` is the current position."""

    def __init__(self, picture: Picture, color: str) -> None:
        self.height = _height(picture)
        self.y: float = MARGIN
        self.figure = Figure(figsize=(WIDTH / DPI, self.height / DPI), dpi=DPI, facecolor=color)

    def write(self, text: str, style: TextStyle, color: str) -> None:
        """Write wrapped lines at the current position and advance below them."""
        for line in _wrap(text, style):
            self._draw_text(MARGIN, self.y, line, style).set(color=color, va="top")
            self.y += style.size * LINE_HEIGHT

    def axes(self, index: int) -> tuple[Axes, AxesSpan]:
        """Add the axes of the panel with this index and advance below them."""
        span = AxesSpan(self.y + AXES_GAP, _panel_height(index))
        self.y = span.top + span.height
        box = (
            LEFT_MARGIN / WIDTH,
            1 - self.y / self.height,
            (WIDTH - LEFT_MARGIN - RIGHT_MARGIN) / WIDTH,
            span.height / self.height,
        )
        return self.figure.add_axes(box), span

    def label(self, text: str, middle: float, color: str) -> None:
        """Write a label to the right of the axes, vertically centred on `middle`."""
        artist = self._draw_text(WIDTH - RIGHT_MARGIN + LABEL_GAP, middle, text, BODY)
        artist.set(color=color, va="center", weight="bold", linespacing=LABEL_LINE_HEIGHT)

    def _draw_text(self, x: float, y: float, text: str, style: TextStyle) -> Text:
        position = x / WIDTH, 1 - y / self.height
        return self.figure.text(*position, text, fontsize=points(style.size), weight=style.weight, parse_math=False)


def points(pixels: float) -> float:
    """Convert pixels to points, matplotlib's unit."""
    return pixels * 72 / DPI


def _height(picture: Picture) -> float:
    height = MARGIN + _text_height(picture.title, TITLE)
    for index, panel in enumerate(picture.panels):
        height += (
            HEADING_GAP
            + _text_height(panel.title, HEADING)
            + _text_height(panel.subtitle, BODY)
            + AXES_GAP
            + _panel_height(index)
        )
    return height + TICKS_GAP + FOOTER_GAP + _text_height(picture.footer, BODY) + MARGIN


def _panel_height(index: int) -> int:
    return FIRST_PANEL_HEIGHT if index == 0 else PANEL_HEIGHT


def _wrap(text: str, style: TextStyle) -> list[str]:
    return textwrap.wrap(text, style.chars)


def _text_height(text: str, style: TextStyle) -> float:
    return len(_wrap(text, style)) * style.size * LINE_HEIGHT

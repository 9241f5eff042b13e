"""Draw a picture as a PNG.

Import this module only to draw: matplotlib takes half a second to import, and memory.
Only one thread may draw at a time.
"""

import math
import textwrap
from collections.abc import Sequence
from datetime import date, timedelta
from io import BytesIO
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import DAILY, MONTHLY, YEARLY, AutoDateFormatter, AutoDateLocator, date2num, num2date
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator

from handlers.render.markup import MINUS, SIMULATED
from handlers.render.picture import (
    DOTTED,
    LINE_STYLES,
    LINE_WIDTHS,
    THEMES,
    ColorScheme,
    Curve,
    Panel,
    Picture,
    Theme,
)
from services.rules.decide import Change

WIDTH = 1_080  # pixels, so that a phone shows body text at 11 points
LEFT_MARGIN, RIGHT_MARGIN, MARGIN = 118, 236, 28  # the right margin holds the curve labels
DPI = 100
LINE_HEIGHT, LABEL_LINE_HEIGHT = 1.3, 1.1  # times the font size
LABEL_SPACING = 1.2
FIRST_PANEL_HEIGHT, PANEL_HEIGHT = 420, 330
HEADING_GAP, AXES_GAP, TICKS_GAP, FOOTER_GAP, LABEL_GAP = 22, 14, 64, 24, 14
Y_PADDING = 0.08  # share of the value range, above and below
FLAT_Y_PADDING = 1.0  # if the value range is empty
MAX_Y_TICKS = 5
MIN_X_TICKS = 3
MAX_X_TICKS = {YEARLY: 5, MONTHLY: 5, DAILY: 5}  # what fits a phone's width
MONTHS_BETWEEN_TICKS = [1, 2, 3, 4, 6, 12]
SCIENTIFIC_FROM = 1e5
MANY_MARKERS = 24  # above this, markers are smaller
MANY_SESSIONS = 400  # above this, curves are thinner
COMPRESSION_LEVEL = 3  # of 9: half the time of the default level, for a sixth more bytes
X_PADDING = 0.5  # in sessions, left and right


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


def render_png(picture: Picture, scheme: ColorScheme) -> bytes:
    """Return the picture as PNG bytes."""
    theme = THEMES[scheme]
    canvas = Canvas(picture, theme.background)
    agg = FigureCanvasAgg(canvas.figure)
    x_ticks = axis_ticks(picture.days)
    canvas.write(picture.title, TITLE, theme.text)
    for index, panel in enumerate(picture.panels):
        canvas.y += HEADING_GAP
        canvas.write(panel.title, HEADING, theme.text)
        canvas.write(panel.subtitle, BODY, theme.muted)
        axes, span = canvas.axes(index)
        _draw_panel(axes, picture, panel, theme)
        _draw_x_ticks(axes, x_ticks, theme, labelled=panel is picture.panels[-1])
        _draw_curve_labels(canvas, span, panel, theme)
    canvas.y += TICKS_GAP + FOOTER_GAP
    canvas.write(picture.footer, BODY, theme.muted)
    buffer = BytesIO()
    agg.print_png(buffer, pil_kwargs={"compress_level": COMPRESSION_LEVEL})
    return buffer.getvalue()


def _draw_panel(axes: Axes, picture: Picture, panel: Panel, theme: Theme) -> None:
    axes.set_xlim(-X_PADDING, max(1, len(picture.days) - 1) + X_PADDING)
    axes.set_ylim(*_y_limits(panel))
    axes.axhline(panel.baseline, color=theme.muted, linewidth=points(2))
    _draw_levels(axes, panel, theme)
    for curve in panel.curves:
        _draw_curve(axes, curve, theme)
    _draw_markers(axes, panel, theme)
    _style_axes(axes, theme)
    if picture.simulated:
        stamp = axes.text(0.5, 0.5, SIMULATED, transform=axes.transAxes, fontsize=points(96), zorder=0)
        stamp.set(color=theme.muted, alpha=0.16, weight="bold", ha="center", va="center")


def _style_axes(axes: Axes, theme: Theme) -> None:
    axes.set_facecolor(theme.background)
    axes.yaxis.set_major_locator(MaxNLocator(MAX_Y_TICKS, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: _tick_label(value)))
    axes.tick_params(axis="both", labelsize=points(BODY.size), colors=theme.muted, length=0, pad=points(10))
    axes.tick_params(axis="x", pad=points(18))
    axes.grid(axis="y", color=theme.grid, linewidth=points(2))
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _y_limits(panel: Panel) -> tuple[float, float]:
    low, high = panel.y_range
    padding = Y_PADDING * (high - low) or FLAT_Y_PADDING
    return low - padding, high + padding


def _tick_label(value: float) -> str:
    text = f"{value:.0e}" if abs(value) >= SCIENTIFIC_FROM else f"{value:,.6g}"
    return text.replace("-", MINUS)


def _draw_levels(axes: Axes, panel: Panel, theme: Theme) -> None:
    """Shade the range beyond each firing threshold, and more lightly the range between it and the clear level."""
    low, high = axes.get_ylim()
    for level in panel.levels:
        end = high if (level.fires, level.fires) > (level.clears, 0) else low
        axes.axhspan(level.fires, end, color=theme.threshold, alpha=0.17, linewidth=0, zorder=0.5)
        axes.axhspan(level.clears, level.fires, color=theme.threshold, alpha=0.07, linewidth=0, zorder=0.5)
        axes.axhline(level.fires, color=theme.threshold, linewidth=points(3), zorder=1.5)
        axes.axhline(level.clears, color=theme.threshold, linewidth=points(3), linestyle=DOTTED, zorder=1.5)


def _draw_curve(axes: Axes, curve: Curve, theme: Theme) -> None:
    color = theme.curves[curve.role]
    width = points(LINE_WIDTHS[curve.role] * (0.6 if len(curve.values) > MANY_SESSIONS else 1))
    axes.plot(curve.values, color=color, linewidth=width, linestyle=LINE_STYLES[curve.role], solid_joinstyle="round")
    isolated = _isolated(curve.values)
    axes.plot(
        isolated,
        [curve.values[index] for index in isolated],
        color=color,
        marker="o",
        markersize=points(9),
        linestyle="",
    )


def _isolated(values: Sequence[float]) -> list[int]:
    """Return the indexes of values with a gap on both sides, which no line connects."""
    known = [False, *map(math.isfinite, values), False]
    return [index for index in range(len(values)) if known[index + 1] and not (known[index] or known[index + 2])]


def _draw_markers(axes: Axes, panel: Panel, theme: Theme) -> None:
    """Draw firings as filled triangles on top of everything, and resolutions as empty circles."""
    size = points(26 if len(panel.markers) <= MANY_MARKERS else 18)
    for change, shape, fill, edge in (
        (Change.RESOLVED, "o", theme.background, theme.threshold),
        (Change.FIRING, "^", theme.threshold, theme.background),
    ):
        positions = [(marker.index, marker.value) for marker in panel.markers if marker.change is change]
        if positions:
            axes.plot(
                *zip(*positions, strict=True),
                linestyle="",
                marker=shape,
                markersize=size,
                markerfacecolor=fill,
                markeredgecolor=edge,
                markeredgewidth=points(3.5),
                zorder=4,
                clip_on=False,
            )


def axis_ticks(days: Sequence[date]) -> dict[int, str]:
    """Return labels by position: round dates, each at the first session on or after it."""
    locator = AutoDateLocator(minticks=MIN_X_TICKS, maxticks=MAX_X_TICKS)
    locator.intervald[MONTHLY] = MONTHS_BETWEEN_TICKS
    label = AutoDateFormatter(locator)
    label.scaled = {365.0: "%Y", 30.0: "%b '%y", 1.0: "%-d %b"}
    first, last = num2date(date2num([days[0], max(days[-1], days[0] + timedelta(days=1))]))
    numbers = date2num(days)
    positions = np.searchsorted(numbers, np.asarray(locator.tick_values(first, last)))
    return {int(at): label(numbers[at]) for at in positions if at < len(days)}


def _draw_x_ticks(axes: Axes, ticks: dict[int, str], theme: Theme, *, labelled: bool) -> None:
    axes.set_xticks(list(ticks), list(ticks.values()) if labelled else [""] * len(ticks))
    axes.grid(axis="x", color=theme.grid, linewidth=points(2))


def _draw_curve_labels(canvas: Canvas, span: AxesSpan, panel: Panel, theme: Theme) -> None:
    """Write each curve's label at its last value, moved if labels would overlap."""
    low, high = _y_limits(panel)
    curves = sorted(panel.curves, key=_last_value, reverse=True)
    preferred = [span.top + span.height * (high - _last_value(curve)) / (high - low) for curve in curves]
    heights = [BODY.size * LABEL_SPACING * (curve.label.count("\n") + 1) for curve in curves]
    for curve, middle in zip(curves, _spread_labels(preferred, heights, span), strict=True):
        canvas.label(curve.label, middle, theme.curves[curve.role])


def _last_value(curve: Curve) -> float:
    return next((value for value in reversed(curve.values) if math.isfinite(value)), 0.0)


def _spread_labels(preferred: Sequence[float], heights: Sequence[float], span: AxesSpan) -> list[float]:
    """Return label positions, ordered from the top, that don't overlap and stay beside the axes."""
    placed, ceiling = list[float](), span.top
    for middle, height in zip(preferred, heights, strict=True):
        placed.append(max(middle, ceiling + height / 2))
        ceiling = placed[-1] + height / 2
    floor = span.top + span.height
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], floor - heights[index] / 2)
        floor = placed[index] - heights[index] / 2
    return placed


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

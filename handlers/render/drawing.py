"""Draw a picture as a PNG.

Import this module only to draw: matplotlib takes half a second to import, and memory.
Only one thread may draw at a time.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, date2num, num2date
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from PIL import Image

from handlers.render.markup import MINUS, SIMULATED
from handlers.render.picture import (
    DOTTED,
    LINE_STYLES,
    THEMES,
    ColorScheme,
    Curve,
    Panel,
    Picture,
    Size,
    Theme,
    visible_indexes,
)
from services.core.rows import complete

FONTS = Path(__file__).parent / "fonts"  # Inter, reduced to Latin, with tabular figures
REGULAR, BOLD = FONTS / "InterTabular-Regular.ttf", FONTS / "InterTabular-Bold.ttf"
DPI = 100
LINE_HEIGHT, LABEL_LINE_HEIGHT, LABEL_SPACING = 1.3, 1.1, 1.35  # times the font size
Y_PADDING = 0.08  # share of the value range, above and below
FLAT_Y_PADDING = 1.0  # if the value range is empty
X_PADDING = 0.01  # share of the sessions, left and right
MAX_Y_TICKS, MAX_LOG_TICKS = 5, 7
LOG_STEPS = (1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1,)  # within a power of ten, densest first
TICK_SPACING = 1.2  # label widths between ticks
SCIENTIFIC_FROM = 1e5
COMPRESSION_LEVEL = 3  # of 9: half the time of the default level, for a sixth more bytes
FIRING_LABEL = "firing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Font:
    """A font file and its size in pixels."""

    path: Path
    size: float

    def width(self, text: str) -> float:
        """Return the width of a line in pixels."""
        font = get_font(self.path)
        font.set_size(self.size, 72)
        font.set_text(text)
        width: int = font.get_width_height()[0]
        return width / 64

    def wrap(self, text: str, width: float) -> list[str]:
        """Return the text in lines that fit; a word alone may be longer."""
        lines = list[str]()
        for word in text.split(" "):
            if lines and self.width(f"{lines[-1]} {word}") <= width:
                lines[-1] += f" {word}"
            elif word:
                lines.append(word)
        return lines

    def properties(self) -> FontProperties:
        """Return the font for matplotlib."""
        return FontProperties(fname=self.path, size=points(self.size))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The measures of one size of picture, in pixels.

    Attributes:
        left: The space for the labels of the values.
        heights: Of the first panel's axes, and of those of each further panel.
        line: The width of curves over a few sessions; thin curves have `min_line`.
        strip: The height of the bar of firings beneath the axes.
    """

    width: int
    margin: int
    left: int
    heading: Font
    body: Font
    heights: tuple[int, int]
    line: float
    min_line: float
    strip: int
    date_label: str = "Nov 30"  # a label of the widest date

    @property
    def gap(self) -> float:
        """The space between neighbouring parts."""
        return 0.5 * self.body.size


LAYOUTS = complete(
    "LAYOUTS",
    Size,
    {
        Size.PHONE: Layout(  # a phone shows it at a third: body text at 11 points
            width=1_080,
            margin=24,
            left=118,
            heading=Font(path=BOLD, size=38),
            body=Font(path=REGULAR, size=33),
            heights=(420, 330),
            line=5.0,
            min_line=3.0,
            strip=20,
        ),
        Size.DESKTOP: Layout(
            width=1_200,
            margin=24,
            left=72,
            heading=Font(path=BOLD, size=19),
            body=Font(path=REGULAR, size=15),
            heights=(380, 250),
            line=2.4,
            min_line=1.5,
            strip=10,
        ),
    },
)


def points(pixels: float) -> float:
    """Convert pixels to points, matplotlib's unit."""
    return pixels * 72 / DPI


def render_png(picture: Picture, scheme: ColorScheme, size: Size = Size.DESKTOP) -> bytes:
    """Return the picture as PNG bytes."""
    drawing = Drawing(picture, LAYOUTS[size], THEMES[scheme])
    return drawing.png()


Draw = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Row:
    """A part of the picture as wide as it, drawn from a position in pixels below the top; None is a space."""

    height: float
    draw: Draw | None = None


class Drawing:
    """A figure that is filled from top to bottom with rows of text and axes."""

    def __init__(self, picture: Picture, layout: Layout, theme: Theme) -> None:
        self.picture, self.layout, self.theme = picture, layout, theme
        self.label_font = replace(layout.body, path=BOLD)
        labels = [line for panel in picture.panels for curve in panel.curves for line in curve.label.split("\n")]
        self.right = max(map(self.label_font.width, [FIRING_LABEL, *labels])) + 2 * layout.gap + layout.margin
        self.axes_width = layout.width - layout.left - self.right
        self.ticks = axis_ticks(picture.days, layout.body.width(layout.date_label) / self.axes_width)
        self.rows = [Row(layout.margin), *self._rows(), Row(layout.margin)]
        self.height = math.ceil(sum(row.height for row in self.rows))
        size = layout.width / DPI, self.height / DPI
        self.figure = Figure(figsize=size, dpi=DPI, facecolor=theme.background)

    def png(self) -> bytes:
        """Draw all rows, and return the bytes."""
        canvas, y = FigureCanvasAgg(self.figure), 0.0
        for row in self.rows:
            if row.draw:
                row.draw(y)
            y += row.height
        canvas.draw()
        buffer, size = BytesIO(), canvas.get_width_height()
        image = Image.frombuffer("RGBA", size, canvas.buffer_rgba(), "raw", "RGBA", 0, 1)  # not a copy
        image.save(buffer, "PNG", compress_level=COMPRESSION_LEVEL)
        return buffer.getvalue()

    def _rows(self) -> Iterator[Row]:
        layout, theme = self.layout, self.theme
        for index, panel in enumerate(self.picture.panels):
            if index:
                yield Row(2 * layout.gap)
            yield from self._text_rows(panel.title, layout.heading, theme.text)
            yield from self._text_rows(panel.caption, layout.body, theme.muted)
            yield Row(layout.gap)
            yield Row(layout.heights[min(index, 1)], partial(self._draw_panel, index))
            if panel.firings:
                yield Row(layout.gap + layout.strip)
        yield Row(layout.gap + 2 * layout.body.size * LINE_HEIGHT + 2 * layout.gap)
        yield from self._text_rows(self.picture.footer, layout.body, theme.muted)

    def _text_rows(self, text: str, font: Font, color: str) -> Iterator[Row]:
        for line in font.wrap(text, self.layout.width - 2 * self.layout.margin):
            yield Row(font.size * LINE_HEIGHT, partial(self._draw_line, line, font, color))

    def _draw_line(self, text: str, font: Font, color: str, top: float) -> None:
        self._write(self.layout.margin, top, text, font, color).set(va="top")

    def _write(self, x: float, y: float, text: str, font: Font, color: str) -> Text:
        """Write at a position in pixels from the left and from the top."""
        position = x / self.layout.width, 1 - y / self.height
        artist = self.figure.text(*position, text, fontproperties=font.properties(), color=color, parse_math=False)
        artist.set_linespacing(LABEL_LINE_HEIGHT)
        return artist

    def _draw_panel(self, index: int, top: float) -> None:
        layout, panel = self.layout, self.picture.panels[index]
        height = layout.heights[min(index, 1)]
        box = (
            layout.left / layout.width,
            1 - (top + height) / self.height,
            self.axes_width / layout.width,
            height / self.height,
        )
        axes = self.figure.add_axes(box)
        self._style_axes(axes, panel)
        _draw_levels(axes, panel, self.theme, layout)
        for curve in panel.curves:
            self._draw_curve(axes, curve)
        bottom = top + height
        if panel.firings:
            bottom = self._draw_firings(axes, panel, bottom)
        if panel is self.picture.panels[-1]:
            self._write_dates(bottom + layout.gap)
        self._write_curve_labels(axes, panel, top, height)
        if self.picture.simulated:
            stamp = axes.text(0.5, 0.5, SIMULATED, transform=axes.transAxes, fontproperties=layout.heading.properties())
            stamp.set(color=self.theme.muted, alpha=0.16, ha="center", va="center", zorder=0)
            stamp.set_fontsize(points(self.axes_width / 7))

    def _style_axes(self, axes: Axes, panel: Panel) -> None:
        last = max(1, len(self.picture.days) - 1)
        axes.set_facecolor(self.theme.background)
        axes.set_xlim(-X_PADDING * last, (1 + X_PADDING) * last)
        low, high = panel.y_range
        if panel.log_scale:
            axes.set_yscale("log")
            padding = (high / low) ** Y_PADDING
            axes.set_ylim(low / padding, high * padding)
            ticks = log_ticks(*axes.get_ylim())
            axes.minorticks_off()
        else:
            padding = Y_PADDING * (high - low) or FLAT_Y_PADDING
            axes.set_ylim(low - padding, high + padding)
            low, high = axes.get_ylim()
            round_values = MaxNLocator(MAX_Y_TICKS, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
            ticks = [tick for tick in round_values if low <= tick <= high]
        axes.set_yticks(ticks, [tick_label(tick) for tick in ticks], fontproperties=self.layout.body.properties())
        axes.set_xticks(list(self.ticks), [""] * len(self.ticks))
        axes.tick_params(axis="both", colors=self.theme.muted, length=0, pad=points(self.layout.gap))
        axes.grid(color=self.theme.grid, linewidth=points(self.layout.line / 3))
        axes.set_axisbelow(True)
        axes.axhline(panel.baseline, color=self.theme.muted, linewidth=points(self.layout.line / 2.5))
        for spine in axes.spines.values():
            spine.set_visible(False)

    def _draw_curve(self, axes: Axes, curve: Curve) -> None:
        layout, color = self.layout, self.theme.curves[curve.role]
        width = max(layout.min_line, min(layout.line, 0.6 * self.axes_width / len(curve.values)))
        indexes = visible_indexes(curve.values, round(self.axes_width / layout.min_line))
        values = [curve.values[index] for index in indexes]
        axes.plot(
            indexes,
            values,
            color=color,
            linewidth=points(width),
            linestyle=LINE_STYLES[curve.role],
            solid_joinstyle="round",
        )
        alone = [(indexes[at], values[at]) for at in _isolated(values)]
        axes.plot(*zip(*alone, strict=True) if alone else ([], []), "o", color=color, markersize=points(2 * width))

    def _draw_firings(self, axes: Axes, panel: Panel, bottom: float) -> float:
        """Draw a bar beneath the axes over the days of each firing, at least as wide as a line; return its end."""
        layout, color = self.layout, self.theme.threshold
        height = axes.get_window_extent().height
        at, thickness = -(layout.gap + layout.strip) / height, layout.strip / height
        days_per_pixel = np.diff(axes.get_xlim())[0] / self.axes_width
        for firing in panel.firings:
            first, last = firing.first - 0.5, firing.last + 0.5
            shortfall = max(0.0, layout.line * days_per_pixel - (last - first)) / 2
            start, end = (np.clip([first - shortfall, last + shortfall], *axes.get_xlim())).tolist()
            axes.add_patch(
                Rectangle(
                    (start, at),
                    end - start,
                    thickness,
                    transform=axes.get_xaxis_transform(),
                    color=color,
                    linewidth=0,
                    clip_on=False,
                )
            )
        middle = bottom + layout.gap + layout.strip / 2
        label = self._write(layout.width - self.right + layout.gap, middle, FIRING_LABEL, self.label_font, color)
        label.set(va="center")
        return bottom + layout.gap + layout.strip

    def _write_dates(self, top: float) -> None:
        layout = self.layout
        last = max(1, len(self.picture.days) - 1)
        start, per_day = X_PADDING * last, self.axes_width / (last * (1 + 2 * X_PADDING))
        for index, label in self.ticks.items():
            x = layout.left + (index + start) * per_day
            side = "left" if index == 0 else "right" if index == last else "center"
            for line, text in enumerate(label.split("\n"), 1):
                baseline = top + line * LINE_HEIGHT * layout.body.size
                self._write(x, baseline, text, layout.body, self.theme.muted).set(va="baseline", ha=side)

    def _write_curve_labels(self, axes: Axes, panel: Panel, top: float, height: float) -> None:
        """Write each curve's label at its last value, moved if labels would overlap."""
        font = self.label_font
        curves = sorted(panel.curves, key=_last_value, reverse=True)
        shares = [axes.transLimits.transform(axes.transScale.transform((0, _last_value(one))))[1] for one in curves]
        preferred = [top + height * (1 - share) for share in shares]
        heights = [font.size * LABEL_SPACING * (curve.label.count("\n") + 1) for curve in curves]
        for curve, middle in zip(curves, _spread_labels(preferred, heights, top, height), strict=True):
            x = self.layout.width - self.right + self.layout.gap
            self._write(x, middle, curve.label, font, self.theme.curves[curve.role]).set(va="center")


def tick_label(value: float) -> str:
    """Return the label of a value on the axis."""
    text = f"{value:.0e}" if abs(value) >= SCIENTIFIC_FROM else f"{value:,.6g}"
    return text.replace("-", MINUS)


def log_ticks(low: float, high: float) -> list[float]:
    """Return round values on a logarithmic axis, as many as fit."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = list[float]()
    for steps in LOG_STEPS:
        ticks = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
        if len(ticks) <= MAX_LOG_TICKS:
            return ticks
    return ticks[:: math.ceil(len(ticks) / MAX_Y_TICKS)]


def _draw_levels(axes: Axes, panel: Panel, theme: Theme, layout: Layout) -> None:
    """Shade the range beyond each firing threshold, and more lightly the range between it and the clear level."""
    low, high = axes.get_ylim()
    width = points(layout.line / 2)
    for level in panel.levels:
        end = high if (level.fires, level.fires) > (level.clears, 0) else low
        axes.axhspan(level.fires, end, color=theme.threshold, alpha=0.17, linewidth=0, zorder=0.5)
        axes.axhspan(level.clears, level.fires, color=theme.threshold, alpha=0.07, linewidth=0, zorder=0.5)
        axes.axhline(level.fires, color=theme.threshold, linewidth=width, zorder=1.5)
        axes.axhline(level.clears, color=theme.threshold, linewidth=width, linestyle=DOTTED, zorder=1.5)


def _isolated(values: Sequence[float]) -> list[int]:
    """Return the indexes of values with a gap on both sides, which no line connects."""
    known = [False, *map(math.isfinite, values), False]
    return [index for index in range(len(values)) if known[index + 1] and not (known[index] or known[index + 2])]


def axis_ticks(days: Sequence[date], label_share: float) -> dict[int, str]:
    """Return labels by position: both ends with their year, and dates between them where a label fits.

    Over months they are round dates, each at the first session on or after it. A date has its year if the label before
    has another one. `label_share` is the width of a label as a share of the axis.
    """
    last = len(days) - 1
    ticks = {end: f"{days[end]:%b} {days[end].day}\n{days[end].year}" for end in (0, last)}
    if last < 1:
        return ticks
    room, year, at = (0.5 + TICK_SPACING) * label_share, days[0].year, 0.0
    positions, form = _dates_between(days, room, max(2, int(1 / (TICK_SPACING * label_share))))
    for position in positions:
        share = position / last
        if room <= share <= 1 - room and share - at >= TICK_SPACING * label_share:
            day = days[position]
            ticks[position] = day.strftime(form if day.year == year else f"{form}\n%Y")
            year, at = day.year, share
    return dict(sorted(ticks.items()))


def _dates_between(days: Sequence[date], room: float, max_ticks: int) -> tuple[list[int], str]:
    """Return the positions of first sessions of months or years; over a few weeks, of evenly spaced sessions."""
    rounded = AutoDateLocator(minticks=2, maxticks=max_ticks).tick_values(*num2date(date2num([days[0], days[-1]])))
    if all(at.day == 1 for at in num2date(rounded)):
        return np.searchsorted(date2num(days), np.asarray(rounded)).tolist(), "%b"
    last = len(days) - 1
    return np.linspace(0, last, min(last, int(1 / room)) + 1).round().astype(int).tolist(), "%b %-d"


def _last_value(curve: Curve) -> float:
    return next((value for value in reversed(curve.values) if math.isfinite(value)), 0.0)


def _spread_labels(preferred: Sequence[float], heights: Sequence[float], top: float, height: float) -> list[float]:
    """Return label positions, ordered from the top, that don't overlap and stay beside the axes."""
    placed, ceiling = list[float](), top
    for middle, label_height in zip(preferred, heights, strict=True):
        placed.append(max(middle, ceiling + label_height / 2))
        ceiling = placed[-1] + label_height / 2
    floor = top + height
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], floor - heights[index] / 2)
        floor = placed[index] - heights[index] / 2
    return placed

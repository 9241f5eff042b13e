"""Draw a picture as a PNG.

Only what draws imports this: matplotlib takes half a second and some memory. One thread at a time may draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import FuncFormatter, MaxNLocator

from handlers.render.canvas import FOOT_ROOM, HEAD, HEAD_ROOM, TEXT, TICK_ROOM, TITLE, Sheet, Strip, points
from handlers.render.markup import MINUS, SIMULATED
from handlers.render.picture import DOTTED, STYLES, THEMES, WIDTHS, Line, Panel, Picture, Scheme, Theme, Tick, ticks
from services.rules.decide import Change

ROOM = 0.08  # of what is shown, above and below
FLAT = 1.0  # what is shown around a line that never moves
TICKS = 5
LARGE = 1e5
CROWD = 24  # spots, from which on they are smaller
LONG = 400  # days, from which on lines are thinner
LABEL_LINE = 1.2  # of a letter's height
QUICK = 3  # of 9: half the time of the usual level, a sixth more bytes
AROUND = 0.5  # of a day, left and right of all


def png(picture: Picture, scheme: Scheme) -> bytes:
    """Draw all of it."""
    theme = THEMES[scheme]
    sheet = Sheet(picture, theme.ground)
    canvas = FigureCanvasAgg(sheet.figure)
    days = ticks(picture.days)
    sheet.write(picture.title, TITLE, theme.ink)
    for number, panel in enumerate(picture.panels):
        sheet.y += HEAD_ROOM
        sheet.write(panel.title, HEAD, theme.ink)
        sheet.write(panel.small, TEXT, theme.muted)
        axes, strip = sheet.axes(number)
        _draw(axes, picture, panel, theme)
        _days(axes, days, theme, named=panel is picture.panels[-1])
        _label(sheet, strip, panel, theme)
    sheet.y += TICK_ROOM + FOOT_ROOM
    sheet.write(picture.foot, TEXT, theme.muted)
    written = BytesIO()
    canvas.print_png(written, pil_kwargs={"compress_level": QUICK})  # type: ignore[no-untyped-call]
    return written.getvalue()


def _draw(axes: Axes, picture: Picture, panel: Panel, theme: Theme) -> None:
    axes.set_xlim(-AROUND, max(1, len(picture.days) - 1) + AROUND)
    axes.set_ylim(*_limits(panel))
    axes.axhline(panel.base, color=theme.muted, linewidth=points(2))
    _levels(axes, panel, theme)
    for line in panel.lines:
        _line(axes, line, theme)
    _spots(axes, panel, theme)
    _frame(axes, theme)
    if picture.simulated:
        stamp = axes.text(0.5, 0.5, SIMULATED, transform=axes.transAxes, fontsize=points(96), zorder=0)
        stamp.set(color=theme.muted, alpha=0.16, weight="bold", ha="center", va="center")


def _frame(axes: Axes, theme: Theme) -> None:
    axes.set_facecolor(theme.ground)
    axes.yaxis.set_major_locator(MaxNLocator(TICKS, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: _tick(value)))
    axes.tick_params(axis="both", labelsize=points(TEXT.size), colors=theme.muted, length=0, pad=points(10))
    axes.tick_params(axis="x", pad=points(18))
    axes.grid(axis="y", color=theme.grid, linewidth=points(2))
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _limits(panel: Panel) -> tuple[float, float]:
    low, high = panel.reach
    room = ROOM * (high - low) or FLAT
    return low - room, high + room


def _tick(value: float) -> str:
    told = f"{value:.0e}" if abs(value) >= LARGE else f"{value:,.6g}"
    return told.replace("-", MINUS)


def _levels(axes: Axes, panel: Panel, theme: Theme) -> None:
    """Tint what lies beyond where a rule fires, and between there and where it clears."""
    low, high = axes.get_ylim()
    for level in panel.levels:
        end = high if level.fires > 0 else low
        axes.axhspan(level.fires, end, color=theme.alarm, alpha=0.17, linewidth=0, zorder=0.5)
        axes.axhspan(level.clears, level.fires, color=theme.alarm, alpha=0.07, linewidth=0, zorder=0.5)
        axes.axhline(level.fires, color=theme.alarm, linewidth=points(3), zorder=1.5)
        axes.axhline(level.clears, color=theme.alarm, linewidth=points(3), linestyle=DOTTED, zorder=1.5)


def _line(axes: Axes, line: Line, theme: Theme) -> None:
    color = theme.lines[line.role]
    width = points(WIDTHS[line.role] * (0.6 if len(line.values) > LONG else 1))
    axes.plot(line.values, color=color, linewidth=width, linestyle=STYLES[line.role], solid_joinstyle="round")
    alone = _alone(line.values)
    axes.plot(alone, [line.values[at] for at in alone], color=color, marker="o", markersize=points(9), linestyle="")


def _alone(values: Sequence[float]) -> list[int]:
    """Find the values that have none beside them, through which no line goes."""
    known = [False, *map(math.isfinite, values), False]
    return [at for at in range(len(values)) if known[at + 1] and not (known[at] or known[at + 2])]


def _spots(axes: Axes, panel: Panel, theme: Theme) -> None:
    """Draw what fired as full triangles, and over nothing else what resolved as empty rings."""
    size = points(26 if len(panel.spots) <= CROWD else 18)
    for to, marker, fill, edge in (
        (Change.RESOLVED, "o", theme.ground, theme.alarm),
        (Change.FIRING, "^", theme.alarm, theme.ground),
    ):
        places = [(spot.at, spot.value) for spot in panel.spots if spot.to is to]
        if places:
            axes.plot(
                *zip(*places, strict=True),
                linestyle="",
                marker=marker,
                markersize=size,
                markerfacecolor=fill,
                markeredgecolor=edge,
                markeredgewidth=points(3.5),
                zorder=4,
                clip_on=False,
            )


def _days(axes: Axes, days: Sequence[Tick], theme: Theme, *, named: bool) -> None:
    axes.set_xticks([tick.at for tick in days], [tick.label if named else "" for tick in days])
    axes.grid(axis="x", color=theme.grid, linewidth=points(2))


def _label(sheet: Sheet, strip: Strip, panel: Panel, theme: Theme) -> None:
    """Write each line's last value at its end, and push apart those that would touch."""
    low, high = _limits(panel)
    lines = sorted(panel.lines, key=_last, reverse=True)
    wanted = [strip.top + strip.height * (high - _last(line)) / (high - low) for line in lines]
    tall = [TEXT.size * LABEL_LINE * (line.label.count("\n") + 1) for line in lines]
    for line, middle in zip(lines, _apart(wanted, tall, strip), strict=True):
        sheet.label(line.label, middle, theme.lines[line.role])


def _last(line: Line) -> float:
    return next((value for value in reversed(line.values) if math.isfinite(value)), 0.0)


def _apart(wanted: Sequence[float], tall: Sequence[float], strip: Strip) -> list[float]:
    """Move labels, given from the top down, so far that none touches another and all stay beside the axes."""
    placed, ceiling = list[float](), strip.top
    for middle, size in zip(wanted, tall, strict=True):
        placed.append(max(middle, ceiling + size / 2))
        ceiling = placed[-1] + size / 2
    floor = strip.top + strip.height
    for at in reversed(range(len(placed))):
        placed[at] = min(placed[at], floor - tall[at] / 2)
        floor = placed[at] - tall[at] / 2
    return placed

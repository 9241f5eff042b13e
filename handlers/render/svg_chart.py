"""Charts and sparklines as values with the geometry of inline SVG: x in percent of the width, y in pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, NamedTuple

from handlers.render import fmt
from handlers.render.markup import MINUS
from handlers.render.picture import ColorRole

LOG_FROM = 3.0  # a logarithmic axis from this ratio of the largest to the smallest value on
MAX_Y_TICKS, MAX_X_TICKS = 5, 5
Y_PADDING = 8  # pixels, above and below
NICE_STEPS = (1, 2, 5, 10)
LOG_STEPS = (1, 2, 5)
MONTH_STEPS = (1, 2, 3, 6, 12, 24, 36, 60)
WIDTH = 1_000  # of a plot's own coordinates, which stretch to the width of the page
NEAR_EDGE = 6.0  # percent; a label there is aligned with the edge
MONTHS = 12
THOUSANDS_FROM = 1_000


class Tick(NamedTuple):
    """A position on an axis with its label; `align` is the text's anchor."""

    at: float
    label: str
    align: str = "middle"


class Bar(NamedTuple):
    """A horizontal bar, in percent of the width."""

    at: float
    width: float


class Scale(NamedTuple):
    """A value axis from `low` at the bottom to `high` at the top of `height` pixels."""

    low: float
    high: float
    height: int

    @property
    def is_log(self) -> bool:
        """Whether the axis is logarithmic: all values are positive, and far apart."""
        return self.low > 0 and self.high / self.low > LOG_FROM

    @property
    def ticks(self) -> list[float]:
        """Round values on the axis."""
        return log_ticks(self.low, self.high) if self.is_log else linear_ticks(self.low, self.high)

    def y(self, value: float) -> float:
        """Return the position of a value, in pixels from the top."""
        low, high = self.low, self.high
        share = math.log(value / low) / math.log(high / low) if self.is_log else (value - low) / (high - low)
        return round(self.height - Y_PADDING - share * (self.height - 2 * Y_PADDING), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A value per session, NaN for a gap, and each value as the text that is shown on hover."""

    role: ColorRole
    name: str
    values: tuple[float, ...]
    texts: tuple[str, ...]

    @property
    def css_class(self) -> str:
        """The class that gives the line its colour and dashes."""
        return self.role.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartPanel:
    """One set of axes.

    Attributes:
        note: Below the title, such as the thresholds.
        alt: What the panel shows, in a sentence with numbers.
        height: In pixels.
        baseline: A value with a solid line, always visible.
        levels: Values with a dashed line, always visible.
        firing: First and last index of each period in which a rule was firing.
    """

    title: str
    note: str
    alt: str
    lines: tuple[Line, ...]
    height: int
    baseline: float
    levels: tuple[float, ...] = ()
    firing: tuple[tuple[int, int], ...] = ()

    @property
    def scale(self) -> Scale:
        """The value axis: all values, the baseline and the levels fit."""
        values = [value for line in self.lines for value in line.values if math.isfinite(value)]
        values += [self.baseline, *self.levels]
        low, high = min(values), max(values)
        return Scale(low, high, self.height) if high > low else Scale(low - 1, high + 1, self.height)

    @property
    def y_ticks(self) -> list[Tick]:
        """Labelled positions on the value axis, in pixels from the top."""
        scale = self.scale
        return [Tick(scale.y(value), tick_label(value)) for value in scale.ticks]

    @property
    def baseline_y(self) -> float:
        """The position of the baseline."""
        return self.scale.y(self.baseline)

    @property
    def level_ys(self) -> list[float]:
        """The positions of the levels."""
        return [self.scale.y(level) for level in self.levels]

    @property
    def paths(self) -> list[tuple[str, str]]:
        """The class and the SVG path of each line; a gap interrupts it."""
        return [(line.css_class, _path(self.positions(line))) for line in self.lines]

    @property
    def bars(self) -> list[Bar]:
        """The periods in which a rule was firing, each at least one session wide."""
        count = len(self.lines[0].values)
        return [
            Bar(x_percent(first, count), round(max(last - first, 1) * 100 / max(count - 1, 1), 2))
            for first, last in self.firing
        ]

    def positions(self, line: Line) -> list[float | None]:
        """Return the position of each value of a line; None for a gap."""
        scale = self.scale
        return [scale.y(value) if math.isfinite(value) else None for value in line.values]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Panels stacked over the same sessions; a script shows the values of one session at a time."""

    kind: ClassVar = "chart"
    name: str
    title: str
    days: tuple[date, ...]
    panels: tuple[ChartPanel, ...]

    @property
    def day_labels(self) -> list[str]:
        """Each session's date as it is shown on hover."""
        return [fmt.full_day(day) for day in self.days]

    @property
    def x_ticks(self) -> list[Tick]:
        """Labelled positions on the time axis, in percent of the width."""
        return day_ticks(self.days)

    @property
    def data(self) -> dict[str, object]:
        """What the script needs: each session's date, and each line's positions and texts."""
        lines = [
            {"name": line.name, "y": panel.positions(line), "text": line.texts}
            for panel in self.panels
            for line in panel.lines
        ]
        return {"days": self.day_labels, "lines": lines}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparkline:
    """A small line without axes; `alt` says its first, last, lowest and highest value."""

    kind: ClassVar = "sparkline"
    values: tuple[float, ...]
    alt: str
    width: ClassVar = 120
    height: ClassVar = 24

    @property
    def path(self) -> str:
        """The SVG path, in pixels."""
        known = [value for value in self.values if math.isfinite(value)]
        low, high = min(known), max(known)
        span = (high - low) or 1.0
        ys = [
            round(self.height - 3 - (value - low) / span * (self.height - 6), 1) if math.isfinite(value) else None
            for value in self.values
        ]
        return _path(ys, self.width - 4, 2)


def x_percent(index: int, count: int) -> float:
    """Return the position of a session, in percent of the width."""
    return round(100 * index / max(count - 1, 1), 2)


def _path(ys: Sequence[float | None], width: float = WIDTH, left: float = 0) -> str:
    """Return an SVG path through the known positions; a single one between gaps is a dot."""
    commands, is_drawing = list[str](), False
    for index, y in enumerate(ys):
        if y is not None:
            x = round(left + width * index / max(len(ys) - 1, 1), 1)
            commands.append(f"L{x:g} {y:g}" if is_drawing else f"M{x:g} {y:g}h0")
        is_drawing = y is not None
    return "".join(commands)


def linear_ticks(low: float, high: float) -> list[float]:
    """Return at most five round values between two others."""
    rough = (high - low) / MAX_Y_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(nice for nice in NICE_STEPS if nice * power >= rough)
    return [round(step * index, 10) for index in range(math.ceil(low / step), math.floor(high / step) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return the values 1, 2 and 5 times a power of ten between two others."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [step * 10.0**power for power in powers for step in LOG_STEPS]
    return [value for value in values if low <= value <= high]


def tick_label(value: float) -> str:
    """Return a value of an axis with no more digits than it has, and a true minus sign."""
    digits = f"{abs(value):,.0f}" if abs(value) >= THOUSANDS_FROM else f"{abs(value):g}"
    return f"{MINUS if value < 0 else ''}{digits}"


def day_ticks(days: Sequence[date]) -> list[Tick]:
    """Return the first sessions of at most five round periods; of a few weeks, the first and the last session."""
    months = [day.year * MONTHS + day.month - 1 for day in days]
    step = next(
        step for step in MONTH_STEPS if (months[-1] - months[0]) / step <= MAX_X_TICKS or step == MONTH_STEPS[-1]
    )
    starts = [
        index
        for index in range(1, len(days))
        if months[index] != months[index - 1] and months[index] // step != months[index - 1] // step
    ]
    if len(starts) < 2:  # noqa: PLR2004 -- an axis needs two labels
        ends = sorted({0, len(days) - 1})
        return [_day_tick(index, len(days), fmt.full_day(days[index])) for index in ends]
    return [
        _day_tick(index, len(days), f"{days[index].year}" if step >= MONTHS else f"{days[index]:%b %Y}")
        for index in starts
    ]


def _day_tick(index: int, count: int, label: str) -> Tick:
    at = x_percent(index, count)
    return Tick(at, label, "start" if at < NEAR_EDGE else "end" if at > 100 - NEAR_EDGE else "middle")

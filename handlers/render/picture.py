"""A picture as a value: everything drawn and written, in displayed units, and its alt text."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum

from handlers.render.message import ALT_TEXT, clip
from services.core.rows import complete
from services.rules.decide import Change

SOLID, DASHED, DOTTED = "solid", (0, (5, 1.8)), (0, (1.2, 1.6))


class ColorRole(Enum):
    """What a curve shows; each role has the same colour and line style in every picture."""

    ETF = "etf"
    CRYPTO = "crypto"
    PROXY = "proxy"
    METRIC = "watched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A value per day, NaN for a gap; `label` is written at the curve's end."""

    role: ColorRole
    values: tuple[float, ...]
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Where a rule fires and where it clears, both on the same side of zero."""

    fires: float
    clears: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A rule's firing or resolution, on the day at this index and at this value."""

    index: int
    value: float
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One set of axes: a title, a subtitle, curves around `baseline`, and the levels and markers of rules."""

    title: str
    subtitle: str
    baseline: float
    curves: tuple[Curve, ...]
    levels: tuple[Level, ...] = ()
    markers: tuple[Marker, ...] = ()

    @property
    def y_range(self) -> tuple[float, float]:
        """The lowest and the highest value to show: baseline, curves and firing thresholds."""
        values = [value for curve in self.curves for value in curve.values if math.isfinite(value)]
        values += [self.baseline, *(level.fires for level in self.levels)]
        return min(values), max(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Panels stacked over the same days, with a title and a footer; `alt` says everything in text."""

    title: str
    days: tuple[date, ...]
    panels: tuple[Panel, ...]
    footer: str
    alt: str
    simulated: bool = False


def alt_text(*sentences: str) -> str:
    """Return the non-empty sentences as one alt text within Slack's limit."""
    return clip(" ".join(sentence for sentence in sentences if sentence), ALT_TEXT)


LINE_STYLES = complete(
    "LINE_STYLES",
    ColorRole,
    {ColorRole.ETF: SOLID, ColorRole.CRYPTO: DASHED, ColorRole.PROXY: DOTTED, ColorRole.METRIC: SOLID},
)
LINE_WIDTHS = complete(
    "LINE_WIDTHS", ColorRole, {ColorRole.ETF: 5.0, ColorRole.CRYPTO: 4.5, ColorRole.PROXY: 4.5, ColorRole.METRIC: 4.0}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours of the background, text, grid and curves; `threshold` is for levels and events of rules."""

    background: str
    text: str
    muted: str
    grid: str
    threshold: str
    curves: Mapping[ColorRole, str]


class ColorScheme(Enum):
    """The background that a picture is made for."""

    LIGHT = "light"
    DARK = "dark"


THEMES = complete(
    "THEMES",
    ColorScheme,
    {
        ColorScheme.LIGHT: Theme(
            background="#ffffff",
            text="#1a1d21",
            muted="#565b63",
            grid="#e3e5e8",
            threshold="#a8457f",
            curves=complete(
                "curves",
                ColorRole,
                {
                    ColorRole.ETF: "#0072b2",
                    ColorRole.CRYPTO: "#d55e00",
                    ColorRole.PROXY: "#00795a",
                    ColorRole.METRIC: "#1a1d21",
                },
            ),
        ),
        ColorScheme.DARK: Theme(
            background="#14181d",
            text="#eceff2",
            muted="#a9b1ba",
            grid="#2c333b",
            threshold="#e08fbb",
            curves=complete(
                "curves",
                ColorRole,
                {
                    ColorRole.ETF: "#56b4e9",
                    ColorRole.CRYPTO: "#e69f00",
                    ColorRole.PROXY: "#2fc79b",
                    ColorRole.METRIC: "#eceff2",
                },
            ),
        ),
    },
)

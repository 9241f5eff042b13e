"""A picture as a value: everything drawn and written, in displayed units, and its alt text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

from handlers.render.message import ALT_TEXT, clip
from services.core.rows import complete

SOLID, DASHED, DOTTED = "solid", (0, (5, 1.8)), (0, (1.2, 1.6))
LOG_SCALE_FROM = 3.0  # highest value over lowest; a linear scale would flatten the lower half


class Size(Enum):
    """Where a picture is shown: as a card in a message on a phone, or at full width on a desktop screen."""

    PHONE = "phone"
    DESKTOP = "desktop"


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
class FiringSpan:
    """The days on which a rule was firing, by their first and last index."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One set of axes: a title, a subtitle, curves around `baseline`, and the levels and firings of rules.

    Attributes:
        indexed: The curves are price levels, which a logarithmic scale may show.
    """

    title: str
    subtitle: str
    baseline: float
    curves: tuple[Curve, ...]
    levels: tuple[Level, ...] = ()
    firings: tuple[FiringSpan, ...] = ()
    indexed: bool = False

    @property
    def y_range(self) -> tuple[float, float]:
        """The lowest and the highest value to show: baseline, curves and firing thresholds."""
        values = [value for curve in self.curves for value in curve.values if math.isfinite(value)]
        values += [self.baseline, *(level.fires for level in self.levels)]
        return min(values), max(values)

    @property
    def log_scale(self) -> bool:
        """Whether the levels differ by more than a factor of 3."""
        low, high = self.y_range
        return self.indexed and low > 0 and high > LOG_SCALE_FROM * low

    @property
    def caption(self) -> str:
        """The subtitle, and the kind of scale if it is logarithmic."""
        return f"{self.subtitle}; log scale" if self.log_scale else self.subtitle


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Panels stacked over the same days, with a footer.

    Attributes:
        title: The headline, for the file and the alt text; it isn't drawn, because the message has it.
        alt: Everything that the picture shows, as text.
    """

    title: str
    days: tuple[date, ...]
    panels: tuple[Panel, ...]
    footer: str
    alt: str
    simulated: bool = False


def alt_text(*sentences: str) -> str:
    """Return the non-empty sentences as one alt text within Slack's limit."""
    return clip(" ".join(sentence for sentence in sentences if sentence), ALT_TEXT)


def visible_indexes(values: Sequence[float], columns: int) -> list[int]:
    """Return the indexes to draw on a number of pixel columns.

    Of many values, each column keeps its first, lowest, highest and last one, and a gap, so that extremes stay visible.
    """
    count = len(values)
    if count <= columns:
        return list(range(count))
    kept = set[int]()
    for column in range(columns):
        indexes = range(column * count // columns, (column + 1) * count // columns)
        known = [index for index in indexes if math.isfinite(values[index])]
        kept.update([index for index in indexes if not math.isfinite(values[index])][:1])
        if known:
            kept |= {known[0], known[-1], min(known, key=values.__getitem__), max(known, key=values.__getitem__)}
    return sorted(kept)


LINE_STYLES = complete(
    "LINE_STYLES",
    ColorRole,
    {ColorRole.ETF: SOLID, ColorRole.CRYPTO: DASHED, ColorRole.PROXY: DOTTED, ColorRole.METRIC: SOLID},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours of the background, text, grid and curves; `threshold` is for levels and firings of rules."""

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

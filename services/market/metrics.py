"""Metrics that a rule can watch: one row per metric and one per unit.

Grammar, editor, help, alerts, charts and tuning derive from the rows. Every Metric of this module is a row of METRICS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from typing import NamedTuple, NewType, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.core.rows import by_key, complete
from services.core.statistics import finite_or_none
from services.market.align import Aligned
from services.market.gap import Gap
from services.market.measure import (
    Correlation,
    Measurement,
    Window,
    anchors,
    beta_series,
    correlation_series,
    difficulty_series,
    drawdown,
    drawdown_series,
    hashprice_series,
    residual_series,
    returns,
    sigma_series,
    spread_series,
    z_series,
)

Subject = NewType("Subject", str)  # stored with each alert
Series: TypeAlias = Callable[[Aligned, Window], NDArray[np.float64]]

DIVERGENCE = Subject("divergence")
WINDOWS = tuple(Window)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Unit:
    """The unit of a metric's values.

    Attributes:
        name: On the axis of a chart.
        prefix, suffix: Around a number in the text of a rule.
        suffixes: Suffixes that the grammar reads, each with the number of decimal places below `suffix`.
        decimals: Decimal places between a value in code and its text: 0.08 is `8pp`.
        max_value: Largest threshold.
        step: Distance between two thresholds in tuning.
        written: Template of a value in a message.
        cell: Template of a value in a terminal's table.
        syntax: What the grammar expects.
        example: What to type in the editor.
        margin: For a level, which is compared as it is and not by its distance from zero: how far behind the threshold
            a rule clears, if it does not say.
    """

    name: str
    prefix: str = ""
    suffix: str = ""
    suffixes: Mapping[str, int]
    decimals: int
    max_value: float
    step: float
    written: str
    cell: str
    syntax: str
    example: str
    margin: float | None = None

    @property
    def is_level(self) -> bool:
        """Whether values are compared as they are, on one side, with a clear level behind the threshold."""
        return self.margin is not None

    @property
    def scale(self) -> float:
        """The factor from a value in code to the number that people read."""
        return 10.0**self.decimals

    @property
    def max_steps(self) -> int:
        """How many steps the largest threshold has."""
        return round(self.max_value / self.step)

    def threshold_at(self, step: int) -> float:
        """Return the threshold at a step of tuning, exact in decimal."""
        return float(Decimal(repr(self.step)) * step)

    def affix(self, number: str) -> str:
        """Return a number as it is typed in a rule: `8pp`, `z3.5`."""
        return f"{self.prefix}{number}{self.suffix}"

    def __repr__(self) -> str:
        return self.name


_BASIS_POINTS = {"bp": 2, "bps": 2}

PP = Unit(
    name="pp",
    suffix="pp",
    suffixes={"pp": 0, "%": 0, **_BASIS_POINTS},
    decimals=2,
    max_value=10.0,
    step=0.001,
    written="{} pp",
    cell="{:+.1f} pp",
    syntax="percentage points, as in 8pp",
    example="8pp",
)
PERCENT = Unit(
    name="%",
    suffix="%",
    suffixes={"%": 0, **_BASIS_POINTS},
    decimals=2,
    max_value=1.0,
    step=0.01,
    written="{}%",
    cell="{:.1f}%",
    syntax="a percentage, as in 5%",
    example="5%",
)
ROBUST_Z = Unit(
    name="z",
    prefix="z",
    suffixes={"": 0},
    decimals=0,
    max_value=100.0,
    step=0.1,
    written="z {}",
    cell="{:+.1f}",
    syntax="a robust z, as in z3.5",
    example="3.5",
)
SIGMA = Unit(
    name="σ",
    suffix="sigma",
    suffixes={"": 0, "sigma": 0, "σ": 0, "sd": 0},
    decimals=0,
    max_value=20.0,
    step=0.1,
    written="{}σ",
    cell="{:+.1f}σ",
    syntax="a move in units of its usual size, as in 2.2sigma",
    example="2.2sigma",
)
CORRELATION = Unit(
    name="correlation",
    suffixes={"": 0},
    decimals=0,
    max_value=0.85,  # so that the clear level behind it can be reached
    step=0.01,
    written="{}",
    cell="{:+.2f}",
    syntax="a correlation, as in 0.4",
    example="0.4",
    margin=0.1,
)
BETA = Unit(
    name="beta",
    suffixes={"": 0},
    decimals=0,
    max_value=5.0,
    step=0.05,
    written="{}",
    cell="{:+.2f}",
    syntax="a beta, as in 0.5",
    example="0.5",
    margin=0.1,
)


class Direction(Enum):
    """The side on which a value must be for a rule to fire: for a spread, above means that the ETF is ahead."""

    ABOVE = "above"
    BELOW = "below"
    EITHER = "either"


class Magnitude(NamedTuple):
    """An unsigned value: the comparative for more of it (`deeper`)."""

    comparative: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """How unusual a measurement is among the 252 sessions before it.

    Attributes:
        noun: What is ranked, after `the 5-day`.
        value: The ranked value; its sign gives the side.
        percentile: 0 to 100, for windows of at most 20 sessions; None if the history is too short.
        z: Its robust z; None if it has none.
        sigma: Its volatility-scaled move, for longer windows; None if it has none.
    """

    noun: str
    value: Callable[[Measurement], float | None]
    percentile: Callable[[Measurement], float | None]
    z: Callable[[Measurement], float | None] = lambda _measurement: None
    sigma: Callable[[Measurement], float | None] = lambda _measurement: None


SPREAD_RANK = Rank(
    noun="spread",
    value=lambda measurement: measurement.spread,
    percentile=lambda measurement: measurement.percentile,
    z=lambda measurement: measurement.z,
    sigma=lambda measurement: measurement.sigma,
)


class Retired(NamedTuple):
    """Windows that new rules on a metric cannot have, the metric to use instead, and its threshold for an old one."""

    windows: tuple[Window, ...]
    successor: str
    threshold: Callable[[Window, float], float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Metric:
    """A metric that a rule can watch. There is one object per name; metrics are compared by identity.

    A metric with `implied` exists only while the ETF is closed, and has neither `series` nor `live`.

    Attributes:
        name: In the text of a rule. Rules are stored as text, so a name doesn't change.
        named: The text of a rule has the name; if not, the metric is the default, or the prefix or suffix of its unit
            selects it.
        windows: Windows that a rule can have; none if it has no window.
        magnitude: None if the value has a sign, and thus two sides.
        subject: Metrics with the same subject share an alert.
        needs_network: The metric needs the bitcoin network's history and a bitcoin pair.
        series: A float64 value for each row, NaN if it cannot be measured.
        live: The value of the last row, None if it cannot be measured. Without it, the end of `series` is used.
        implied: The value from the gap that bitcoin implies.
        crypto_weight: For an ETF return minus a multiple of bitcoin's: that multiple, for each row.
        rank: How unusual an alert's measurement is; None if it is not ranked.
        fit: The correlation behind the value, which an alert shows with its interval and R²; None if it has none.
        closes_only: The value changes only at closes, so a rule is decided there, once a session.
        direction: Of a rule that names none.
        scaled: Name of the metric that measures the same in units of its usual size; empty if there is none.
        retired: Windows that only rules of earlier releases have; these keep running.
        label: In the editor.
        headline: Template of an alert's title. Fields: `etf` (`WGMI`, or `WGMI closed`), `crypto` (`BTC`), `spread`
            (`8.4 pp ahead of BTC`), `value` (without its sign), `signed` (with its sign), `ahead` (`ahead of` or
            `behind`), `window` (`over 5 sessions`).
        phrase: Template of an alert's topic, without numbers. Fields: `etf`, `crypto`, `ahead`, `side`, `move` (`up` or
            `down`).
        widened: What the alert's thread says if the value grows further: `Widened`, `Deepened`.
        chart: Template of a chart's title. Fields: `window` (`5-session`), `crypto`, `name`, `unit`.
        example: A threshold in the text of a rule.
        examples: Rules in the help.
        note: A line of the help on rules.
    """

    name: str
    unit: Unit
    named: bool = True
    windows: tuple[Window, ...] = WINDOWS
    magnitude: Magnitude | None = None
    subject: Subject
    needs_network: bool = False
    series: Series | None = None
    live: Callable[[Aligned, Measurement], float | None] | None = None
    implied: Callable[[Gap], float | None] | None = None
    crypto_weight: Callable[[Aligned], NDArray[np.float64]] | None = None
    rank: Rank | None = SPREAD_RANK
    fit: Callable[[Measurement], Correlation | None] | None = None
    closes_only: bool = False
    direction: Direction = Direction.EITHER
    scaled: str = ""
    retired: Retired | None = None
    label: str
    headline: str
    phrase: str
    widened: str = "Widened"
    chart: str = "{window} {name}, {unit}"
    example: str
    examples: tuple[str, ...] = field(default=())
    note: str = ""

    @property
    def windowed(self) -> bool:
        """Whether a rule on this metric has a window."""
        return bool(self.windows)

    @property
    def signed(self) -> bool:
        """Whether the value has a sign, and thus two sides."""
        return self.magnitude is None and not self.unit.is_level

    @property
    def is_divergence(self) -> bool:
        """Whether the metric measures how far the legs diverge."""
        return self.subject == DIVERGENCE

    def value(self, aligned: Aligned, measurement: Measurement) -> float | None:
        """Return the value at the last row of `aligned`, which `measurement` measures; None if there is none."""
        if self.live is not None:
            return self.live(aligned, measurement)
        return None if self.series is None else finite_or_none(self.series(aligned, measurement.window)[-1])

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Callable[[str], Metric], tuple[str]]:
        return metric_named, (self.name,)  # a copy is the same object


def _bitcoin_depth(aligned: Aligned, _measurement: Measurement) -> float | None:
    depth = drawdown(aligned, aligned.crypto, aligned.crypto_prior_high)
    return None if depth is None else depth.depth


SIGMA_FLOOR = 0.01  # of the spread; below it, a pair that hardly diverges would fire on tracking noise


def watched_sigma_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Return `sigma_series` for rules: 0 where the spread is below 1 pp, however quiet the pair is."""
    sigma, spread = sigma_series(aligned, window), spread_series(aligned, window)
    return np.where(np.isfinite(sigma) & (np.abs(spread) < SIGMA_FLOOR), 0.0, sigma)


SPREAD = Metric(
    name="spread",
    named=False,
    unit=PP,
    subject=DIVERGENCE,
    series=spread_series,
    live=lambda _aligned, measurement: measurement.spread,
    crypto_weight=lambda aligned: np.ones(len(aligned)),
    scaled="sigma",
    label="Spread: ETF return minus BTC return",
    headline="{etf} {spread} {window}",
    phrase="{etf} {ahead} {crypto}",
    example="10pp",
    examples=("1d 8pp", "5d 15pp above clear 10pp"),
)
RESIDUAL = Metric(
    name="residual",
    unit=PP,
    subject=DIVERGENCE,
    series=residual_series,
    live=lambda _aligned, measurement: measurement.residual,
    crypto_weight=beta_series,
    label="Residual: ETF return minus beta × BTC return",
    headline="{etf} {value} {ahead} its {crypto} beta {window}",
    phrase="{etf} {ahead} its {crypto} beta",
    example="10pp",
    examples=("20d residual 10pp for 10m",),
)
LONG_WINDOWS = tuple(window for window in Window if not window.is_short)
# Thresholds that equally many sessions of 16 shares are past, 2018 to April 2026: a robust z, and sigma by window.
_Z = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0)
_SIGMA = complete(
    "_SIGMA",
    LONG_WINDOWS,
    {
        Window.D60: (1.28, 1.51, 1.68, 1.82, 1.95, 2.07, 2.32),
        Window.D252: (0.72, 0.87, 0.97, 1.05, 1.14, 1.24, 1.42),
        Window.YTD: (0.82, 0.96, 1.11, 1.23, 1.33, 1.40, 1.55),
    },
)


def _sigma_for_z(window: Window, z: float) -> float:
    """Return the threshold in sigma that is passed as often as a robust z; beyond the measured ones, in proportion."""
    known = min(max(z, _Z[0]), _Z[-1])
    return float(np.interp(known, _Z, _SIGMA[window])) * z / known


Z = Metric(
    name="z",
    named=False,
    unit=ROBUST_Z,
    subject=DIVERGENCE,
    series=z_series,
    live=lambda _aligned, measurement: measurement.z,
    label="Robust z of the spread",
    headline="{etf}–{crypto} spread at {signed} {window}",
    phrase="{etf} {ahead} {crypto}",
    chart="{window} spread, robust z",
    retired=Retired(windows=LONG_WINDOWS, successor="sigma", threshold=_sigma_for_z),
    example="z3.5",
    examples=("1d z3.5",),
)
MOVE = Metric(
    name="sigma",
    named=False,
    unit=SIGMA,
    subject=DIVERGENCE,
    series=watched_sigma_series,
    label="Sigma: spread scaled by recent volatility",
    headline="{etf}–{crypto} spread at {signed} {window}",
    phrase="{etf} {ahead} {crypto}",
    chart="{window} move, σ",
    example="2.2sigma",
    examples=("1d 2.2sigma",),
    note=(
        "`sigma` scales the spread by the pair's recent volatility, so one threshold suits calm and volatile markets. "
        "Spreads under 1 pp count as 0."
    ),
)
GAP = Metric(
    name="gap",
    unit=PERCENT,
    windows=(),
    subject=Subject("gap"),
    implied=lambda gap: gap.implied,
    label="Gap implied for the next open",
    headline="implied {etf} gap {signed} for the next open",
    phrase="implied {etf} gap {move}",
    example="5%",
    examples=("gap 5%",),
)
DRAWDOWN = Metric(
    name="drawdown",
    unit=PERCENT,
    windows=(),
    magnitude=Magnitude(comparative="deeper"),
    subject=Subject("drawdown"),
    series=lambda aligned, _window: drawdown_series(aligned.crypto, aligned.crypto_prior_high),
    live=_bitcoin_depth,
    label="BTC drawdown from its highest close",
    headline="{crypto} drawdown {value} from its high",
    phrase="{crypto} drawdown",
    widened="Deepened",
    chart="{crypto} drawdown, %",
    example="60%",
    examples=("drawdown 60%",),
)
HASHPRICE = Metric(
    name="hashprice",
    unit=PERCENT,
    subject=Subject("hashprice"),
    needs_network=True,
    series=hashprice_series,
    live=lambda _aligned, measurement: measurement.mining.hashprice_change if measurement.mining else None,
    rank=Rank(
        noun="change of hashprice",
        value=lambda measurement: measurement.mining.hashprice_change if measurement.mining else None,
        percentile=lambda measurement: measurement.mining.hashprice_percentile if measurement.mining else None,
    ),
    label="Hashprice change, excluding fees",
    headline="hashprice {signed} {window}",
    phrase="hashprice {move}",
    widened="Extended",
    example="10%",
    examples=("20d hashprice 15% below",),
    note=(
        "`hashprice` and `difficulty` are changes over the window, in percent: `above` means a rise, `below` a fall. "
        "Hashprice excludes fees, because no fee history is available. These rules also run overnight and on weekends; "
        "time after a close belongs to the next session."
    ),
)
DIFFICULTY = Metric(
    name="difficulty",
    unit=PERCENT,
    subject=Subject("difficulty"),
    needs_network=True,
    series=difficulty_series,
    live=lambda _aligned, measurement: measurement.mining.difficulty_change if measurement.mining else None,
    rank=Rank(
        noun="change of difficulty",
        value=lambda measurement: measurement.mining.difficulty_change if measurement.mining else None,
        percentile=lambda measurement: measurement.mining.difficulty_percentile if measurement.mining else None,
    ),
    label="Difficulty change",
    headline="difficulty {signed} {window}",
    phrase="difficulty {move}",
    widened="Extended",
    example="10%",
    examples=("5d difficulty 5%",),
)

CORRELATION_60 = Metric(
    name="correlation",
    unit=CORRELATION,
    windows=(Window.D60,),
    subject=Subject("correlation"),
    series=lambda aligned, _window: correlation_series(aligned),
    rank=None,
    fit=lambda measurement: measurement.latest_correlation,
    closes_only=True,
    direction=Direction.BELOW,
    label="Correlation of 1-session returns",
    headline="{etf}–{crypto} correlation {value} {window}",
    phrase="{etf}–{crypto} correlation {side} its threshold",
    widened="Extended",
    example="0.4",
    examples=("60d correlation 0.4 below clear 0.5",),
    note=(
        "`correlation` and `beta` are levels. A rule fires when the level crosses the threshold. It clears when the "
        "level has moved back by 0.1. They are evaluated at the close."
    ),
)
BETA_60 = Metric(
    name="beta",
    unit=BETA,
    windows=(Window.D60,),
    subject=Subject("beta"),
    series=lambda aligned, _window: beta_series(aligned),
    rank=None,
    fit=lambda measurement: measurement.latest_correlation,
    closes_only=True,
    direction=Direction.BELOW,
    label="Beta to BTC",
    headline="{etf} beta to {crypto} {value} {window}",
    phrase="{etf} beta to {crypto} {side} its threshold",
    widened="Extended",
    example="0.5",
    examples=("60d beta 0.5 below",),
)
ETF = Metric(
    name="etf",
    unit=PERCENT,
    subject=Subject("etf"),
    series=lambda aligned, window: returns(aligned.etf, anchors(aligned, window)),
    live=lambda _aligned, measurement: measurement.etf_return,
    rank=None,
    label="ETF return",
    headline="{etf} {signed} {window}",
    phrase="{etf} {move}",
    widened="Extended",
    chart="ETF {window} return, %",
    example="10%",
    examples=("1d etf 10%",),
)
BTC = Metric(
    name="btc",
    unit=PERCENT,
    subject=Subject("btc"),
    series=lambda aligned, window: returns(aligned.crypto, anchors(aligned, window)),
    live=lambda _aligned, measurement: measurement.crypto_return,
    rank=None,
    label="BTC return",
    headline="{crypto} {signed} {window}",
    phrase="{crypto} {move}",
    widened="Extended",
    chart="{crypto} {window} return, %",
    example="5%",
    examples=("1d btc 5% below",),
)

METRICS = by_key("METRICS", lambda row: row.name, [row for row in [*globals().values()] if isinstance(row, Metric)])


def unit_named(name: str) -> Unit:
    """Return the unit of a stored value; one that no metric has any more shows the value as it is stored."""
    units = {metric.unit.name: metric.unit for metric in METRICS.values()}
    return units.get(name) or replace(ROBUST_Z, name=name, prefix="", suffix=f" {name}", written=f"{{}} {name}")


def metric_named(name: str) -> Metric:
    """Return a metric of METRICS."""
    return METRICS[name]

"""Pictures of the rolling betas and of both legs' drawdowns, and sparklines."""

from __future__ import annotations

import math
from collections.abc import Sequence

from handlers.render import fmt
from handlers.render.picture import ColorRole, Curve, Panel, Picture, alt_text
from services.research.attribution import LOOKBACK
from services.research.explain import Explanation, RollingBetas
from services.research.report import Report

BLOCK_BARS, NO_BAR = "▁▂▃▄▅▆▇█", "·"

CLOSES_NOTE = "Session closes; bitcoin at the ETF's own close."
HIGHS_NOTE = "Highs count from the first session on record, also before this report begins."


def betas_picture(explanation: Explanation, betas: RollingBetas, *, simulated: bool) -> Picture:
    """Return the betas to bitcoin and to the AI proxy over two years."""
    crypto, path = fmt.title(explanation.pair.crypto), betas.path
    curves = (
        _beta_curve(ColorRole.CRYPTO, crypto, [reading.crypto.value for reading in path]),
        _beta_curve(ColorRole.PROXY, explanation.proxy, [reading.proxy.value for reading in path]),
    )
    title = f"{explanation.pair.etf}'s betas to {fmt.name(explanation.pair.crypto)} and {explanation.proxy}"
    span = f"on {fmt.full_day(betas.first.session)} and {fmt.full_day(betas.last.session)}"
    changes = [
        f"{name}: {fmt.ratio(curve.values[0])} and {fmt.ratio(curve.values[-1])} {span}."
        for name, curve in zip((crypto, explanation.proxy), curves, strict=True)
    ]
    return Picture(
        title=title,
        days=tuple(reading.session for reading in path),
        panels=(
            Panel(title="Beta", subtitle=f"from the {LOOKBACK} sessions up to each day", baseline=0.0, curves=curves),
        ),
        footer=CLOSES_NOTE,
        alt=alt_text(f"{title}.", *changes),
        simulated=simulated,
    )


def drawdown_picture(report: Report, *, simulated: bool) -> Picture:
    """Return both drawdowns, downwards from the high."""
    etf, crypto = fmt.title(report.curve.pair.etf), fmt.title(report.curve.pair.crypto)
    legs = (
        _drawdown_curve(ColorRole.ETF, etf, report.drawdown_paths[0]),
        _drawdown_curve(ColorRole.CRYPTO, crypto, report.drawdown_paths[1]),
    )
    title = f"{etf} and {fmt.name(report.curve.pair.crypto)} below their highs"
    return Picture(
        title=title,
        days=tuple(point.session for point in report.curve.points),
        panels=(Panel(title="Below the high, %", subtitle="0 is the highest close so far", baseline=0.0, curves=legs),),
        footer=f"{CLOSES_NOTE} {HIGHS_NOTE}",
        alt=alt_text(f"{title}.", *map(_drawdown_alt_text, legs)),
        simulated=simulated,
    )


def _beta_curve(role: ColorRole, name: str, values: Sequence[float]) -> Curve:
    return Curve(role=role, values=tuple(values), label=f"{name}\n{fmt.ratio(values[-1])}")


def _drawdown_curve(role: ColorRole, name: str, depths: Sequence[float]) -> Curve:
    return Curve(role=role, values=tuple(-100 * depth for depth in depths), label=f"{name}\n{fmt.percent(-depths[-1])}")


def _drawdown_alt_text(curve: Curve) -> str:
    deepest = min(value for value in curve.values if math.isfinite(value))
    return f"{' '.join(curve.label.split())} at the end, {fmt.percent(deepest / 100)} at the deepest."


def sparkline(values: Sequence[float | None]) -> str:
    """Return one bar per value, scaled between the smallest and the largest, and a dot for None.

    If all values are equal, every bar is the lowest.
    """
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    span = high - low or 1.0
    return "".join(
        NO_BAR if value is None else BLOCK_BARS[int((value - low) / span * (len(BLOCK_BARS) - 1) + 0.5)]
        for value in values
    )

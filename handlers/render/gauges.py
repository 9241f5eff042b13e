"""Pictures of what moves slowly: the ETF's betas, and how far both legs are below their highs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from handlers.render import fmt
from handlers.render.picture import Line, Panel, Picture, Role, alt
from services.research.attribution import LOOKBACK
from services.research.explain import BetaGauge, Explanation
from services.research.report import Report

BARS, NONE = "▁▂▃▄▅▆▇█", "·"

AT_CLOSE = "Session closes; bitcoin at the ETF's own close."
FROM_HIGH = "Highs count from the first session on record, also before this report begins."


def betas_picture(found: Explanation, gauge: BetaGauge, *, simulated: bool) -> Picture:
    """Draw the betas to bitcoin and to the AI proxy over two years."""
    crypto, path = fmt.title(found.pair.crypto), gauge.path
    lines = (
        _beta(Role.CRYPTO, crypto, [one.crypto.value for one in path]),
        _beta(Role.PROXY, found.proxy, [one.proxy.value for one in path]),
    )
    title = f"{found.pair.etf}'s betas to {fmt.name(found.pair.crypto)} and {found.proxy}"
    span = f"on {fmt.full_day(gauge.then.session)} and {fmt.full_day(gauge.now.session)}"
    changed = [
        f"{name}: {fmt.ratio(line.values[0])} and {fmt.ratio(line.values[-1])} {span}."
        for name, line in zip((crypto, found.proxy), lines, strict=True)
    ]
    return Picture(
        title=title,
        days=tuple(one.session for one in path),
        panels=(Panel(title="Beta", small=f"from the {LOOKBACK} sessions up to each day", base=0.0, lines=lines),),
        foot=AT_CLOSE,
        alt=alt(f"{title}.", *changed),
        simulated=simulated,
    )


def below_picture(found: Report, *, simulated: bool) -> Picture:
    """Draw both drawdowns, downwards from the high."""
    etf, crypto = fmt.title(found.curve.pair.etf), fmt.title(found.curve.pair.crypto)
    legs = _depth(Role.ETF, etf, found.below[0]), _depth(Role.CRYPTO, crypto, found.below[1])
    title = f"{etf} and {fmt.name(found.curve.pair.crypto)} below their highs"
    return Picture(
        title=title,
        days=tuple(point.session for point in found.curve.points),
        panels=(Panel(title="Below the high, %", small="0 is the highest close so far", base=0.0, lines=legs),),
        foot=f"{AT_CLOSE} {FROM_HIGH}",
        alt=alt(f"{title}.", *map(_told, legs)),
        simulated=simulated,
    )


def _beta(role: Role, name: str, values: Sequence[float]) -> Line:
    return Line(role=role, values=tuple(values), label=f"{name}\n{fmt.ratio(values[-1])}")


def _depth(role: Role, name: str, depths: Sequence[float]) -> Line:
    return Line(role=role, values=tuple(-100 * depth for depth in depths), label=f"{name}\n{fmt.percent(-depths[-1])}")


def _told(line: Line) -> str:
    deepest = min(value for value in line.values if math.isfinite(value))
    return f"{' '.join(line.label.split())} at the end, {fmt.percent(deepest / 100)} at the deepest."


def spark(values: Sequence[float | None]) -> str:
    """Draw one bar for each value, from the smallest to the largest, and a dot where there is none.

    Where none differ, all have the lowest bar.
    """
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    span = high - low or 1.0
    return "".join(NONE if one is None else BARS[int((one - low) / span * (len(BARS) - 1) + 0.5)] for one in values)

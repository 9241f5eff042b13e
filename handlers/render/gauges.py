"""Pictures of what moves slowly: the ETF's betas, and how far both legs are below their highs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.picture import Line, Panel, Picture, Role, alt
from services.domain.attribution import LOOKBACK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.domain.explain import Explanation
    from services.domain.pivot import Gauge
    from services.domain.report import Report

AT_CLOSE = "Session closes; bitcoin at the ETF's own close."
FROM_HIGH = "Highs count from the first session on record, also before this report begins."


def betas_picture(found: Explanation, gauge: Gauge, *, simulated: bool) -> Picture:
    """Draw the betas to bitcoin and to the AI proxy over two years."""
    crypto, path = words.title(found.pair.crypto), gauge.path
    lines = (
        _beta(Role.CRYPTO, crypto, [one.crypto.value for one in path]),
        _beta(Role.PROXY, found.proxy, [one.proxy.value for one in path]),
    )
    title = f"{found.pair.etf}'s betas to {words.name(found.pair.crypto)} and {found.proxy}"
    span = f"on {words.full_day(gauge.then.session)} and {words.full_day(gauge.now.session)}"
    changed = [
        f"{name}: {words.ratio(line.values[0])} and {words.ratio(line.values[-1])} {span}."
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
    etf, crypto = words.title(found.curve.pair.etf), words.title(found.curve.pair.crypto)
    legs = _depth(Role.ETF, etf, found.below[0]), _depth(Role.CRYPTO, crypto, found.below[1])
    title = f"{etf} and {words.name(found.curve.pair.crypto)} below their highs"
    return Picture(
        title=title,
        days=tuple(point.session for point in found.curve.points),
        panels=(Panel(title="Below the high, %", small="0 is the highest close so far", base=0.0, lines=legs),),
        foot=f"{AT_CLOSE} {FROM_HIGH}",
        alt=alt(f"{title}.", *map(_told, legs)),
        simulated=simulated,
    )


def _beta(role: Role, name: str, values: Sequence[float]) -> Line:
    return Line(role=role, values=tuple(values), label=f"{name}\n{words.ratio(values[-1])}")


def _depth(role: Role, name: str, depths: Sequence[float]) -> Line:
    return Line(
        role=role, values=tuple(-100 * depth for depth in depths), label=f"{name}\n{words.percent(-depths[-1])}"
    )


def _told(line: Line) -> str:
    deepest = min(value for value in line.values if math.isfinite(value))
    return f"{' '.join(line.label.split())} at the end, {words.percent(deepest / 100)} at the deepest."

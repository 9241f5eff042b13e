"""A curve as a picture: both legs from 100 on, and beneath them what rules watch, with their levels and firings."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.picture import Level, Line, Panel, Picture, Role, Spot, alt
from services.domain.curve import between, stretch
from services.domain.decide import Change
from services.domain.measure import METRICS, Metric, Unit
from services.domain.rule import Direction
from services.domain.trace import traced

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from services.domain.align import Aligned
    from services.domain.curve import Curve, Point
    from services.domain.replay import Replay
    from services.domain.rule import Rule
    from services.domain.trace import Mark, Trace

BEGIN = 100.0
SIGNS = {Direction.EITHER: "±", Direction.ABOVE: "+", Direction.BELOW: "−"}
SIDES = {Direction.EITHER: (1, -1), Direction.ABOVE: (1,), Direction.BELOW: (-1,)}
RULES_NAMED = 2
KEY = "▲\N{NO-BREAK SPACE}fired  ○\N{NO-BREAK SPACE}resolved"


def curve_picture(curve: Curve, title: str, foot: Sequence[str], *, simulated: bool) -> Picture:
    """Draw both legs, and a panel for each trace."""
    days = tuple(point.session for point in curve.points)
    traces = [_within(one, frozenset(days)) for one in curve.traces]
    return Picture(
        title=title,
        days=days,
        panels=(_legs(curve), *(_watched(curve, one) for one in traces)),
        foot=" ".join(foot),
        alt=alt(f"{title}.", _moves(curve), *(_told(curve, one) for one in traces), gaps(curve.points), *foot),
        simulated=simulated,
    )


def replay_picture(closes: Aligned, outcome: Replay) -> Picture:
    """Draw what a replay looked at, with a panel for each rule."""
    rows = between(closes, outcome.first, outcome.last)
    drawn = stretch(closes, rows, [traced(closes, rows, found) for found in outcome.rules])
    first, end = drawn.points[0], drawn.points[-1]
    spread = words.stands(closes.pair, end.etf - end.crypto)
    title = f"{closes.pair.etf} {spread}, {words.full_day(first.session)} to {words.full_day(end.session)}"
    foot = [f"Rules decided at each session's close, with no hold; {closes.etf_source} and {closes.crypto_source}."]
    return curve_picture(drawn, title, foot, simulated=False)


def _within(trace: Trace, days: frozenset[date]) -> Trace:
    """Leave out the marks of other days."""
    return replace(trace, marks=tuple(mark for mark in trace.marks if mark.session in days))


def gaps(points: Sequence[Point]) -> str:
    """Say how many sessions could not be drawn; nothing where all could."""
    missing = sum(not point.complete for point in points)
    if not missing:
        return ""
    return f"{missing} of {words.sessions(len(points))} {'has' if missing == 1 else 'have'} a price missing: a gap."


def _legs(curve: Curve) -> Panel:
    start = words.full_day(curve.points[0].session)
    etf, crypto = words.title(curve.pair.etf), words.title(curve.pair.crypto)
    return Panel(
        title=f"{etf} and {words.name(curve.pair.crypto)}",
        small=f"both 100 at the close of {start}",
        base=BEGIN,
        lines=(
            _leg(Role.ETF, etf, [point.etf for point in curve.points]),
            _leg(Role.CRYPTO, crypto, [point.crypto for point in curve.points]),
        ),
    )


def _leg(role: Role, name: str, returns: Sequence[float]) -> Line:
    levels = tuple(BEGIN * (1 + moved) for moved in returns)
    return Line(role=role, values=levels, label=f"{name}\n{words.index(levels[-1])}")


def _watched(curve: Curve, trace: Trace) -> Panel:
    scale = _scale(trace)
    values = tuple(scale * value for value in trace.values)
    return Panel(
        title=_name(curve, trace),
        small="  ".join([_levels(trace.rules), KEY if trace.marks else ""]).strip(),
        base=0.0,
        lines=(Line(role=Role.WATCHED, values=values, label=_now(trace)),),
        levels=tuple(level for rule in trace.rules for level in _sides(rule, scale)),
        spots=_spots(curve, values, trace.marks),
    )


def _scale(trace: Trace) -> float:
    return 1.0 if METRICS[trace.metric].unit is Unit.SIGMA else 100.0


def _name(curve: Curve, trace: Trace) -> str:
    match trace.metric:
        case Metric.DRAWDOWN:
            return f"{words.title(curve.pair.crypto)} below its high, %"
        case Metric.Z:
            return f"{_over(trace)} spread, robust z"
        case metric:
            return f"{_over(trace)} {metric.value}, {METRICS[metric].unit.value}"


def _over(trace: Trace) -> str:
    return words.window(trace.window).capitalize() if trace.window else ""


def _now(trace: Trace) -> str:
    return _reading(trace.values[-1], trace.metric) if math.isfinite(trace.values[-1]) else words.NOTHING


def _reading(value: float, metric: Metric) -> str:
    """Write a value; a drawdown is a depth, and has no sign."""
    told = words.reading(value, METRICS[metric].unit)
    return told.removeprefix("+") if metric is Metric.DRAWDOWN else told


def _levels(rules: Sequence[Rule]) -> str:
    """Say where rules fire and clear: `fires at ±30 pp, clears at ±18 pp`."""
    told = [
        f"fires at {_sign(rule)}{words.threshold(rule.threshold, rule.unit)}, "
        f"clears at {_sign(rule)}{words.threshold(rule.clear, rule.unit)}"
        for rule in rules[:RULES_NAMED]
    ]
    more = [f"{len(rules) - RULES_NAMED} more"] if len(rules) > RULES_NAMED else []
    return "; ".join([*told, *more])


def _sign(rule: Rule) -> str:
    return "" if rule.metric is Metric.DRAWDOWN else SIGNS[rule.direction]


def _sides(rule: Rule, scale: float) -> list[Level]:
    sides = (1,) if rule.metric is Metric.DRAWDOWN else SIDES[rule.direction]
    return [Level(fires=sign * scale * rule.threshold, clears=sign * scale * rule.clear) for sign in sides]


def _spots(curve: Curve, values: Sequence[float], marks: Sequence[Mark]) -> tuple[Spot, ...]:
    """Stand each mark on the line, or at zero where that has a gap."""
    places = {point.session: place for place, point in enumerate(curve.points)}
    found = [(places[mark.session], mark.to) for mark in marks]
    return tuple(Spot(at=at, value=values[at] if math.isfinite(values[at]) else 0.0, to=to) for at, to in found)


def _moves(curve: Curve) -> str:
    end, pair = curve.points[-1], curve.pair
    etf, crypto = words.percent(end.etf), words.percent(end.crypto)
    since = words.full_day(curve.points[0].session)
    apart = f"{words.title(pair.etf)} {etf}, {words.name(pair.crypto)} {crypto}, {words.pp(end.etf - end.crypto)} apart"
    return f"From the close of {since} to {words.full_day(end.session)}: {apart}."


def _told(curve: Curve, trace: Trace) -> str:
    """Say in words what a trace shows."""
    known = [value for value in trace.values if math.isfinite(value)]
    name = _name(curve, trace).partition(",")[0]
    if not known:
        return f"{name}: too little history."
    between = f"between {_reading(min(known), trace.metric)} and {_reading(max(known), trace.metric)}"
    levels = f" A rule {told}." if (told := _levels(trace.rules)) else ""
    return f"{name} now {_now(trace)}, {between}.{levels}{_fired(trace)}"


def _fired(trace: Trace) -> str:
    fired = [mark.session for mark in trace.marks if mark.to is Change.FIRING]
    if not fired:
        return ""
    times = "once" if len(fired) == 1 else f"{len(fired)} times, last"
    return f" Fired {times} on {words.full_day(max(fired))}."

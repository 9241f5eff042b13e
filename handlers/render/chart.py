"""A chart of both legs since a window's start, and the same in words for those who cannot see it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from handlers.render import fmt
from handlers.render.limits import CHART_POINTS, CHART_TITLE, clip
from handlers.render.market import data
from handlers.render.markup import reason, simulated
from handlers.render.message import Block, Message, compose, header, line_chart, note, section, text_message
from handlers.render.picture import Level, Line, Panel, Picture, Role, Spot, alt
from services.channels.charts import ChartResult
from services.market.align import Aligned
from services.market.measure import METRICS, Metric, NotMeasured, Unit
from services.rules.chart_series import (
    IndexedReturns,
    Point,
    RuleEvent,
    RuleSeries,
    between,
    replayed_series,
    stretch,
    thinned,
)
from services.rules.decide import Change
from services.rules.replay import Replay
from services.rules.rule import Direction, Rule


def chart_message(told: ChartResult, now: datetime) -> Message:
    """Draw a curve, or say why there is none."""
    drawn, view = told.curve, told.view
    if isinstance(drawn, NotMeasured):
        why = f"No chart of {view.pair.etf} {fmt.over(drawn.window)}: {reason(drawn.reason)}."
        return text_message(simulated(why, when=view.simulated))
    end = drawn.points[-1]
    title = simulated(_title(drawn, end), when=view.simulated)
    moves = _moves(drawn, end)
    apart = f"Furthest apart here: {furthest(drawn)}."
    prices = [_as_of(end, now), data(view.current.trust)]
    return compose(
        [header(title), native(drawn, is_simulated=view.simulated), section(*moves, apart), note(*prices)],
        [title, *moves, apart, *prices],
    )


def chart_picture(told: ChartResult) -> Picture | None:
    """Draw the same in full, a point for each session; None where it cannot be drawn.

    It names the time of its prices and not their age, which a picture would go on telling.
    """
    drawn, view = told.curve, told.view
    if isinstance(drawn, NotMeasured):
        return None
    end = drawn.points[-1]
    foot = [_as_of(end), data(view.current.trust)]
    return curve_picture(drawn, simulated(_title(drawn, end), when=view.simulated), foot, simulated=view.simulated)


def native(drawn: IndexedReturns, *, is_simulated: bool) -> Block:
    """Draw both legs of a curve in Slack's own chart, 20 points at most."""
    etf, crypto = fmt.title(drawn.pair.etf), fmt.title(drawn.pair.crypto)
    title = f"{etf} and {fmt.name(drawn.pair.crypto)} {_over(drawn)}, in %"
    points = thinned(drawn.points, CHART_POINTS)
    labels = [_label(point) for point in points]
    series = {
        etf: [round(100 * point.etf, 1) for point in points],
        crypto: [round(100 * point.crypto, 1) for point in points],
    }
    return line_chart(clip(simulated(title, when=is_simulated), CHART_TITLE), labels, series, across="Session")


def _label(point: Point) -> str:
    """Name a point so that no two of a year have the same name."""
    if point.live:
        return f"{fmt.short_day(point.session)} {fmt.clock(point.at)}"
    return fmt.short_day(point.session)


def _title(drawn: IndexedReturns, end: Point) -> str:
    day = "" if end.live else f" to the close of {fmt.day(end.session)}"
    return f"{drawn.pair.etf} {fmt.stands(drawn.pair, end.etf - end.crypto)} {_over(drawn)}{day}"


def _over(drawn: IndexedReturns) -> str:
    first, end = drawn.points[0].session, drawn.points[-1].session
    return fmt.over(drawn.window, end) if drawn.window else f"since {fmt.full_day(first)}"


def _moves(drawn: IndexedReturns, end: Point) -> list[str]:
    return [
        f"Since the close of {fmt.full_day(drawn.points[0].session)}:",
        f"{fmt.title(drawn.pair.etf)} *{fmt.percent(end.etf)}*",
        f"{fmt.title(drawn.pair.crypto)} *{fmt.percent(end.crypto)}*",
        f"Spread *{fmt.pp(end.etf - end.crypto)}*",
    ]


def furthest(drawn: IndexedReturns) -> str:
    """Tell where the two were furthest apart among what is drawn."""
    known = [point for point in drawn.points if point.complete]
    most = max(known, key=lambda point: abs(point.etf - point.crypto))
    return f"{fmt.pp(most.etf - most.crypto)}, {fmt.day(most.session)}"


def _as_of(end: Point, now: datetime | None = None) -> str:
    if end.live:
        age = f", {fmt.duration(now - end.at)} old" if now else ""
        return f"Live, both legs at {fmt.hour(end.at)}{age}."
    return f"Session closes; bitcoin at the ETF's own close. Last: {fmt.moment(end.at)}."


BEGIN = 100.0
SIGNS = {Direction.EITHER: "±", Direction.ABOVE: "+", Direction.BELOW: "−"}
SIDES = {Direction.EITHER: (1, -1), Direction.ABOVE: (1,), Direction.BELOW: (-1,)}
RULES_NAMED = 2
KEY = "▲\N{NO-BREAK SPACE}fired  ○\N{NO-BREAK SPACE}resolved"


def curve_picture(curve: IndexedReturns, title: str, foot: Sequence[str], *, simulated: bool) -> Picture:
    """Draw both legs, and a panel for each trace."""
    days = tuple(point.session for point in curve.points)
    traces = [_within(one, frozenset(days)) for one in curve.traces]
    return Picture(
        title=title,
        days=days,
        panels=(_legs(curve), *(_watched(curve, one) for one in traces)),
        foot=" ".join(foot),
        alt=alt(f"{title}.", _picture_moves(curve), *(_told(curve, one) for one in traces), gaps(curve.points), *foot),
        simulated=simulated,
    )


def replay_picture(closes: Aligned, outcome: Replay) -> Picture:
    """Draw what a replay looked at, with a panel for each rule."""
    rows = between(closes, outcome.first, outcome.last)
    drawn = stretch(closes, rows, [replayed_series(closes, rows, found) for found in outcome.rules])
    first, end = drawn.points[0], drawn.points[-1]
    spread = fmt.stands(closes.pair, end.etf - end.crypto)
    title = f"{closes.pair.etf} {spread}, {fmt.full_day(first.session)} to {fmt.full_day(end.session)}"
    foot = [f"Rules decided at each session's close, with no hold; {closes.etf_source} and {closes.crypto_source}."]
    return curve_picture(drawn, title, foot, simulated=False)


def _within(trace: RuleSeries, days: frozenset[date]) -> RuleSeries:
    """Leave out the marks of other days."""
    return replace(trace, marks=tuple(mark for mark in trace.marks if mark.session in days))


def gaps(points: Sequence[Point]) -> str:
    """Say how many sessions could not be drawn; nothing where all could."""
    missing = sum(not point.complete for point in points)
    if not missing:
        return ""
    return f"{missing} of {fmt.sessions(len(points))} {'has' if missing == 1 else 'have'} a price missing: a gap."


def _legs(curve: IndexedReturns) -> Panel:
    start = fmt.full_day(curve.points[0].session)
    etf, crypto = fmt.title(curve.pair.etf), fmt.title(curve.pair.crypto)
    return Panel(
        title=f"{etf} and {fmt.name(curve.pair.crypto)}",
        small=f"both 100 at the close of {start}",
        base=BEGIN,
        lines=(
            _leg(Role.ETF, etf, [point.etf for point in curve.points]),
            _leg(Role.CRYPTO, crypto, [point.crypto for point in curve.points]),
        ),
    )


def _leg(role: Role, name: str, returns: Sequence[float]) -> Line:
    levels = tuple(BEGIN * (1 + moved) for moved in returns)
    return Line(role=role, values=levels, label=f"{name}\n{fmt.index(levels[-1])}")


def _watched(curve: IndexedReturns, trace: RuleSeries) -> Panel:
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


def _scale(trace: RuleSeries) -> float:
    return 1.0 if METRICS[trace.metric].unit is Unit.SIGMA else 100.0


def _name(curve: IndexedReturns, trace: RuleSeries) -> str:
    match trace.metric:
        case Metric.DRAWDOWN:
            return f"{fmt.title(curve.pair.crypto)} below its high, %"
        case Metric.Z:
            return f"{_picture_over(trace)} spread, robust z"
        case metric:
            return f"{_picture_over(trace)} {metric.value}, {METRICS[metric].unit.value}"


def _picture_over(trace: RuleSeries) -> str:
    return fmt.window(trace.window).capitalize() if trace.window else ""


def _now(trace: RuleSeries) -> str:
    return _reading(trace.values[-1], trace.metric) if math.isfinite(trace.values[-1]) else fmt.NOTHING


def _reading(value: float, metric: Metric) -> str:
    """Write a value; a drawdown is a depth, and has no sign."""
    told = fmt.reading(value, METRICS[metric].unit)
    return told.removeprefix("+") if metric is Metric.DRAWDOWN else told


def _levels(rules: Sequence[Rule]) -> str:
    """Say where rules fire and clear: `fires at ±30 pp, clears at ±18 pp`."""
    told = [
        f"fires at {_sign(rule)}{fmt.threshold(rule.threshold, rule.unit)}, "
        f"clears at {_sign(rule)}{fmt.threshold(rule.clear, rule.unit)}"
        for rule in rules[:RULES_NAMED]
    ]
    more = [f"{len(rules) - RULES_NAMED} more"] if len(rules) > RULES_NAMED else []
    return "; ".join([*told, *more])


def _sign(rule: Rule) -> str:
    return "" if rule.metric is Metric.DRAWDOWN else SIGNS[rule.direction]


def _sides(rule: Rule, scale: float) -> list[Level]:
    sides = (1,) if rule.metric is Metric.DRAWDOWN else SIDES[rule.direction]
    return [Level(fires=sign * scale * rule.threshold, clears=sign * scale * rule.clear) for sign in sides]


def _spots(curve: IndexedReturns, values: Sequence[float], marks: Sequence[RuleEvent]) -> tuple[Spot, ...]:
    """Stand each mark on the line, or at zero where that has a gap."""
    places = {point.session: place for place, point in enumerate(curve.points)}
    found = [(places[mark.session], mark.to) for mark in marks]
    return tuple(Spot(at=at, value=values[at] if math.isfinite(values[at]) else 0.0, to=to) for at, to in found)


def _picture_moves(curve: IndexedReturns) -> str:
    end, pair = curve.points[-1], curve.pair
    etf, crypto = fmt.percent(end.etf), fmt.percent(end.crypto)
    since = fmt.full_day(curve.points[0].session)
    apart = f"{fmt.title(pair.etf)} {etf}, {fmt.name(pair.crypto)} {crypto}, {fmt.pp(end.etf - end.crypto)} apart"
    return f"From the close of {since} to {fmt.full_day(end.session)}: {apart}."


def _told(curve: IndexedReturns, trace: RuleSeries) -> str:
    """Say in words what a trace shows."""
    known = [value for value in trace.values if math.isfinite(value)]
    name = _name(curve, trace).partition(",")[0]
    if not known:
        return f"{name}: too little history."
    between = f"between {_reading(min(known), trace.metric)} and {_reading(max(known), trace.metric)}"
    levels = f" A rule {told}." if (told := _levels(trace.rules)) else ""
    return f"{name} now {_now(trace)}, {between}.{levels}{_fired(trace)}"


def _fired(trace: RuleSeries) -> str:
    fired = [mark.session for mark in trace.marks if mark.to is Change.FIRING]
    if not fired:
        return ""
    times = "once" if len(fired) == 1 else f"{len(fired)} times, last"
    return f" Fired {times} on {fmt.full_day(max(fired))}."

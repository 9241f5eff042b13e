"""A chart of both legs since a window's start, and the same as text and alt text."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from handlers.render import fmt
from handlers.render.market import data_quality_line, left_out_summary, move_lines
from handlers.render.markup import mark_simulated, reason
from handlers.render.message import (
    CHART_POINTS,
    CHART_TITLE,
    Block,
    Message,
    clip,
    compose,
    context,
    header,
    line_chart,
    section,
    text_message,
)
from handlers.render.picture import ColorRole, Curve, Level, Marker, Panel, Picture, alt_text
from services.channels.charts import ChartResult
from services.core.rows import complete
from services.market.align import Aligned
from services.market.chart_points import Point, common_rows, downsample
from services.market.measure import NotMeasured
from services.market.metrics import Direction, Metric
from services.rules.chart_series import IndexedReturns, RuleEvent, RuleSeries, indexed_returns_over, replayed_series
from services.rules.decide import Change
from services.rules.replay import Replay
from services.rules.rule import Rule


def chart_message(result: ChartResult, now: datetime) -> Message:
    """Return a chart of both legs, or the reason why there is none."""
    curve, view = result.curve, result.view
    if isinstance(curve, NotMeasured):
        text = f"No chart of {view.pair.etf} {fmt.over_window(curve.window)}: {reason(curve.reason)}."
        return text_message(mark_simulated(text, when=view.simulated))
    end = curve.points[-1]
    title = mark_simulated(_title(curve, end), when=view.simulated)
    moves = move_lines(curve.pair, curve.points[0].session, end.etf, end.crypto, end.etf - end.crypto)
    widest = f"Furthest apart here: {widest_spread(curve)}."
    prices = [_as_of(end, now), data_quality_line(view.current.trust), *_left_out(result, curve)]
    return compose(
        [header(title), native_chart(curve, simulated=view.simulated), section(*moves, widest), context(*prices)],
        [title, *moves, widest, *prices],
    )


def chart_picture(result: ChartResult) -> Picture | None:
    """Return the same chart with one point per session; None if it cannot be drawn.

    It shows the time of its prices but not their age, because a picture isn't updated.
    """
    curve, view = result.curve, result.view
    if isinstance(curve, NotMeasured):
        return None
    end = curve.points[-1]
    footer = [_as_of(end), data_quality_line(view.current.trust), *_left_out(result, curve)]
    return curve_picture(
        curve, mark_simulated(_title(curve, end), when=view.simulated), footer, simulated=view.simulated
    )


def _left_out(result: ChartResult, curve: IndexedReturns) -> list[str]:
    """Return the sessions from the chart's first one on that have no price."""
    first, view = curve.points[0].session, result.view
    return left_out_summary([omitted for omitted in view.left_out if omitted.session >= first], view.pair)


def native_chart(curve: IndexedReturns, *, simulated: bool) -> Block:
    """Return both legs as a Slack chart block, thinned to Slack's limit of 20 points."""
    etf, crypto = fmt.title(curve.pair.etf), fmt.title(curve.pair.crypto)
    title = f"{etf} and {fmt.name(curve.pair.crypto)} {_span(curve)}, in %"
    points = downsample(curve.points, CHART_POINTS)
    labels = [_label(point) for point in points]
    series = {
        etf: [round(100 * point.etf, 1) for point in points],
        crypto: [round(100 * point.crypto, 1) for point in points],
    }
    return line_chart(clip(mark_simulated(title, when=simulated), CHART_TITLE), labels, series, x_label="Session")


def _label(point: Point) -> str:
    """Return a label that is unique among the points of a year."""
    if point.live:
        return f"{fmt.short_day(point.session)} {fmt.time(point.at)}"
    return fmt.short_day(point.session)


def _title(curve: IndexedReturns, end: Point) -> str:
    day = "" if end.live else f" to the close of {fmt.day(end.session)}"
    return f"{curve.pair.etf} {fmt.spread_phrase(curve.pair, end.etf - end.crypto)} {_span(curve)}{day}"


def _span(curve: IndexedReturns) -> str:
    first, end = curve.points[0].session, curve.points[-1].session
    return fmt.over_window(curve.window, end) if curve.window else f"since {fmt.full_day(first)}"


def widest_spread(curve: IndexedReturns) -> str:
    """Return the widest spread among the drawn points, with its session."""
    complete = [point for point in curve.points if point.complete]
    widest = max(complete, key=lambda point: abs(point.etf - point.crypto))
    return f"{fmt.pp(widest.etf - widest.crypto)}, {fmt.day(widest.session)}"


def _as_of(end: Point, now: datetime | None = None) -> str:
    if end.live:
        age = f", {fmt.duration(now - end.at)} old" if now else ""
        return f"Live, both legs at {fmt.time_utc(end.at)}{age}."
    return f"Session closes; bitcoin at the ETF's own close. Last: {fmt.moment(end.at)}."


INDEX_BASE = 100.0
DIRECTION_SIGNS = complete(
    "DIRECTION_SIGNS", Direction, {Direction.EITHER: "±", Direction.ABOVE: "+", Direction.BELOW: "−"}
)
DIRECTION_SIDES = complete(
    "DIRECTION_SIDES", Direction, {Direction.EITHER: (1, -1), Direction.ABOVE: (1,), Direction.BELOW: (-1,)}
)
RULES_NAMED = 2
MARKER_KEY = "▲\N{NO-BREAK SPACE}fired  ○\N{NO-BREAK SPACE}resolved"


def curve_picture(curve: IndexedReturns, title: str, footer: Sequence[str], *, simulated: bool) -> Picture:
    """Return a picture of both legs, with one panel per rule series."""
    days = tuple(point.session for point in curve.points)
    all_series = [_with_events_on(series, frozenset(days)) for series in curve.series]
    return Picture(
        title=title,
        days=days,
        panels=(_legs_panel(curve), *(_rule_panel(curve, series) for series in all_series)),
        footer=" ".join(footer),
        alt=alt_text(
            f"{title}.",
            _moves_alt_text(curve),
            *(_series_alt_text(curve, series) for series in all_series),
            gap_note(curve.points),
            *footer,
        ),
        simulated=simulated,
    )


def replay_picture(closes: Aligned, outcome: Replay) -> Picture:
    """Return a picture of a replay's period, with one panel per rule."""
    rows = common_rows(closes, outcome.first, outcome.last)
    curve = indexed_returns_over(
        closes, rows, [replayed_series(closes, rows, rule_replay) for rule_replay in outcome.rules]
    )
    first, end = curve.points[0], curve.points[-1]
    spread = fmt.spread_phrase(closes.pair, end.etf - end.crypto)
    title = f"{closes.pair.etf} {spread}, {fmt.full_day(first.session)} to {fmt.full_day(end.session)}"
    footer = [f"Rules decided at each session's close, with no hold; {closes.etf_source} and {closes.crypto_source}."]
    return curve_picture(curve, title, footer, simulated=False)


def _with_events_on(series: RuleSeries, days: frozenset[date]) -> RuleSeries:
    return replace(series, events=tuple(event for event in series.events if event.session in days))


def gap_note(points: Sequence[Point]) -> str:
    """Return how many sessions could not be drawn; empty if none."""
    missing = sum(not point.complete for point in points)
    if not missing:
        return ""
    return f"{missing} of {fmt.sessions(len(points))} {'has' if missing == 1 else 'have'} a price missing: a gap."


def _legs_panel(curve: IndexedReturns) -> Panel:
    start = fmt.full_day(curve.points[0].session)
    etf, crypto = fmt.title(curve.pair.etf), fmt.title(curve.pair.crypto)
    return Panel(
        title=f"{etf} and {fmt.name(curve.pair.crypto)}",
        subtitle=f"both 100 at the close of {start}",
        baseline=INDEX_BASE,
        curves=(
            _leg_curve(ColorRole.ETF, etf, [point.etf for point in curve.points]),
            _leg_curve(ColorRole.CRYPTO, crypto, [point.crypto for point in curve.points]),
        ),
    )


def _leg_curve(role: ColorRole, name: str, returns: Sequence[float]) -> Curve:
    levels = tuple(INDEX_BASE * (1 + change) for change in returns)
    return Curve(role=role, values=levels, label=f"{name}\n{fmt.index_level(levels[-1])}")


def _rule_panel(curve: IndexedReturns, series: RuleSeries) -> Panel:
    scale = _scale(series)
    values = tuple(scale * value for value in series.values)
    return Panel(
        title=_series_name(curve, series),
        subtitle="  ".join([_levels_text(series.rules), MARKER_KEY if series.events else ""]).strip(),
        baseline=0.0,
        curves=(Curve(role=ColorRole.METRIC, values=values, label=_last_value(series)),),
        levels=tuple(level for rule in series.rules for level in _levels_of(rule, scale)),
        markers=_markers(curve, values, series.events),
    )


def _scale(series: RuleSeries) -> float:
    return series.metric.unit.scale


def _series_name(curve: IndexedReturns, series: RuleSeries) -> str:
    metric = series.metric
    return metric.chart.format(
        window=_window_label(series), Crypto=fmt.title(curve.pair.crypto), name=metric.name, unit=metric.unit.name
    ).strip()


def _window_label(series: RuleSeries) -> str:
    return fmt.window(series.window).capitalize() if series.window else ""


def _last_value(series: RuleSeries) -> str:
    return _value_text(series.values[-1], series.metric) if math.isfinite(series.values[-1]) else fmt.NO_VALUE


def _value_text(value: float, metric: Metric) -> str:
    """Return a metric's value; a drawdown is a depth and has no sign."""
    text = fmt.metric_value(value, metric.unit)
    return text if metric.signed else text.removeprefix("+")


def _levels_text(rules: Sequence[Rule]) -> str:
    parts = [
        f"fires at {_sign(rule)}{fmt.threshold(rule.threshold, rule.unit)}, "
        f"clears at {_sign(rule)}{fmt.threshold(rule.clear, rule.unit)}"
        for rule in rules[:RULES_NAMED]
    ]
    more = [f"{len(rules) - RULES_NAMED} more"] if len(rules) > RULES_NAMED else []
    return "; ".join([*parts, *more])


def _sign(rule: Rule) -> str:
    return DIRECTION_SIGNS[rule.direction] if rule.metric.signed else ""


def _levels_of(rule: Rule, scale: float) -> list[Level]:
    sides = DIRECTION_SIDES[rule.direction] if rule.metric.signed else (1,)
    return [Level(fires=sign * scale * rule.threshold, clears=sign * scale * rule.clear) for sign in sides]


def _markers(curve: IndexedReturns, values: Sequence[float], events: Sequence[RuleEvent]) -> tuple[Marker, ...]:
    """Return a marker per event on the curve, or at zero where the curve has a gap."""
    positions = {point.session: position for position, point in enumerate(curve.points)}
    placed = [(positions[event.session], event.change) for event in events]
    return tuple(
        Marker(index=position, value=values[position] if math.isfinite(values[position]) else 0.0, change=change)
        for position, change in placed
    )


def _moves_alt_text(curve: IndexedReturns) -> str:
    end, pair = curve.points[-1], curve.pair
    etf, crypto = fmt.percent(end.etf), fmt.percent(end.crypto)
    since = fmt.full_day(curve.points[0].session)
    moves = f"{fmt.title(pair.etf)} {etf}, {fmt.name(pair.crypto)} {crypto}, {fmt.pp(end.etf - end.crypto)} apart"
    return f"From the close of {since} to {fmt.full_day(end.session)}: {moves}."


def _series_alt_text(curve: IndexedReturns, series: RuleSeries) -> str:
    known = [value for value in series.values if math.isfinite(value)]
    name = _series_name(curve, series).partition(",")[0]
    if not known:
        return f"{name}: too little history."
    between = f"between {_value_text(min(known), series.metric)} and {_value_text(max(known), series.metric)}"
    levels = f" A rule {levels_text}." if (levels_text := _levels_text(series.rules)) else ""
    return f"{name} now {_last_value(series)}, {between}.{levels}{_firings_text(series)}"


def _firings_text(series: RuleSeries) -> str:
    fired = [event.session for event in series.events if event.change is Change.FIRING]
    if not fired:
        return ""
    times = "once" if len(fired) == 1 else f"{len(fired)} times, last"
    return f" Fired {times} on {fmt.full_day(max(fired))}."

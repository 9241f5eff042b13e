"""A chart of both legs since a window's start, and the same as text and alt text."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from html import unescape

from handlers.render import fmt
from handlers.render.market import data_quality, data_quality_line, left_out_summary
from handlers.render.markup import NBSP, mark_simulated, plain
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
    notification,
    section,
    text_message,
)
from handlers.render.picture import ColorRole, Curve, FiringSpan, Level, Panel, Picture, alt_text
from handlers.render.reasons import reason
from services.channels.charts import ChartResult
from services.core.rows import complete
from services.market.align import Aligned
from services.market.chart_points import Point, common_rows, downsample
from services.market.measure import NotMeasured, Window
from services.market.metrics import Direction, Metric
from services.rules.chart_series import IndexedReturns, RuleEvent, RuleSeries, indexed_returns_over, replayed_series
from services.rules.decide import Change
from services.rules.market_view import MarketView
from services.rules.replay import Replay
from services.rules.rule import Rule


def chart_message(result: ChartResult, now: datetime) -> Message:
    """Return a chart of both legs, or the reason why there is none."""
    curve, view = result.curve, result.view
    if isinstance(curve, NotMeasured):
        text = f"No chart of {view.pair.etf} {fmt.over_window(curve.window)}: {reason(curve.reason)}."
        return text_message(mark_simulated(text, when=view.simulated))
    first, end = curve.points[0], curve.points[-1]
    title = mark_simulated(_title(curve), when=view.simulated)
    since = f"Since the close of {fmt.day_in(first.session, end.session.year)}:"
    moves = f"{_moves(curve)}. Widest spread {widest_spread(curve)}."
    as_of = f"as of {fmt.instant(end.at)}" if end.live else f"close of {fmt.day_in(end.session, now.year)}"
    prices = " · ".join([*_sources(view), as_of, data_quality_line(view.current.trust)])
    return compose(
        [
            header(title),
            native_chart(curve, simulated=view.simulated),
            section(f"*{since}* {moves}"),
            context(prices, *_left_out(result, curve)),
        ],
        notification(f"{title}.", f"{since} {moves}", f"{data_quality(view.current.trust)}."),
    )


def chart_picture(result: ChartResult) -> Picture | None:
    """Return the same chart with one point per session; None if it cannot be drawn.

    It shows the time of its prices but not their age, because a picture isn't updated.
    """
    curve, view = result.curve, result.view
    if isinstance(curve, NotMeasured):
        return None
    prices = " · ".join([*_sources(view), _as_of(curve.points[-1]), data_quality(view.current.trust)])
    title = mark_simulated(_title(curve), when=view.simulated)
    return curve_picture(curve, title, [f"{prices}.", *_left_out(result, curve)], simulated=view.simulated)


def _sources(view: MarketView) -> list[str]:
    """Return the sources of each leg's closes and of its last price."""
    closes, last = view.history.closes, view.current
    legs = (
        (view.pair.etf, closes.etf_source, last.etf),
        (view.pair.crypto, closes.crypto_source, last.crypto),
    )
    return [
        f"{symbol} {' + '.join(dict.fromkeys([source, *([stamp.source] if stamp else [])]))}"
        for symbol, source, stamp in legs
    ]


def _left_out(result: ChartResult, curve: IndexedReturns) -> list[str]:
    """Return the sessions from the chart's first one on that have no price."""
    first, view = curve.points[0].session, result.view
    return left_out_summary([omitted for omitted in view.left_out if omitted.session >= first], view.pair)


def native_chart(curve: IndexedReturns, *, simulated: bool) -> Block:
    """Return both legs as a Slack chart block, thinned to Slack's limit of 20 points."""
    pair, points = curve.pair, downsample(curve.points, CHART_POINTS)
    first, end = points[0].session, points[-1].session
    label = fmt.short_day if first.year == end.year else fmt.full_day
    series = {
        str(pair.etf): [round(100 * point.etf, 1) for point in points],
        str(pair.crypto): [round(100 * point.crypto, 1) for point in points],
    }
    return line_chart(
        clip(mark_simulated(_subject(curve), when=simulated), CHART_TITLE),
        [label(point.session) for point in points],
        series,
        x_label="Session",
        y_label=f"Return since {label(first)} (%)",
    )


def _subject(curve: IndexedReturns) -> str:
    """Return what is charted: `WGMI and BTC, last 20 sessions`."""
    legs, end = f"{curve.pair.etf} and {curve.pair.crypto}", curve.points[-1].session
    match curve.window:
        case None:
            return f"{legs} since {fmt.full_day(curve.points[0].session)}"
        case Window.YTD:
            return f"{legs}, {end.year} to date"
        case _:
            return f"{legs}, last {fmt.window_name(curve.window)}"


def _title(curve: IndexedReturns) -> str:
    first, end = curve.points[0].session, curve.points[-1]
    span = fmt.over_window(curve.window, end.session) if curve.window else f"since {fmt.full_day(first)}"
    return f"{curve.pair.etf} {fmt.spread_phrase(curve.pair, end.etf - end.crypto)} {span}"


def _moves(curve: IndexedReturns) -> str:
    end = curve.points[-1]
    return f"{curve.pair.etf} {fmt.percent(end.etf)}, {curve.pair.crypto} {fmt.percent(end.crypto)}"


def widest_spread(curve: IndexedReturns) -> str:
    """Return the widest spread among the drawn points, with its session."""
    complete = [point for point in curve.points if point.complete]
    widest = max(complete, key=lambda point: abs(point.etf - point.crypto))
    return f"{fmt.pp(widest.etf - widest.crypto)}, {_date(curve, widest.session)}"


def _date(curve: IndexedReturns, day: date) -> str:
    """Return a date in a chart's period, with its year if it isn't that of the end."""
    return fmt.short_day(day) if day.year == curve.points[-1].session.year else fmt.full_day(day)


def _as_of(end: Point) -> str:
    day = fmt.full_day(end.session).replace(" ", NBSP)
    return f"as of {day}, {fmt.plain_time(end.at)}" if end.live else f"close of {day}, {fmt.plain_time(end.at)}"


INDEX_BASE = 100.0
DIRECTION_SIGNS = complete(
    "DIRECTION_SIGNS", Direction, {Direction.EITHER: "±", Direction.ABOVE: "+", Direction.BELOW: "−"}
)
DIRECTION_SIDES = complete(
    "DIRECTION_SIDES", Direction, {Direction.EITHER: (1, -1), Direction.ABOVE: (1,), Direction.BELOW: (-1,)}
)
RULES_NAMED = 2


def curve_picture(curve: IndexedReturns, title: str, footer: Sequence[str], *, simulated: bool) -> Picture:
    """Return a picture of both legs, with one panel per rule series; the title and the footer may have markup."""
    title, note = _plain(title), _plain(" ".join(footer))
    days = tuple(point.session for point in curve.points)
    return Picture(
        title=title,
        days=days,
        panels=(_legs_panel(curve), *(_rule_panel(curve, series) for series in curve.series)),
        footer=note,
        alt=alt_text(
            f"{title}.",
            _moves_alt_text(curve),
            *(_series_alt_text(curve, series) for series in curve.series),
            gap_note(curve.points),
            note,
        ),
        simulated=simulated,
    )


def _plain(text: str) -> str:
    return unescape(plain(text))


def replay_picture(closes: Aligned, outcome: Replay) -> Picture:
    """Return a picture of a replay's period, with one panel per rule."""
    rows = common_rows(closes, outcome.first, outcome.last)
    curve = indexed_returns_over(
        closes, rows, [replayed_series(closes, rows, rule_replay) for rule_replay in outcome.rules]
    )
    first, end = curve.points[0], curve.points[-1]
    spread = fmt.spread_phrase(closes.pair, end.etf - end.crypto)
    title = f"{closes.pair.etf} {spread}, {fmt.full_day(first.session)} to {fmt.full_day(end.session)}"
    sources = f"{closes.pair.etf} {closes.etf_source} · {closes.pair.crypto} {closes.crypto_source} · {_as_of(end)}."
    return curve_picture(curve, title, [sources, "Rules evaluated at each close, no hold."], simulated=False)


def gap_note(points: Sequence[Point]) -> str:
    """Return how many sessions could not be drawn; empty if none."""
    missing = sum(not point.complete for point in points)
    if not missing:
        return ""
    return f"{missing} of {fmt.sessions(len(points))} {'has' if missing == 1 else 'have'} no price."


def _legs_panel(curve: IndexedReturns) -> Panel:
    return Panel(
        title=_subject(curve),
        subtitle=f"Rebased to {INDEX_BASE:.0f} at the close on {fmt.full_day(curve.points[0].session)}",
        baseline=INDEX_BASE,
        curves=(
            _leg_curve(ColorRole.ETF, curve.pair.etf, [point.etf for point in curve.points]),
            _leg_curve(ColorRole.CRYPTO, curve.pair.crypto, [point.crypto for point in curve.points]),
        ),
        indexed=True,
    )


def _leg_curve(role: ColorRole, name: str, returns: Sequence[float]) -> Curve:
    levels = tuple(INDEX_BASE * (1 + change) for change in returns)
    return Curve(role=role, values=levels, label=f"{name}\n{fmt.percent(returns[-1])}")


def _rule_panel(curve: IndexedReturns, series: RuleSeries) -> Panel:
    scale = _scale(series)
    levels_text = _levels_text(series.rules)
    return Panel(
        title=_series_name(curve, series),
        subtitle=levels_text[:1].upper() + levels_text[1:],
        baseline=0.0,
        curves=(
            Curve(
                role=ColorRole.METRIC,
                values=tuple(scale * value for value in series.values),
                label=_last_value(series),
            ),
        ),
        levels=tuple(level for rule in series.rules for level in _levels_of(rule, scale)),
        firings=tuple(_firings([point.session for point in curve.points], series.events)),
    )


def _scale(series: RuleSeries) -> float:
    return series.metric.unit.scale


def _series_name(curve: IndexedReturns, series: RuleSeries) -> str:
    metric = series.metric
    return metric.chart.format(
        window=_window_label(series), crypto=curve.pair.crypto, name=metric.name, unit=metric.unit.name
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


def _firings(days: Sequence[date], events: Sequence[RuleEvent]) -> Iterator[FiringSpan]:
    """Return when at least one rule was firing, in a chart's days.

    What fired before the first known event, or never resolved, reaches to the end of the chart.
    """
    for first, last in _firing_periods(events, days):
        start, end = bisect_left(days, first), bisect_right(days, last) - 1
        if start <= end:
            yield FiringSpan(first=start, last=end)


def _firing_periods(events: Sequence[RuleEvent], days: Sequence[date]) -> Iterator[tuple[date, date]]:
    firing, since = 0, days[0]
    for event in sorted(events, key=lambda event: (event.session, event.change is Change.RESOLVED)):
        if event.change is Change.FIRING:
            since = since if firing else event.session
            firing += 1
        else:
            firing = max(0, firing - 1)
            if not firing:
                yield since, event.session
    if firing:
        yield since, days[-1]


def _moves_alt_text(curve: IndexedReturns) -> str:
    first, end = curve.points[0], curve.points[-1]
    period = f"From the close of {fmt.full_day(first.session)} to {fmt.full_day(end.session)}"
    return f"{period}: {_moves(curve)}, spread {fmt.pp(end.etf - end.crypto)}."


def _series_alt_text(curve: IndexedReturns, series: RuleSeries) -> str:
    known = [value for value in series.values if math.isfinite(value)]
    name = _series_name(curve, series).partition(",")[0]
    if not known:
        return f"{name}: too little history."
    between = f"range {_value_text(min(known), series.metric)} to {_value_text(max(known), series.metric)}"
    levels = f" A rule {levels_text}." if (levels_text := _levels_text(series.rules)) else ""
    return f"{name} at the end: {_last_value(series)}, {between}.{levels}{_firings_text(curve, series)}"


def _firings_text(curve: IndexedReturns, series: RuleSeries) -> str:
    days = {point.session for point in curve.points}
    fired = [event.session for event in series.events if event.change is Change.FIRING and event.session in days]
    if not fired:
        return ""
    times = "once" if len(fired) == 1 else f"{len(fired)} times, last"
    return f" Fired {times} on {fmt.full_day(max(fired))}."

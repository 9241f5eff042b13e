"""Charts of a report: both legs with the rules' series, rolling betas, and drawdowns."""

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import date

from handlers.render import fmt
from handlers.render.picture import ColorRole
from handlers.render.svg_chart import Chart, ChartPanel, Line, Sparkline
from services.core.prices import Pair
from services.market.chart_points import Point
from services.market.metrics import Metric
from services.research.attribution import LOOKBACK
from services.research.explain import RollingBetas
from services.research.report import Report, WindowSpread
from services.research.track_record import Backtest
from services.rules.chart_series import RuleSeries
from services.rules.rule import levels_of

INDEX_BASE = 100.0
TALL, MEDIUM, LOW = 320, 240, 170  # heights of panels in pixels


def spread_chart(report: Report) -> Chart:
    """Return both legs since the first session, and one panel per rule."""
    curve = report.curve
    days = tuple(point.session for point in curve.points)
    rules = zip(curve.series, report.backtests, strict=True)
    return Chart(
        name="spread",
        title=f"{curve.pair.etf} and {fmt.name(curve.pair.crypto)} at session closes",
        days=days,
        panels=(_legs_panel(curve.pair, curve.points), *(_rule_panel(*rule, curve.pair, days) for rule in rules)),
    )


def betas_chart(betas: RollingBetas, pair: Pair, proxy: str, verdict: str) -> Chart:
    """Return the rolling betas to bitcoin and to the AI proxy, with their R²."""
    path, crypto = betas.path, fmt.name(pair.crypto)
    lines = (
        _line(ColorRole.CRYPTO, f"beta to {crypto}", [estimate.crypto.value for estimate in path], fmt.ratio),
        _line(ColorRole.PROXY, f"beta to {proxy}", [estimate.proxy.value for estimate in path], fmt.ratio),
    )
    r2 = _line(ColorRole.METRIC, "R²", [estimate.r2 for estimate in path], fmt.ratio)
    return Chart(
        name="betas",
        title=f"Rolling betas of {pair.etf}",
        days=tuple(estimate.session for estimate in path),
        panels=(
            ChartPanel(
                title="Beta",
                note=f"from the {LOOKBACK} sessions up to each date",
                alt=" ".join([verdict, *map(_range_text, lines)]),
                lines=lines,
                height=MEDIUM,
                baseline=0.0,
            ),
            ChartPanel(
                title="R²",
                note="share of the daily variance that both betas explain",
                alt=_range_text(r2),
                lines=(r2,),
                height=LOW,
                baseline=0.0,
            ),
        ),
    )


def drawdown_chart(report: Report) -> Chart:
    """Return both drawdowns, downwards from the high."""
    pair = report.curve.pair
    legs = zip((ColorRole.ETF, ColorRole.CRYPTO), (pair.etf, pair.crypto), report.drawdown_paths, strict=True)
    lines = tuple(
        _line(role, fmt.name(symbol), [-depth for depth in path], fmt.percent, scale=100) for role, symbol, path in legs
    )
    return Chart(
        name="drawdown",
        title=f"Drawdowns of {pair.etf} and {fmt.name(pair.crypto)}",
        days=tuple(point.session for point in report.curve.points),
        panels=(
            ChartPanel(
                title="Drawdown, %",
                note="from the highest session close so far",
                alt=" ".join(map(_range_text, lines)),
                lines=lines,
                height=MEDIUM,
                baseline=0.0,
            ),
        ),
    )


def spread_sparkline(spread: WindowSpread) -> Sparkline | str:
    """Return the recent spreads over a window as a small line; a dash if none is known."""
    known = [value for value in spread.recent if math.isfinite(value)]
    if not known:
        return fmt.NO_VALUE
    ends = f"from {fmt.pp(known[0])} to {fmt.pp(known[-1])}"
    between = f"between {fmt.pp(min(known))} and {fmt.pp(max(known))}"
    return Sparkline(values=spread.recent, alt=f"Spread {ends}, {between}")


def metric_text(value: float, metric: Metric) -> str:
    """Return a metric's value; a depth has no sign."""
    if not math.isfinite(value):
        return fmt.NO_VALUE
    return fmt.metric_value(value, metric.unit) if metric.signed else fmt.unsigned_value(value, metric.unit)


def _legs_panel(pair: Pair, points: Sequence[Point]) -> ChartPanel:
    etf = _line(ColorRole.ETF, fmt.name(pair.etf), [1 + point.etf for point in points], _index_text, scale=INDEX_BASE)
    crypto = _line(
        ColorRole.CRYPTO, fmt.name(pair.crypto), [1 + point.crypto for point in points], _index_text, scale=INDEX_BASE
    )
    return ChartPanel(
        title=f"{etf.name} and {crypto.name}",
        note=f"rebased to 100 at the close on {fmt.full_day(points[0].session)}",
        alt=f"{_range_text(etf)} {_range_text(crypto)}",
        lines=(etf, crypto),
        height=TALL,
        baseline=INDEX_BASE,
    )


def _index_text(growth: float) -> str:
    return fmt.index_level(INDEX_BASE * growth)


def _rule_panel(series: RuleSeries, backtest: Backtest, pair: Pair, days: Sequence[date]) -> ChartPanel:
    metric, rule = series.metric, backtest.replay.rule
    levels = [level for level in levels_of(rule)[:2] if math.isfinite(level) and (metric.signed or level > 0)]
    firing = _firing_periods(backtest, days)
    scale = metric.unit.scale
    name = f"{fmt.window(series.window)} {metric.name}" if series.window else metric.name
    line = _line(ColorRole.METRIC, name, series.values, lambda value: metric_text(value, metric), scale=scale)
    in_firing = {index for first, last in firing for index in range(first, last + 1)}
    texts = tuple(f"{text}, firing" if index in in_firing else text for index, text in enumerate(line.texts))
    fired = f"fired {len(firing)} times" if len(firing) != 1 else "fired once"
    return ChartPanel(
        title=_series_title(series, pair),
        note=f"{rule}, {fired}",
        alt=f"{_range_text(line)} {rule} {fired}.",
        lines=(Line(role=line.role, name=line.name, values=line.values, texts=texts),),
        height=LOW,
        baseline=0.0,
        levels=tuple(scale * float(level) for level in levels),
        firing=firing,
    )


def _series_title(series: RuleSeries, pair: Pair) -> str:
    window = fmt.window(series.window) if series.window else ""
    name = series.metric.chart.format(
        window=window, crypto=fmt.name(pair.crypto), name=series.metric.name, unit=series.metric.unit.name
    ).strip()
    return f"{name[:1].upper()}{name[1:]}"


def _firing_periods(backtest: Backtest, days: Sequence[date]) -> tuple[tuple[int, int], ...]:
    """Return the first and the last index of each period in which the rule was firing at the close."""
    position = {day: index for index, day in enumerate(days)}
    return tuple(
        (position[episode.fired_on], position[episode.ended_on] - 1 if episode.ended_on else len(days) - 1)
        for episode in backtest.episodes
    )


def _line(
    role: ColorRole, name: str, values: Iterable[float], text: Callable[[float], str], *, scale: float = 1.0
) -> Line:
    known = tuple(values)
    return Line(
        role=role,
        name=name,
        values=tuple(scale * value for value in known),
        texts=tuple(text(value) if math.isfinite(value) else fmt.NO_VALUE for value in known),
    )


def _range_text(line: Line) -> str:
    """Return a line's last, lowest and highest value."""
    known = [(value, text) for value, text in zip(line.values, line.texts, strict=True) if math.isfinite(value)]
    if not known:
        return f"{line.name}: too little history."
    low, high = min(known)[1], max(known)[1]
    return f"{line.name} {line.texts[-1]} at the last session, range {low} to {high}."

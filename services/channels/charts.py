"""Build charts: both legs over a window, the metric of the channel's rules below, and their alerts."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.alerting.alert import Alert
from services.channels.ports import ChannelStore
from services.core.identity import Channel
from services.core.prices import Pair
from services.market.chart_points import measured_rows
from services.market.measure import NotMeasured, Window
from services.market.metrics import SPREAD, Metric
from services.rules.chart_series import (
    IndexedReturns,
    RuleEvent,
    indexed_returns,
    metric_and_window,
    replay_events,
    rule_series,
)
from services.rules.decide import Change
from services.rules.grammar import parse_rule
from services.rules.market_service import MarketService
from services.rules.market_view import MarketView
from services.rules.replay import replay
from services.rules.rule import Rule

NEW_YORK = ZoneInfo("America/New_York")

MAX_ALERTS = 100  # newest alerts of a channel

MetricWindow = tuple[Metric, "Window | None"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChartResult:
    """Both legs over one window, or why they cannot be drawn, and the view that the chart ends with."""

    view: MarketView
    curve: IndexedReturns | NotMeasured


class ChartRequest(NamedTuple):
    """A chart of a pair over a window; the lower panel shows the metric of `rule`, or of the channel's rules."""

    pair: Pair
    window: Window
    rule: Rule | None = None


async def build_chart(
    market: MarketService, store: ChannelStore, channel: Channel, request: ChartRequest, now: datetime
) -> ChartResult:
    """Chart both legs up to now, with the channel's own alerts as markers. Raises NoHistoryError."""
    view = await market.view(request.pair, now)
    watched = _watched(request)
    rules = [rule for rule in await _rules(store, channel, request) if metric_and_window(rule) == watched]
    alerts = [alert for alert in await store.history(channel, MAX_ALERTS) if alert.pair == view.pair]
    sessions: list[date] = [*view.history.closes.sessions.tolist(), view.current.session]
    events = alert_events([alert for alert in alerts if _has_rule_on(alert, watched)], sessions)
    return _chart(view, request.window, watched, rules, events)


def build_replay_chart(view: MarketView, window: Window, rule: Rule) -> ChartResult:
    """Chart both legs of a view, with a rule's replayed events at closes as markers. Raises ReplayError."""
    events = replay_events(replay(view.history.closes, [rule]).rules[0].steps)
    return _chart(view, window, metric_and_window(rule), [rule], events)


def _chart(
    view: MarketView, window: Window, watched: MetricWindow, rules: Sequence[Rule], events: Sequence[RuleEvent]
) -> ChartResult:
    measurement = view.current.measurements[window]
    if isinstance(measurement, NotMeasured):
        return ChartResult(view=view, curve=measurement)
    closes = view.history.closes
    end = [_last_value(view, watched)]
    panel = rule_series(
        closes, measured_rows(closes, measurement), watched, live_values=end, rules=rules, events=events
    )
    return ChartResult(view=view, curve=indexed_returns(closes, measurement, [panel]))


async def _rules(store: ChannelStore, channel: Channel, request: ChartRequest) -> list[Rule]:
    """Return the requested rule, or the channel's active rules on the pair."""
    if request.rule:
        return [request.rule]
    active = [channel_rule.rule for channel_rule in await store.rules(channel) if channel_rule.paused_at is None]
    return [rule for rule in active if rule.pair == request.pair]


def _watched(request: ChartRequest) -> MetricWindow:
    """Return the metric and window of the lower panel: the rule's, or the spread if that has no closes."""
    if request.rule and request.rule.metric.series is not None:
        return metric_and_window(request.rule)
    return SPREAD, request.window


def _has_rule_on(alert: Alert, watched: MetricWindow) -> bool:
    """Return whether a rule on this metric and window belongs to an alert, and was not retracted."""
    return any(metric_and_window(parse_rule(hit.rule)) == watched for hit in alert.hits if not hit.retracted)


def _last_value(view: MarketView, watched: MetricWindow) -> float:
    """Return the watched value at the last point; NaN if it is unknown."""
    metric, window = watched
    series = metric.series
    return float("nan") if series is None else float(series(view.current.aligned, window or Window.D1)[-1])


def alert_events(alerts: Iterable[Alert], sessions: Sequence[date]) -> list[RuleEvent]:
    """Return firing and resolution events on the alerts' sessions, or on the last session before."""
    return [event for alert in alerts for event in _events_of(alert, sessions)]


def _events_of(alert: Alert, sessions: Sequence[date]) -> Iterator[RuleEvent]:
    for at, to in ((alert.opened_at, Change.FIRING), (alert.closed_at, Change.RESOLVED)):
        session = _session_at(at, sessions) if at else None
        if session:
            yield RuleEvent(session=session, change=to)


def _session_at(at: datetime, sessions: Sequence[date]) -> date | None:
    index = bisect_right(sessions, at.astimezone(NEW_YORK).date())
    return sessions[index - 1] if index else None

"""Charting: both legs over a window, with what a channel's rules watch beneath, and the alerts that they gave."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.alerting.alert import Alert
from services.channels.ports import CommandStore
from services.core.identity import Channel
from services.core.prices import Pair
from services.market.measure import METRICS, Metric, NotMeasured, Window, reading
from services.rules.chart_series import (
    IndexedReturns,
    RuleEvent,
    events_of,
    indexed_returns,
    rows_of,
    rule_series,
    watched_by,
)
from services.rules.decide import Change
from services.rules.grammar import parse_rule
from services.rules.market_service import MarketService, MarketView
from services.rules.replay import replay
from services.rules.rule import Rule

NEW_YORK = ZoneInfo("America/New_York")

ALERTS_MARKED = 100  # of a channel, the newest

Watched = tuple[Metric, "Window | None"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChartResult:
    """Both legs over one window, or why they cannot be drawn, and the view that the drawing ends with."""

    view: MarketView
    curve: IndexedReturns | NotMeasured


class ChartRequest(NamedTuple):
    """A chart of a pair over a window; beneath it what `rule` watches, or what the channel's rules on the window do."""

    pair: Pair
    window: Window
    rule: Rule | None = None


async def build_chart(
    market: MarketService, store: CommandStore, channel: Channel, wanted: ChartRequest, now: datetime
) -> ChartResult:
    """Draw both legs up to now, and mark the channel's own alerts. Raises NoHistoryError."""
    view = await market.view(wanted.pair, now)
    watched = _watched(wanted)
    rules = [rule for rule in await _rules(store, channel, wanted) if watched_by(rule) == watched]
    alerts = [one for one in await store.history(channel, ALERTS_MARKED) if one.pair == view.pair]
    sessions: list[date] = [*view.past.closes.sessions.tolist(), view.current.session]
    marks = alert_events([one for one in alerts if _is_of(one, watched)], sessions)
    return _drawn(view, wanted.window, watched, rules, marks)


def build_replay_chart(view: MarketView, window: Window, rule: Rule) -> ChartResult:
    """Draw both legs of a view, and mark what a rule would have done at closes. Raises ReplayError."""
    marks = events_of(replay(view.past.closes, [rule]).rules[0].steps)
    return _drawn(view, window, watched_by(rule), [rule], marks)


def _drawn(
    view: MarketView, window: Window, watched: Watched, rules: Sequence[Rule], marks: Sequence[RuleEvent]
) -> ChartResult:
    measured = view.current.measurements[window]
    if isinstance(measured, NotMeasured):
        return ChartResult(view=view, curve=measured)
    closes = view.past.closes
    end = [_now(view, watched)]
    beneath = rule_series(closes, rows_of(closes, measured), watched, end=end, rules=rules, marks=marks)
    return ChartResult(view=view, curve=indexed_returns(closes, measured, [beneath]))


async def _rules(store: CommandStore, channel: Channel, wanted: ChartRequest) -> list[Rule]:
    """Give the rule that is wanted, or those that stand in the channel and are not paused."""
    if wanted.rule:
        return [wanted.rule]
    standing = [watch.rule for watch in await store.rules(channel) if watch.paused_at is None]
    return [rule for rule in standing if rule.pair == wanted.pair]


def _watched(wanted: ChartRequest) -> Watched:
    """Choose what stands beneath: what the rule watches, or the spread where that has no value at closes."""
    if wanted.rule and METRICS[wanted.rule.metric].series is not None:
        return watched_by(wanted.rule)
    return Metric.SPREAD, wanted.window


def _is_of(alert: Alert, watched: Watched) -> bool:
    """Tell whether a rule that watches this had a part in an alert."""
    return any(watched_by(parse_rule(fact.rule)) == watched for fact in alert.facts)


def _now(view: MarketView, watched: Watched) -> float:
    """Read what is watched at the last point; NaN where it cannot be."""
    metric, window = watched
    seen = view.current
    if window is None:
        return seen.crypto_drawdown.depth if seen.crypto_drawdown else float("nan")
    measured = seen.measurements[window]
    value = None if isinstance(measured, NotMeasured) else reading(measured, metric)
    return float("nan") if value is None else value


def alert_events(alerts: Iterable[Alert], sessions: Sequence[date]) -> list[RuleEvent]:
    """Mark alerts by the sessions in which they began and ended, or that were the last before."""
    return [mark for alert in alerts for mark in _marks(alert, sessions)]


def _marks(alert: Alert, sessions: Sequence[date]) -> Iterator[RuleEvent]:
    for at, to in ((alert.opened_at, Change.FIRING), (alert.closed_at, Change.RESOLVED)):
        session = _session(at, sessions) if at else None
        if session:
            yield RuleEvent(session=session, to=to)


def _session(at: datetime, sessions: Sequence[date]) -> date | None:
    place = bisect_right(sessions, at.astimezone(NEW_YORK).date())
    return sessions[place - 1] if place else None

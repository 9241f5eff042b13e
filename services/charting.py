"""Charting: both legs over a window, with what a channel's rules watch beneath, and the alerts that they gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from services.domain.curve import curve, rows_of
from services.domain.grammar import parse_rule
from services.domain.measure import METRICS, Metric, NotMeasured, reading
from services.domain.replay import replay
from services.domain.trace import marks_of, marks_of_alerts, trace, watched_by

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from services.domain.curve import Curve
    from services.domain.episode import Alert, Channel
    from services.domain.measure import Window
    from services.domain.prices import Pair
    from services.domain.rule import Rule
    from services.domain.trace import Mark
    from services.market import Market, MarketView
    from services.ports import DeskStore

ALERTS_MARKED = 100  # of a channel, the newest

Watched = tuple[Metric, "Window | None"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Charted:
    """Both legs over one window, or why they cannot be drawn, and the view that the drawing ends with."""

    view: MarketView
    curve: Curve | NotMeasured


class Wanted(NamedTuple):
    """A chart of a pair over a window; beneath it what `rule` watches, or what the channel's rules on the window do."""

    pair: Pair
    window: Window
    rule: Rule | None = None


async def charted(market: Market, store: DeskStore, channel: Channel, wanted: Wanted, now: datetime) -> Charted:
    """Draw both legs up to now, and mark the channel's own alerts. Raises NoHistoryError."""
    view = await market.view(wanted.pair, now)
    watched = _watched(wanted)
    rules = [rule for rule in await _rules(store, channel, wanted) if watched_by(rule) == watched]
    alerts = [one for one in await store.history(channel, ALERTS_MARKED) if one.pair == view.pair]
    sessions: list[date] = [*view.past.closes.sessions.tolist(), view.current.session]
    marks = marks_of_alerts([one for one in alerts if _is_of(one, watched)], sessions)
    return _drawn(view, wanted.window, watched, rules, marks)


def replayed(view: MarketView, window: Window, rule: Rule) -> Charted:
    """Draw both legs of a view, and mark what a rule would have done at closes. Raises ReplayError."""
    marks = marks_of(replay(view.past.closes, [rule]).rules[0].steps)
    return _drawn(view, window, watched_by(rule), [rule], marks)


def _drawn(view: MarketView, window: Window, watched: Watched, rules: Sequence[Rule], marks: Sequence[Mark]) -> Charted:
    measured = view.current.measurements[window]
    if isinstance(measured, NotMeasured):
        return Charted(view=view, curve=measured)
    closes = view.past.closes
    end = [_now(view, watched)]
    beneath = trace(closes, rows_of(closes, measured), watched, end=end, rules=rules, marks=marks)
    return Charted(view=view, curve=curve(closes, measured, [beneath]))


async def _rules(store: DeskStore, channel: Channel, wanted: Wanted) -> list[Rule]:
    """Give the rule that is wanted, or those that stand in the channel and are not paused."""
    if wanted.rule:
        return [wanted.rule]
    standing = [watch.rule for watch in await store.rules(channel) if watch.paused_at is None]
    return [rule for rule in standing if rule.pair == wanted.pair]


def _watched(wanted: Wanted) -> Watched:
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

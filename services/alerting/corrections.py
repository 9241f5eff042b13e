"""Correct closed alerts if a close that they used has changed since."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from services.alerting.alert import (
    MAX_CLOSES,
    Alert,
    EntryKind,
    RuleHit,
    TimelineEntry,
    is_breach,
    recheck,
    with_chart,
    with_hit,
)
from services.alerting.alert_news import retraction, visible_correction
from services.alerting.ports import AlertChange, MonitorStore, StoredAlert
from services.alerting.tick_log import Tick
from services.core.prices import Pair, to_datetime
from services.core.reason import Reason, each_of
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from services.rules.market_view import MarketView


@dataclass(slots=True)
class ClosedAlertCorrector:
    """Checks closed alerts against the current closes, each time those have changed.

    What was checked is kept in memory only. A second check does no harm, as a corrected alert agrees with the closes.
    """

    store: MonitorStore
    _checked: dict[Pair, int] = field(default_factory=dict)

    async def correct(self, tick: Tick, pair: Pair, view: MarketView, now: datetime) -> int:
        """Correct the alerts that closed within the last sessions, in one transaction; return how many were corrected.

        Raises the errors of `record`; the next tick then checks all of them again.
        """
        closes = view.history.closes
        fingerprint = hash((closes.etf.tobytes(), closes.crypto.tobytes(), view.close.trust.verdict.usable))
        if self._checked.get(pair) == fingerprint:
            return 0
        since = to_datetime(closes.at[-min(MAX_CLOSES, len(closes))])
        closed = await self.store.closed_alerts(pair, since)
        changes = [change for stored in closed if (change := correct_alert(stored, view, now)) is not None]
        if changes:
            await self.store.record([], changes, now, tick=tick)
        self._checked[pair] = fingerprint
        return len(changes)


def correct_alert(stored: StoredAlert, view: MarketView, now: datetime) -> AlertChange | None:
    """Return the correction of a closed alert; None if everything it shows is right."""
    alert, reasons = stored.alert, list[Reason]()
    for hit in stored.alert.hits:
        after, reason = _correct_hit(hit, alert.side, view)
        if reason is not None:
            alert = with_hit(_with_current_prices(alert, after, view), after)
            reasons.append(reason)
    if not reasons:
        return None
    kind = EntryKind.RETRACTED if alert.retracted and not stored.alert.retracted else EntryKind.CORRECTED
    entry = TimelineEntry(kind=kind, at=now, reason=each_of(reasons))
    return AlertChange(alert=with_chart(alert, view.history), revision=stored.revision, entries=(entry,))


def _correct_hit(hit: RuleHit, side: Side, view: MarketView) -> tuple[RuleHit, Reason | None]:
    """Return the corrected hit and the reason.

    It is retracted if the rule would not have fired, and no longer retracted if it would have.
    """
    after, corrections = recheck(hit, side, partial(view.reading_at, parse_rule(hit.rule)))
    if reason := retraction(hit, after, side, corrections, None):
        return replace(after, retracted=True), reason
    retracted = hit.retracted and not is_breach(after.peak, after, side)
    return replace(after, retracted=retracted), visible_correction(hit, after, side, corrections)


def _with_current_prices(alert: Alert, hit: RuleHit, view: MarketView) -> Alert:
    """Return the alert with current prices, if its prices are those of a close that the hit shows."""
    stamps = view.price_stamps_at(hit.measurement.session) if hit.is_close and hit.at == alert.as_of else None
    return alert if stamps is None else replace(alert, etf=stamps[0], crypto=stamps[1])

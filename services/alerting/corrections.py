"""Hindsight: alerts that have ended, amended where a close that they saw has another value by now."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from services.alerting.alert import Alert, Entry, EntryKind, with_chart, with_hit
from services.alerting.alert_news import corrected, retracted
from services.alerting.ports import MonitorStore
from services.alerting.records import AlertChange, StoredAlert
from services.alerting.rule_hit import CLOSES_KEPT, RuleHit, is_past, recheck
from services.alerting.tick_log import Tick
from services.core.prices import Pair, moment
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from services.rules.market_service import MarketView


@dataclass(slots=True)
class ClosedAlertCorrector:
    """Holds ended alerts against the closes as they are known now, each time that those have changed.

    What was looked at is kept in memory alone: looking twice does no harm, for an alert that was amended agrees with
    the closes.
    """

    store: MonitorStore
    _looked_at: dict[Pair, int] = field(default_factory=dict)

    async def amend(self, tick: Tick, pair: Pair, view: MarketView, now: datetime) -> int:
        """Amend what ended within the last sessions, in one transaction; give the number of alerts that were.

        Raises as `record` does, and looks at all of it again in the next tick.
        """
        closes = view.past.closes
        known = hash((closes.etf.tobytes(), closes.crypto.tobytes(), view.close.trust.verdict.usable))
        if self._looked_at.get(pair) == known:
            return 0
        since = moment(closes.at[-min(CLOSES_KEPT, len(closes))])
        ended = await self.store.ended_alerts(pair, since)
        changes = [change for stored in ended if (change := amended(stored, view, now)) is not None]
        if changes:
            await self.store.record([], changes, now, tick=tick)
        self._looked_at[pair] = known
        return len(changes)


def amended(stored: StoredAlert, view: MarketView, now: datetime) -> AlertChange | None:
    """Correct an alert that has ended; None where nothing that it tells is wrong."""
    alert, told = stored.alert, list[str]()
    for fact in stored.alert.facts:
        after, text = _amended(fact, alert.side, view)
        if text is not None:
            alert = with_hit(_restamp(alert, after, view), after)
            told.append(text)
    if not told:
        return None
    kind = EntryKind.RETRACTED if alert.retracted and not stored.alert.retracted else EntryKind.CORRECTED
    entry = Entry(kind=kind, at=now, reason=", ".join(told))
    return AlertChange(alert=with_chart(alert, view.past), revision=stored.revision, entries=(entry,))


def _amended(fact: RuleHit, side: Side, view: MarketView) -> tuple[RuleHit, str | None]:
    """Correct what a rule saw, and say how; one that would not have fired is retracted, and one that would is not."""
    after, corrections = recheck(fact, side, partial(view.recall, parse_rule(fact.rule)))
    if why := retracted(fact, after, side, corrections, None):
        return replace(after, retracted=True), why
    still = fact.retracted and not is_past(after.peak, after, side)
    return replace(after, retracted=still), corrected(fact, after, side, corrections)


def _restamp(alert: Alert, fact: RuleHit, view: MarketView) -> Alert:
    """Let the message show the prices as they are known now, where they are those of a close that the fact shows."""
    stamps = view.stamps_at(fact.measurement.session) if fact.is_close and fact.at == alert.as_of else None
    return alert if stamps is None else replace(alert, etf=stamps[0], crypto=stamps[1])

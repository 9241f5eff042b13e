"""Apply rule decisions to the open alerts: one per channel, pair, subject and direction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.alerting.alert import Alert, EntryKind, HitEnd, RuleHit, open_hit, with_opening
from services.alerting.alert_update import AlertUpdate
from services.alerting.ports import AlertChange, ChannelRule, StoredAlert
from services.core.concurrency import in_turns
from services.core.identity import Channel
from services.core.prices import Pair
from services.core.reason import Code, Reason
from services.market.metrics import Subject
from services.research.attribution import AlertAttribution
from services.research.track_record import TrackRecord
from services.rules.decide import Observation, Side
from services.rules.history_lookup import HistoryLookup
from services.rules.market_view import MarketView
from services.rules.rule import Rule

ENDS = {EntryKind.PAUSED: HitEnd.PAUSED, EntryKind.EDITED: HitEnd.EDITED}  # how a rule that a person changes ends
AlertKey = tuple[Channel, Pair, Subject, Side]


@dataclass(slots=True)
class OpenAlerts:
    """The open alerts while the decisions of one tick are applied to them.

    Attributes:
        at: Time of the tick.
        track_records: By rule, for the rules that fire.
        attributions: Return attributions by rule, for the rules that fire.
        history: Source of the charts.
    """

    at: datetime
    _updates: dict[AlertKey, AlertUpdate] = field(default_factory=dict)
    track_records: Mapping[Rule, TrackRecord] = field(default_factory=dict)
    attributions: Mapping[Rule, AlertAttribution] = field(default_factory=dict)
    history: HistoryLookup | None = None

    @classmethod
    def from_stored(cls, stored: Iterable[StoredAlert], at: datetime) -> OpenAlerts:
        """Build from the stored alerts, without test alerts, which no rule changes."""
        updates = [AlertUpdate(one.alert, one.revision, one.alert, at) for one in stored if not one.alert.is_drill]
        return cls(at, {_key_of(update.alert): update for update in updates})

    def fire(
        self, channel_rule: ChannelRule, side: Side, observation: Observation, view: MarketView, reason: Reason
    ) -> None:
        """Open an alert for a rule that fires, or add the rule to the open one."""
        hit = self._new_hit(channel_rule, observation, view)
        update = self._updates.get(_key(channel_rule, side))
        if update is not None:
            update.join(hit, Reason.of(Code.OF_RULE, rule=channel_rule.rule, reason=reason))
            return
        alert = self._new_alert(channel_rule, side, hit, view, reason)
        update = self._updates[_key(channel_rule, side)] = AlertUpdate(alert, 0, None, self.at)
        update.note_fired(reason)

    def resolve(
        self, channel_rule: ChannelRule, side: Side, observation: Observation, view: MarketView, reason: Reason
    ) -> None:
        """Remove a rule from its alert, and close the alert after the last one."""
        update = self._updates.get(_key(channel_rule, side))
        if update is not None:
            of_rule = Reason.of(Code.OF_RULE, rule=channel_rule.rule, reason=reason)
            update.resolve(channel_rule.rule, channel_rule.id, observation, view, of_rule)

    def apply_edited_rules(self, rule_of: Callable[[int], Rule | None], view: MarketView) -> None:
        """Apply rules that people have edited, once they can be measured."""
        for update, hit in self._active():
            rule = rule_of(hit.rule_id)
            if rule is not None and str(rule) != hit.rule:
                update.apply_edited_rule(hit, rule, view)

    async def correct(self, view: MarketView) -> frozenset[int]:
        """Report closes that were corrected since they were reported; call it before anything is decided on them.

        Returns the ids of the rules that would not have fired. They leave; `apply_retractions` then closes the alerts
        that
        only they kept open.
        """
        rule_ids = [rule_id async for update in in_turns(self._updates.values()) for rule_id in update.correct(view)]
        return frozenset(rule_ids)

    def apply_retractions(self) -> None:
        """Report the rules that would not have fired, after other rules have joined."""
        for update in self._updates.values():
            update.apply_retractions()

    async def refresh(self, view: MarketView) -> None:
        """Update the values of the open alerts, and report worsenings and repeats."""
        async for update in in_turns(self._updates.values()):
            update.refresh(view)
            update.report_progress()

    def prune(self, exists: Callable[[int], bool]) -> None:
        """Remove the rules that no longer exist."""
        for _, hit in self._active():
            if not exists(hit.rule_id):
                self.remove_rule(hit.rule_id, by=None)

    def remove_rule(
        self,
        rule_id: int,
        by: str | None,
        reason: Reason | None = None,
        *,
        kind: EntryKind = EntryKind.LEFT,
    ) -> None:
        """Remove a rule from every open alert; if other rules keep an alert open, add an entry of this `kind`."""
        for update in self._updates_with_rule(rule_id):
            update.leave(
                rule_id,
                reason or Reason.of(Code.RULE_GONE),
                by=by,
                kind=kind,
                ended=ENDS.get(kind, HitEnd.REMOVED),
            )

    def edit_rule(self, rule_id: int, before: Rule, after: Rule, by: str) -> None:
        """Update an edited rule in its alert; `apply_edited_rules` measures it later."""
        for update in self._updates_with_rule(rule_id):
            update.note_edit(rule_id, before, after, by)

    def move(self, before: Pair, after: Pair, reason: Reason, by: str) -> None:
        """Move the alerts on a pair to another one; where that has such an alert already, their rules leave them."""
        for key, update in list(self._updates.items()):
            channel, pair, subject, side = key
            if pair != before or update.alert.closed_at is not None:
                continue
            moved_key = channel, after, subject, side
            if moved_key not in self._updates:
                update.move(after, reason, by)
                self._updates[moved_key] = self._updates.pop(key)
                continue
            for hit in update.active:
                update.leave(hit.rule_id, reason, by=by, kind=EntryKind.EDITED, ended=HitEnd.MOVED)

    def note_channel_change(self, change: Reason, by: str) -> None:
        """Add a person's change to the newest alert, unless an alert of the channel already has an entry for it.

        A snoozed alert is used only if there is no other.
        """
        updates = self._updates.values()
        if updates and not any(update.entries for update in updates):
            max(updates, key=lambda update: (not update.is_snoozed, update.alert.id)).note_channel_change(change, by)

    def changes(self) -> list[AlertChange]:
        """Return everything to save."""
        return [change for update in self._updates.values() if (change := update.to_change(self.history)) is not None]

    def _active(self) -> list[tuple[AlertUpdate, RuleHit]]:
        return [(update, hit) for update in self._updates.values() for hit in update.active]

    def _updates_with_rule(self, rule_id: int) -> list[AlertUpdate]:
        return [update for update, hit in self._active() if hit.rule_id == rule_id]

    def _new_hit(self, channel_rule: ChannelRule, observation: Observation, view: MarketView) -> RuleHit:
        """Return the first hit of a rule that fires. Raises ValueError if the rule has no value."""
        measurement = view.measurement(channel_rule.rule)
        if measurement is None or observation.value is None:
            raise ValueError(f"rule {channel_rule.id} fired on nothing: {observation.reason!s}")
        return open_hit(
            channel_rule.id,
            channel_rule.rule,
            observation.value,
            at=observation.at,
            measurement=measurement,
            now=self.at,
            track_record=self.track_records.get(channel_rule.rule),
            attribution=self.attributions.get(channel_rule.rule),
        )

    def _new_alert(
        self, channel_rule: ChannelRule, side: Side, hit: RuleHit, view: MarketView, reason: Reason
    ) -> Alert:
        etf, crypto = view.price_stamps(channel_rule.rule)
        alert = Alert(
            id=0,
            channel=channel_rule.channel,
            pair=channel_rule.rule.pair,
            subject=channel_rule.rule.metric.subject,
            side=side,
            opened_at=hit.at,
            as_of=hit.at,
            hits=(hit,),
            etf=etf,
            crypto=crypto,
            simulated=view.simulated,
            trust=view.trust_for(channel_rule.rule),
            reason=reason,
            unacknowledged_since=self.at,
        )
        return with_opening(alert)


def _key(channel_rule: ChannelRule, side: Side) -> AlertKey:
    return channel_rule.channel, channel_rule.rule.pair, channel_rule.rule.metric.subject, side


def _key_of(alert: Alert) -> AlertKey:
    return alert.channel, alert.pair, alert.subject, alert.side

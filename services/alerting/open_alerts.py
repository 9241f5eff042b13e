"""Fold what rules decided into the open alerts of their channels: one for each channel, pair, subject and direction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.alerting.alert import Alert, EntryKind, Subject
from services.alerting.alert_update import AlertUpdate
from services.alerting.records import AlertChange, ChannelRule, StoredAlert
from services.alerting.rule_hit import RuleHit, open_hit
from services.core.identity import Channel
from services.core.prices import Pair
from services.research.attribution import AlertAttribution
from services.research.track_record import Record
from services.rules.decide import Observation, Side
from services.rules.history_lookup import HistoryLookup
from services.rules.market_service import MarketView
from services.rules.rule import Rule

Key = tuple["Channel", "Pair", Subject, "Side"]


@dataclass(slots=True)
class OpenAlerts:
    """The open alerts at the moment `at`, while the decisions of one tick are folded in.

    `records` has, for the rules that fire, how their earlier episodes went, and `parts` what the ETF's move came with.
    `past` is what their charts are drawn from.
    """

    at: datetime
    _drafts: dict[Key, AlertUpdate] = field(default_factory=dict)
    records: Mapping[Rule, Record] = field(default_factory=dict)
    parts: Mapping[Rule, AlertAttribution] = field(default_factory=dict)
    past: HistoryLookup | None = None

    @classmethod
    def of(cls, stored: Iterable[StoredAlert], at: datetime) -> OpenAlerts:
        """Start from what the store holds."""
        drafts = [AlertUpdate(one.alert, one.revision, one.alert, at) for one in stored]
        return cls(at, {_key_of(draft.alert): draft for draft in drafts})

    def fire(self, watch: ChannelRule, side: Side, observation: Observation, view: MarketView, reason: str) -> None:
        """Open an alert for a rule that fires, or let it join the one that is open."""
        fact = self._first_seen(watch, observation, view)
        draft = self._drafts.get(_key(watch, side))
        if draft is not None:
            draft.join(fact, f"{watch.rule}: {reason}")
            return
        alert = self._opened(watch, side, fact, view, reason)
        draft = self._drafts[_key(watch, side)] = AlertUpdate(alert, 0, None, self.at)
        draft.fired(reason)

    def resolve(self, watch: ChannelRule, side: Side, observation: Observation, view: MarketView, reason: str) -> None:
        """Let a rule leave its alert, and close the alert after the last one."""
        draft = self._drafts.get(_key(watch, side))
        if draft is not None:
            draft.resolve(watch.rule, watch.id, observation, view, f"{watch.rule}: {reason}")

    def adopt(self, rule_of: Callable[[int], Rule | None], view: MarketView) -> None:
        """Follow rules that people have changed by what they say now, once that can be measured."""
        for draft, fact in self._active():
            rule = rule_of(fact.rule_id)
            if rule is not None and str(rule) != fact.rule:
                draft.adopt(fact, rule, view)

    def correct(self, view: MarketView) -> frozenset[int]:
        """Tell, before anything is decided on it, where a close that was told has another value now.

        Gives the numbers of the rules that would not have fired: they leave, and `settle` then ends what they alone
        kept open.
        """
        return frozenset(number for draft in self._drafts.values() for number in draft.correct(view))

    def settle(self) -> None:
        """Tell of the rules that would not have fired, once others have joined."""
        for draft in self._drafts.values():
            draft.settle()

    def refresh(self, view: MarketView) -> None:
        """Bring the facts of the open alerts up to date, and tell where they worsened or are to be repeated."""
        for draft in self._drafts.values():
            draft.refresh(view)
            draft.tell_news()

    def prune(self, stands: Callable[[int], bool]) -> None:
        """Drop the rules that are not there any more."""
        for _, fact in self._active():
            if not stands(fact.rule_id):
                self.drop(fact.rule_id, by=None)

    def drop(
        self,
        rule_id: int,
        by: str | None,
        reason: str = "the rule was removed",
        *,
        note: EntryKind = EntryKind.LEFT,
    ) -> None:
        """Take a rule out of every open alert that it keeps open; where another does so too, a `note` tells of it."""
        for draft in self._kept_open_by(rule_id):
            draft.leave(rule_id, reason, by=by, note=note)

    def edit(self, rule_id: int, before: Rule, after: Rule, by: str) -> None:
        """Let a rule that is changed keep its alert open; what is measured anew waits for `adopt`."""
        for draft in self._kept_open_by(rule_id):
            draft.edit(rule_id, before, after, by)

    def mention(self, what: str, by: str) -> None:
        """Tell what a person has changed in a channel where no alert of it tells that already: once, in the newest.

        An alert that is to be silent is passed over where there is another.
        """
        drafts = self._drafts.values()
        if drafts and not any(draft.entries for draft in drafts):
            max(drafts, key=lambda draft: (not draft.quiet, draft.alert.id)).mention(what, by)

    def changes(self) -> list[AlertChange]:
        """Give everything that is to be recorded."""
        return [change for draft in self._drafts.values() if (change := draft.change(self.past)) is not None]

    def _active(self) -> list[tuple[AlertUpdate, RuleHit]]:
        return [(draft, fact) for draft in self._drafts.values() for fact in draft.active]

    def _kept_open_by(self, rule_id: int) -> list[AlertUpdate]:
        return [draft for draft, fact in self._active() if fact.rule_id == rule_id]

    def _first_seen(self, watch: ChannelRule, observation: Observation, view: MarketView) -> RuleHit:
        """Take down what a rule fires on. Raises ValueError where that is nothing."""
        measurement = view.legs(watch.rule)
        if measurement is None or observation.value is None:
            raise ValueError(f"rule {watch.id} fired on nothing: {observation.reason}")
        return open_hit(
            watch.id,
            watch.rule,
            observation.value,
            at=observation.at,
            measurement=measurement,
            now=self.at,
            record=self.records.get(watch.rule),
            parted=self.parts.get(watch.rule),
        )

    def _opened(self, watch: ChannelRule, side: Side, fact: RuleHit, view: MarketView, reason: str) -> Alert:
        etf, crypto = view.stamps(watch.rule)
        return Alert(
            id=0,
            channel=watch.channel,
            pair=watch.rule.pair,
            subject=Subject.of(watch.rule.metric),
            side=side,
            opened_at=fact.at,
            as_of=fact.at,
            facts=(fact,),
            etf=etf,
            crypto=crypto,
            simulated=view.simulated,
            trust=view.trust(watch.rule),
            reason=reason,
            unseen_since=self.at,
        )


def _key(watch: ChannelRule, side: Side) -> Key:
    return watch.channel, watch.rule.pair, Subject.of(watch.rule.metric), side


def _key_of(alert: Alert) -> Key:
    return alert.channel, alert.pair, alert.subject, alert.side

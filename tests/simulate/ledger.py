"""The ledger: what has truly been committed, kept apart from the store, and every promise that it shows broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.alerting.alert import Alert, Subject
from services.alerting.records import AlertChange, ChannelRule, RuleAuditKind, RuleChange, StateChange
from services.core.identity import Channel
from services.core.prices import Pair
from services.rules.decide import Side
from tests.simulate.log import Log
from tests.simulate.silences import Silences

Key = tuple["Channel", "Pair", Subject, "Side"]
VIOLATION = "BROKEN"


@dataclass(slots=True)
class Ledger:
    """Rules with their states and open episodes, after each commit of whatever process."""

    log: Log
    rules: dict[int, ChannelRule] = field(default_factory=dict)
    open: dict[Key, Alert] = field(default_factory=dict)
    ended: dict[int, Alert] = field(default_factory=dict)
    parted: set[int] = field(default_factory=set)  # firing rules whose alert a person has ended
    transitions: int = 0
    broken: list[str] = field(default_factory=list)
    silences: Silences = field(init=False)

    def __post_init__(self) -> None:
        self.silences = Silences(self.expect)

    def expect(self, kept: bool, promise: str, *what: object) -> None:
        """Note a promise that is not kept."""
        if not kept:
            told = f"{promise}: {' '.join(map(str, what))}"
            self.log.add(VIOLATION, told)
            self.broken.append(told)

    def record(
        self, states: Sequence[StateChange], alerts: Sequence[AlertChange], rules: Sequence[RuleChange], at: datetime
    ) -> None:
        """Take over one commit."""
        for change in states:
            known = self.rules.get(change.rule_id)
            as_read = known is not None and (known.state, known.edition) == (change.before, change.edition)
            self.expect(
                as_read and known is not None and known.paused_at is None, "a state is compared and set", change
            )
            if known is not None:
                self._put(replace(known, state=change.after))
        for act in rules:
            self._change(act, at)
        for one in sorted(alerts, key=lambda one: one.alert.id == 0):
            self._take(one.alert)
        self._balance()

    def _put(self, watch: ChannelRule) -> None:
        if watch.state.firing is not self.rules[watch.id].state.firing:
            self.parted.discard(watch.id)
        self.rules[watch.id] = watch

    def _change(self, act: RuleChange, at: datetime) -> None:
        """Take over what a person did to a rule."""
        known = self.rules.get(act.channel_rule.id)
        self.expect(known is not None and known == act.channel_rule, "a rule is compared and set", act, known)
        if known is None:
            return
        if act.kind is RuleAuditKind.REMOVED:
            self.rules.pop(known.id)
            return
        rule = act.rule if act.kind is RuleAuditKind.EDITED and act.rule else known.rule
        paused_at = {RuleAuditKind.PAUSED: at, RuleAuditKind.RESUMED: None}.get(act.kind, known.paused_at)
        self._put(replace(known, rule=rule, state=act.state, paused_at=paused_at, edition=known.edition + 1))

    def retractions(self, alerts: Sequence[AlertChange]) -> frozenset[int]:
        """Give the rules that, by what an alert is to say, have left it as if they had never fired."""
        changed = [(self.open.get(_key(one.alert)), one.alert) for one in alerts]
        return frozenset(
            fact.rule_id
            for known, alert in changed
            if known is not None
            for fact in alert.hits
            if fact.retracted and any(old.active for old in known.hits if old.rule_id == fact.rule_id)
        )

    def part(self, alerts: Sequence[AlertChange]) -> None:
        """Take note that a person ends alerts while their rules go on firing."""
        for one in alerts:
            alert = one.alert
            known = self.open.get(_key(alert))
            if alert.closed_at is not None and known is not None:
                self.parted |= {fact.rule_id for fact in known.hits if fact.active}

    def _take(self, alert: Alert) -> None:
        key = _key(alert)
        if alert.id in self.ended:
            self._amend(alert)
            return
        if alert.id == 0:
            self.expect(key not in self.open, "one open episode for each channel, pair, subject and side", *key)
        else:
            self.expect(key in self.open, "only an open episode is changed", alert.id, *key)
        if alert.closed_at is None:
            self.open[key] = alert
        else:
            self.open.pop(key, None)
            self.ended[alert.id] = alert

    def _amend(self, alert: Alert) -> None:
        """Take over what is known better of an alert that has ended."""
        ended = self.ended[alert.id]
        as_it_was = ended.closed_at == alert.closed_at and not any(fact.active for fact in alert.hits)
        self.expect(as_it_was, "what has ended stays ended", alert.id, ended.closed_at, alert.closed_at)
        self.log.add("alert", alert.id, "is amended,", "retracted" if alert.retracted else "corrected")
        self.ended[alert.id] = alert

    def _balance(self) -> None:
        """Compare both sides: rules that fire, and facts that are active."""
        firing = {
            (rule.id, rule.channel, rule.state.firing, Subject.for_metric(rule.rule.metric))
            for rule in self.rules.values()
            if rule.state.firing is not None and rule.id not in self.parted
        }
        told = {
            (fact.rule_id, alert.channel, alert.side, alert.subject)
            for alert in self.open.values()
            for fact in alert.hits
            if fact.active
        }
        self.expect(firing == told, "a rule fires exactly where an open episode says so", firing ^ told)


def _key(alert: Alert) -> Key:
    return alert.channel, alert.pair, alert.subject, alert.side

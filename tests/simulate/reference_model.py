"""Reference model: what was committed, tracked independently of the store, and every violated invariant."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.alerting.alert import Alert
from services.alerting.ports import AlertChange, ChannelRule, RuleAuditKind, RuleChange, StateChange
from services.core.identity import Channel
from services.core.prices import Pair
from services.market.metrics import Subject
from services.rules.decide import Side
from tests.simulate.channel_model import ChannelModel
from tests.simulate.event_log import EventLog

Key = tuple["Channel", "Pair", Subject, "Side"]
VIOLATION = "VIOLATION"


@dataclass(slots=True)
class ReferenceModel:
    """Rules with their states and open alerts, after each commit of any process."""

    log: EventLog
    rules: dict[int, ChannelRule] = field(default_factory=dict)
    open_alerts: dict[Key, Alert] = field(default_factory=dict)
    closed_alerts: dict[int, Alert] = field(default_factory=dict)
    detached: set[int] = field(default_factory=set)  # firing rules whose alert a person resolved
    transitions: int = 0
    violations: list[str] = field(default_factory=list)
    channel_model: ChannelModel = field(init=False)

    def __post_init__(self) -> None:
        self.channel_model = ChannelModel(self.expect)

    def expect(self, holds: bool, invariant: str, *what: object) -> None:
        """Record a violation unless an invariant holds."""
        if not holds:
            violation = f"{invariant}: {' '.join(map(str, what))}"
            self.log.add(VIOLATION, violation)
            self.violations.append(violation)

    def record(
        self, states: Sequence[StateChange], alerts: Sequence[AlertChange], rules: Sequence[RuleChange], at: datetime
    ) -> None:
        """Apply one commit."""
        for change in states:
            known = self.rules.get(change.rule_id)
            is_current = known is not None and (known.state, known.edition) == (change.before, change.edition)
            self.expect(
                is_current and known is not None and known.paused_at is None,
                "a state change is a compare-and-set",
                change,
            )
            if known is not None:
                self._set_rule(replace(known, state=change.after))
        for rule_change in rules:
            self._apply_rule_change(rule_change, at)
        for one in sorted(alerts, key=lambda one: one.alert.id == 0):
            self._apply_alert(one.alert)
        self._check_firing()

    def _set_rule(self, rule: ChannelRule) -> None:
        if rule.state.firing is not self.rules[rule.id].state.firing:
            self.detached.discard(rule.id)
        self.rules[rule.id] = rule

    def _apply_rule_change(self, change: RuleChange, at: datetime) -> None:
        """Apply a person's change of a rule."""
        known = self.rules.get(change.channel_rule.id)
        self.expect(
            known is not None and known == change.channel_rule, "a rule change is a compare-and-set", change, known
        )
        if known is None:
            return
        if change.kind is RuleAuditKind.REMOVED:
            self.rules.pop(known.id)
            return
        rule = change.rule if change.kind is RuleAuditKind.EDITED and change.rule else known.rule
        paused_at = {RuleAuditKind.PAUSED: at, RuleAuditKind.RESUMED: None}.get(change.kind, known.paused_at)
        self._set_rule(replace(known, rule=rule, state=change.state, paused_at=paused_at, edition=known.edition + 1))

    def retractions(self, alerts: Sequence[AlertChange]) -> frozenset[int]:
        """Return the rules that an alert change retracts."""
        changed = [(self.open_alerts.get(_key(one.alert)), one.alert) for one in alerts]
        return frozenset(
            hit.rule_id
            for known, alert in changed
            if known is not None
            for hit in alert.hits
            if hit.retracted and any(old.active for old in known.hits if old.rule_id == hit.rule_id)
        )

    def detach(self, alerts: Sequence[AlertChange]) -> None:
        """Record the rules that keep firing after a person resolves their alerts."""
        for one in alerts:
            alert = one.alert
            known = self.open_alerts.get(_key(alert))
            if alert.closed_at is not None and known is not None:
                self.detached |= {hit.rule_id for hit in known.hits if hit.active}

    def _apply_alert(self, alert: Alert) -> None:
        key = _key(alert)
        if alert.id in self.closed_alerts:
            self._apply_correction(alert)
            return
        if alert.id == 0:
            self.expect(key not in self.open_alerts, "one open alert per channel, pair, subject and side", *key)
        else:
            self.expect(key in self.open_alerts, "only an open alert is changed", alert.id, *key)
        if alert.closed_at is None:
            self.open_alerts[key] = alert
        else:
            self.open_alerts.pop(key, None)
            self.closed_alerts[alert.id] = alert

    def _apply_correction(self, alert: Alert) -> None:
        """Apply a correction of a closed alert."""
        known = self.closed_alerts[alert.id]
        unchanged = known.closed_at == alert.closed_at and not any(hit.active for hit in alert.hits)
        self.expect(unchanged, "a closed alert stays closed", alert.id, known.closed_at, alert.closed_at)
        self.log.add("alert", alert.id, "is", "retracted" if alert.retracted else "corrected")
        self.closed_alerts[alert.id] = alert

    def _check_firing(self) -> None:
        """Compare the firing rules with the active hits of open alerts."""
        firing = {
            (rule.id, rule.channel, rule.state.firing, rule.rule.metric.subject)
            for rule in self.rules.values()
            if rule.state.firing is not None and rule.id not in self.detached
        }
        active = {
            (hit.rule_id, alert.channel, alert.side, alert.subject)
            for alert in self.open_alerts.values()
            for hit in alert.hits
            if hit.active
        }
        self.expect(firing == active, "a rule fires if and only if an open alert has its active hit", firing ^ active)


def _key(alert: Alert) -> Key:
    return alert.channel, alert.pair, alert.subject, alert.side

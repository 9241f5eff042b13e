"""The ledger: what has truly been committed, kept apart from the store, and every promise that it shows broken."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from services.domain.decide import Change, Observation, decide
from services.domain.episode import Subject
from services.domain.measure import Metric
from services.ports import Claim

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.domain.decide import Decision, Side
    from services.domain.episode import Alert, Channel
    from services.domain.prices import Pair
    from services.market import MarketView
    from services.ports import AlertChange, LostWatch, RuleChange, StateChange, Tick, Watch
    from tests.simulate.log import Log

Key = tuple["Channel", "Pair", Subject, "Side"]
FRESH = timedelta(minutes=20)
TRUE_AT_MOST = 0.45  # no leg ever moves that far in a run; ten times a price does
VIOLATION = "BROKEN"


@dataclass(slots=True)
class Ledger:
    """Rules with their states and open episodes, after each commit of whatever process."""

    log: Log
    rules: dict[int, Watch] = field(default_factory=dict)
    open: dict[Key, Alert] = field(default_factory=dict)
    parted: set[int] = field(default_factory=set)  # firing rules whose alert a person has ended
    transitions: int = 0
    broken: list[str] = field(default_factory=list)

    def expect(self, kept: bool, promise: str, *what: object) -> None:
        """Note a promise that is not kept."""
        if not kept:
            told = f"{promise}: {' '.join(map(str, what))}"
            self.log.add(VIOLATION, told)
            self.broken.append(told)

    def record(
        self, states: Sequence[StateChange], alerts: Sequence[AlertChange], removed: Sequence[Watch | LostWatch]
    ) -> None:
        """Take over one commit."""
        for change in states:
            known = self.rules.get(change.rule_id)
            self.expect(known is not None and known.state == change.before, "a state is compared and set", change)
            if known is not None:
                self.rules[change.rule_id] = replace(known, state=change.after)
                if change.after.firing is not change.before.firing:
                    self.parted.discard(change.rule_id)
        for gone in removed:
            self.rules.pop(gone.id, None)
        for one in sorted(alerts, key=lambda one: one.alert.id == 0):
            self._take(one.alert)
        self._balance()

    def part(self, alerts: Sequence[AlertChange]) -> None:
        """Take note that a person ends alerts while their rules go on firing."""
        for one in alerts:
            alert = one.alert
            known = self.open.get((alert.channel, alert.pair, alert.subject, alert.side))
            if alert.closed_at is not None and known is not None:
                self.parted |= {fact.rule_id for fact in known.facts if fact.active}

    def _take(self, alert: Alert) -> None:
        key = (alert.channel, alert.pair, alert.subject, alert.side)
        if alert.id == 0:
            self.expect(key not in self.open, "one open episode for each channel, pair, subject and side", *key)
        else:
            self.expect(key in self.open, "only an open episode is changed", alert.id, *key)
        if alert.closed_at is None:
            self.open[key] = alert
        else:
            self.open.pop(key, None)

    def _balance(self) -> None:
        """Compare both sides: rules that fire, and facts that are active."""
        firing = {
            (rule.id, rule.channel, rule.state.firing, Subject.of(rule.rule.metric))
            for rule in self.rules.values()
            if rule.state.firing is not None and rule.id not in self.parted
        }
        told = {
            (fact.rule_id, alert.channel, alert.side, alert.subject)
            for alert in self.open.values()
            for fact in alert.facts
            if fact.active
        }
        self.expect(firing == told, "a rule fires exactly where an open episode says so", firing ^ told)


@dataclass(slots=True)
class Witness:
    """Watches one part of one process: what it has read, and whether what it writes follows from that."""

    ledger: Ledger
    ticks: bool = False
    _view: MarketView | None = None
    _read: dict[int, Watch] = field(default_factory=dict)
    _recorded: bool = False
    _at: datetime | None = None

    def look(self, view: MarketView | None) -> None:
        """Take note of what a tick sees; None where there is nothing."""
        self._view = view

    def note(self, name: str, asked: tuple[Any, ...], more: dict[str, Any], result: Any) -> None:  # noqa: ANN401 -- whatever the store has
        """Take note of a call to the store that has been done."""
        match name:
            case "add_rules":
                self.ledger.rules |= {watch.id: watch for watch in result if watch.id not in self.ledger.rules}
            case "record":
                self._record(*asked, **more)
            case "rulebook" if self.ticks:
                self._read, self._recorded = dict(self.ledger.rules), False
            case "claim_tick":
                self._at = asked[2] if result is Claim.OURS else None
            case "finish_tick" if not self._recorded:
                self._check_decisions({})

    def _record(
        self,
        states: Sequence[StateChange],
        alerts: Sequence[AlertChange],
        at: datetime,
        *,
        rules: Sequence[RuleChange] = (),
        tick: Tick | None = None,
    ) -> None:
        removed = [change.watch for change in rules]  # people here change rules in no other way
        self.ledger.expect(self.ticks == (tick is not None), "ticks are fenced, and people's acts are not", tick)
        if self.ticks:
            self._at, self._recorded = at, True
            self._check_decisions({change.rule_id: change.after for change in states})
        elif not removed:
            self.ledger.part(alerts)
        self.ledger.record(states, alerts, removed)

    def _check_decisions(self, recorded: dict[int, object]) -> None:
        """Decide every rule again on what was seen: what is recorded must be that, no more and no less."""
        if self._at is None:
            return
        for rule_id, watch in self._read.items():
            observation = self._observation(watch, self._at)
            decision = decide(watch.state, observation, watch.rule, self._at)
            expected = recorded.get(rule_id, watch.state)
            self.ledger.expect(decision.state == expected, "live equals replay", watch, observation, expected)
            self._check_transitions(watch, decision, observation)
        self.ledger.expect(recorded.keys() <= self._read.keys(), "only rules that were read move", recorded)

    def _observation(self, watch: Watch, at: datetime) -> Observation:
        if self._view is None:
            return Observation(at=at, value=None, reason="nothing is known")
        return self._view.observe(watch.rule)

    def _check_transitions(self, watch: Watch, decision: Decision, observation: Observation) -> None:
        if not decision.transitions or self._view is None or observation.value is None:
            self.ledger.expect(not decision.transitions, "no transition without a price", watch)
            return
        self.ledger.transitions += len(decision.transitions)
        fired = any(one.to is Change.FIRING for one in decision.transitions)
        self.ledger.log.add(
            "rule", watch.id, watch.channel.id, watch.rule, "fires:" if fired else "ends:", decision.reason
        )
        trusted = self._view.trust(watch.rule).verdict.usable
        self.ledger.expect(trusted, "no transition on prices that are not trusted", watch, self._view.trust(watch.rule))
        if observation.closing or watch.rule.metric is Metric.GAP:
            return
        self.ledger.expect(
            self._view.now - observation.at <= FRESH, "no transition on stale prices", watch, observation
        )
        seen = self._view.legs(watch.rule)
        believed = seen is not None and max(abs(seen.etf_return), abs(seen.crypto_return)) < TRUE_AT_MOST
        self.ledger.expect(believed, "no transition on a price that never was", watch, seen)

"""Witnesses: whether what a process writes follows from what it has read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.alerting.records import AlertChange, ChannelRule, RuleChange, StateChange
from services.alerting.tick_log import Claim, Tick
from services.market.measure import METRICS, Metric
from services.rules.decide import Change, Decision, Observation, decide
from services.rules.market_service import MarketView
from tests.simulate.ledger import Ledger
from tests.simulate.silences import Silences

FRESH = timedelta(minutes=20)
TRUE_AT_MOST = 0.8  # no leg ever moves that far in a run; ten times a price, or a tenth of it, does


@dataclass(slots=True)
class Witness:
    """Watches one part of one process: what it has read, and whether what it writes follows from that."""

    ledger: Ledger
    ticks: bool = False
    _view: MarketView | None = None
    _read: dict[int, ChannelRule] = field(default_factory=dict)
    _recorded: bool = False
    _at: datetime | None = None

    def look(self, view: MarketView | None) -> None:
        """Take note of what a tick sees; None where there is nothing."""
        self._view = view

    def note(self, name: str, asked: tuple[Any, ...], more: dict[str, Any], result: Any) -> None:  # noqa: ANN401 -- whatever the store has
        """Take note of a call to the store that has been done."""
        match name:
            case "add_rules":
                if new := {watch.id: watch for watch in result if watch.id not in self.ledger.rules}:
                    self._tell(more.get("alerts", ()), asked[3])
                self.ledger.rules |= new
            case "change_channel":
                self._tell(asked[2], asked[1].at)
                self.silences.note(name, asked, more, result)
            case "record":
                self._record(*asked, **more)
            case "rulebook" if self.ticks:
                watched = {number: watch for number, watch in self.ledger.rules.items() if watch.paused_at is None}
                self._read, self._recorded = watched, False
            case "claim_tick":
                self._at = asked[2] if result is Claim.OURS else None
            case "finish_tick" if not self._recorded:
                self._check_decisions({}, frozenset())
            case _:
                self.silences.note(name, asked, more, result)

    def _tell(self, alerts: Sequence[AlertChange], at: datetime) -> None:
        """Take over what a change of the channel has alerts tell."""
        self.silences.record(alerts, at)
        self.ledger.record([], alerts, [], at)

    @property
    def silences(self) -> Silences:
        return self.ledger.silences

    def _record(
        self,
        states: Sequence[StateChange],
        alerts: Sequence[AlertChange],
        at: datetime,
        *,
        rules: Sequence[RuleChange] = (),
        tick: Tick | None = None,
    ) -> None:
        if self.ticks:
            self.ledger.expect(tick is not None and tick.claimed_at == self._at, "a tick records what it claimed", tick)
        if self.ticks and not self._is_hindsight(alerts):
            self._at, self._recorded = at, True
            recorded = {change.rule_id: change.after for change in states}
            self._check_decisions(recorded, self.ledger.retractions(alerts))
        elif not self.ticks and not rules:
            self.ledger.part(alerts)
        self.silences.record(alerts, at)
        self.ledger.record(states, alerts, rules, at)

    def _is_hindsight(self, alerts: Sequence[AlertChange]) -> bool:
        """Tell whether a tick amends what has ended, which it does after it has decided."""
        return bool(alerts) and all(one.alert.id in self.ledger.ended for one in alerts)

    def _check_decisions(self, recorded: Mapping[int, object], retracted: frozenset[int]) -> None:
        """Decide every rule again on what was seen: what is recorded must be that, no more and no less."""
        if self._at is None:
            return
        for rule_id, watch in self._read.items():
            observation = self._observation(watch, self._at)
            if rule_id in retracted:
                self._check_retraction(watch, observation)
            state = watch.state.without_firing() if rule_id in retracted else watch.state
            decision = decide(state, observation, watch.rule, self._at)
            expected = recorded.get(rule_id, watch.state)
            self.ledger.expect(decision.state == expected, "live equals replay", watch, observation, expected)
            self._check_transitions(watch, decision, observation)
        self.ledger.expect(recorded.keys() <= self._read.keys(), "only rules that were read move", recorded)

    def _check_retraction(self, watch: ChannelRule, observation: Observation) -> None:
        """Hold against a retraction that the rule was firing, and is not past its threshold any more."""
        side, value = watch.state.firing, observation.value
        past = side is not None and value is not None and value * side.sign >= watch.rule.threshold
        self.ledger.log.add("rule", watch.id, watch.channel.id, watch.rule, "is retracted at", value)
        self.ledger.expect(
            side is not None and not past, "only what is not past its threshold is retracted", watch, value
        )

    def _observation(self, watch: ChannelRule, at: datetime) -> Observation:
        if self._view is None:
            return Observation(at=at, value=None, reason="nothing is known", pair_unavailable=True)
        return self._view.observe(watch.rule)

    def _check_transitions(self, watch: ChannelRule, decision: Decision, observation: Observation) -> None:
        if not decision.transitions or self._view is None or observation.value is None:
            self.ledger.expect(not decision.transitions, "no transition without a price", watch)
            return
        self.ledger.transitions += len(decision.transitions)
        fired = any(one.change is Change.FIRING for one in decision.transitions)
        self.ledger.log.add(
            "rule", watch.id, watch.channel.id, watch.rule, "fires:" if fired else "ends:", decision.reason
        )
        trusted = self._view.trust_for(watch.rule).verdict.usable
        self.ledger.expect(
            trusted, "no transition on prices that are not trusted", watch, self._view.trust_for(watch.rule)
        )
        if observation.at_close or watch.rule.metric is Metric.GAP:
            return
        self.ledger.expect(
            self._view.now - observation.at <= FRESH, "no transition on stale prices", watch, observation
        )
        seen = self._view.measurement(watch.rule)
        of_network = METRICS[watch.rule.metric].needs_network  # which needs no price of the ETF
        moved = [] if seen is None else [seen.crypto_return, *([] if of_network else [seen.etf_return])]
        believed = bool(moved) and max(map(abs, moved)) < TRUE_AT_MOST
        self.ledger.expect(believed, "no transition on a price that never was", watch, seen)

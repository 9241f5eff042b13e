"""Checks that what a process writes follows from what it read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.alerting.notice import Notice
from services.alerting.ports import AlertChange, ChannelRule, RuleChange, StateChange
from services.alerting.tick_log import Claim, Tick
from services.market.metrics import GAP
from services.rules.decide import Change, Decision, Observation, decide
from services.rules.market_view import MarketView
from tests.simulate.channel_model import ChannelModel
from tests.simulate.reference_model import ReferenceModel

OBSERVED = frozenset(
    {
        *("add_rules", "change_channel", "record", "rulebook", "claim_tick", "finish_tick", "schedule_silence"),
        *("withheld_messages", "end_silence", "add_notices", "mark_attempting"),
    }
)
MAX_AGE = timedelta(minutes=20)
MAX_TRUE_RETURN = 0.8  # no leg moves that far in a run, but a price off by a factor of 10 does


@dataclass(slots=True)
class WriteChecker:
    """Checks the writes of one part of a process against what that part read."""

    model: ReferenceModel
    ticks: bool = False
    _view: MarketView | None = None
    _read: dict[int, ChannelRule] = field(default_factory=dict)
    _has_recorded: bool = False
    _at: datetime | None = None

    def observe_view(self, view: MarketView | None) -> None:
        """Record the view that a tick gets; None if there is none."""
        self._view = view

    def observe_call(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any], result: Any) -> None:  # noqa: ANN401 -- any method
        """Check and apply a completed call to the store."""
        match name:
            case "add_rules":
                self.channel_model.add_notices(keywords.get("notices", ()))
                if new := {rule.id: rule for rule in result if rule.id not in self.model.rules}:
                    self._record_setting(keywords.get("alerts", ()), arguments[3])
                self.model.rules |= new
            case "change_channel":
                self._record_setting(arguments[2], arguments[1].at)
                notices = [*arguments[3:4], keywords.get("notice")]
                for one in keywords.get("others", ()):
                    self._record_setting(one.alerts, one.change.at)
                    notices.append(one.notice)
                self.channel_model.add_notices([notice for notice in notices if notice is not None])
                self.channel_model.observe_call(name, arguments, keywords, result)
            case "record":
                self._record(*arguments, **keywords)
            case "rulebook" if self.ticks:
                rules = {number: rule for number, rule in self.model.rules.items() if rule.paused_at is None}
                self._read, self._has_recorded = rules, False
            case "claim_tick":
                self._at = arguments[2] if result is Claim.OURS else None
            case "finish_tick" if not self._has_recorded:
                self._check_decisions({}, frozenset())
            case _:
                self.channel_model.observe_call(name, arguments, keywords, result)

    def _record_setting(self, alerts: Sequence[AlertChange], at: datetime) -> None:
        """Apply the alert changes of a setting."""
        self.channel_model.record(alerts, at)
        self.model.record([], alerts, [], at)

    @property
    def channel_model(self) -> ChannelModel:
        return self.model.channel_model

    def _record(
        self,
        states: Sequence[StateChange],
        alerts: Sequence[AlertChange],
        at: datetime,
        *,
        rules: Sequence[RuleChange] = (),
        notices: Sequence[Notice] = (),
        tick: Tick | None = None,
    ) -> None:
        self.channel_model.add_notices(notices)
        if self.ticks:
            self.model.expect(tick is not None and tick.claimed_at == self._at, "a tick records its own claim", tick)
        if self.ticks and not self._is_correction(alerts):
            self._at, self._has_recorded = at, True
            recorded = {change.rule_id: change.after for change in states}
            self._check_decisions(recorded, self.model.retractions(alerts))
        elif not self.ticks and not rules:
            self.model.detach(alerts)
        self.channel_model.record(alerts, at)
        self.model.record(states, alerts, rules, at)

    def _is_correction(self, alerts: Sequence[AlertChange]) -> bool:
        """Return whether a tick corrects closed alerts, which it does after its decisions."""
        return bool(alerts) and all(one.alert.id in self.model.closed_alerts for one in alerts)

    def _check_decisions(self, recorded: Mapping[int, object], retracted: frozenset[int]) -> None:
        """Decide every rule again from the observed view, and compare with what was recorded."""
        if self._at is None:
            return
        for rule_id, rule in self._read.items():
            observation = self._observation(rule, self._at)
            if rule_id in retracted:
                self._check_retraction(rule, observation)
            state = rule.state.without_firing() if rule_id in retracted else rule.state
            decision = decide(state, observation, rule.rule, self._at)
            expected = recorded.get(rule_id, rule.state)
            self.model.expect(decision.state == expected, "live equals replay", rule, observation, expected)
            self._check_transitions(rule, decision, observation)
        self.model.expect(recorded.keys() <= self._read.keys(), "only rules that were read change", recorded)

    def _check_retraction(self, rule: ChannelRule, observation: Observation) -> None:
        """Check that a retracted rule was firing and is no longer past its threshold."""
        side, value = rule.state.firing, observation.value
        past = side is not None and value is not None and value * side.sign >= rule.rule.threshold
        self.model.log.add("rule", rule.id, rule.channel.id, rule.rule, "is retracted at", value)
        self.model.expect(side is not None and not past, "a rule past its threshold is not retracted", rule, value)

    def _observation(self, rule: ChannelRule, at: datetime) -> Observation:
        if self._view is None:
            return Observation(at=at, value=None, reason="no data", pair_unavailable=True)
        return self._view.observe(rule.rule)

    def _check_transitions(self, rule: ChannelRule, decision: Decision, observation: Observation) -> None:
        if not decision.transitions or self._view is None or observation.value is None:
            self.model.expect(not decision.transitions, "no transition without a price", rule)
            return
        self.model.transitions += len(decision.transitions)
        fired = any(one.change is Change.FIRING for one in decision.transitions)
        self.model.log.add(
            "rule", rule.id, rule.channel.id, rule.rule, "fires:" if fired else "clears:", decision.reason
        )
        trusted = self._view.trust_for(rule.rule).verdict.usable
        self.model.expect(trusted, "no transition on untrusted prices", rule, self._view.trust_for(rule.rule))
        if observation.at_close or rule.rule.metric is GAP:
            return
        self.model.expect(
            self._view.now - observation.at <= MAX_AGE, "no transition on stale prices", rule, observation
        )
        legs = self._view.measurement(rule.rule)
        of_network = rule.rule.metric.needs_network  # a network metric needs no ETF price
        returns = [] if legs is None else [legs.crypto_return, *([] if of_network else [legs.etf_return])]
        plausible = bool(returns) and max(map(abs, returns)) < MAX_TRUE_RETURN
        self.model.expect(plausible, "no transition on a wrong price", rule, legs)

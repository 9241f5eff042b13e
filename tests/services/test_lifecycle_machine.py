"""Rules, alerts and people's actions in any order: the real commands, monitor and store, compared with a model."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from services.alerting.alert import Alert
from services.alerting.notice import ChannelChange
from services.channels.commands import AlertOutcome
from services.core.identity import Channel
from services.delivery.ports import Delivery, NoticeMessage
from services.market.metrics import Direction
from services.rules.decide import RuleState, decide
from services.rules.grammar import parse_rule
from services.rules.rule import Rule
from tests.fakes.harness import CHANNEL, OPEN, OTHER_CHANNEL, open_harness

RULES = ("1d 8pp for 0s", "1d 12pp for 0s", "1d 6pp above clear 3pp for 0s", "1d 9pp below for 5m")
SPREADS = (0.13, -0.14, 0.09, 0.05, -0.1, 0.0)
TICK = timedelta(minutes=5)
channels = st.sampled_from((CHANNEL, OTHER_CHANNEL))


def tells_of_a_change(delivery: Delivery) -> bool:
    """Return whether a message is a line on what a person changed, which is posted in a mute too."""
    message = delivery.message
    return isinstance(message, NoticeMessage) and isinstance(message.notice.content, ChannelChange)


class Lifecycle(RuleBasedStateMachine):
    """The model: each rule's state from `decide` alone, and which rules an open alert must contain."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.harness = self.run(self.stack.enter_async_context(open_harness()))
        self.now = OPEN + timedelta(minutes=30)
        self.watched: dict[int, tuple[Channel, Rule, RuleState]] = {}
        self.resolved_by_people: set[int] = set()
        self.paused: set[int] = set()
        self.muted: dict[Channel, datetime] = {}
        self.action_count = 0

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 -- the result of any coroutine
        return self.loop.run_until_complete(coroutine)

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.loop.close()

    @initialize(texts=st.sets(st.sampled_from(RULES), min_size=2))
    def start(self, texts: set[str]) -> None:
        for text in sorted(texts):
            self.add(CHANNEL, text)
        self._tick(0.14)

    @rule(channel=channels, text=st.sampled_from(RULES))
    def add(self, channel: Channel, text: str) -> None:
        added = self.run(self.harness.commands.add_rule(channel, text, "U1"))
        known = [
            number
            for number, (rule_channel, one, _) in self.watched.items()
            if (rule_channel, one) == (channel, parse_rule(text))
        ]
        assert known == ([] if added.created else [added.channel_rule.id])
        if added.created:
            self.watched[added.channel_rule.id] = channel, added.channel_rule.rule, RuleState()

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if self.watched:
            number = data.draw(st.sampled_from(sorted(self.watched)))
            self.run(self.harness.commands.remove_rule(self.watched[number][0], number, "U2"))
            del self.watched[number]
            self.paused.discard(number)

    @rule(data=st.data(), text=st.sampled_from(RULES))
    def edit(self, data: st.DataObject, text: str) -> None:
        if self.watched:
            number, after = data.draw(st.sampled_from(sorted(self.watched))), parse_rule(text)
            channel, _, state = self.watched[number]
            twins = [n for n, (rule_channel, one, _) in self.watched.items() if (rule_channel, one) == (channel, after)]
            edited = self.run(self.harness.commands.edit_rule(channel, number, text, "U3"))
            assert (edited.rule_id, edited.changed) == (twins[0] if twins else number, not twins)
            if edited.changed:
                stays = state.firing and after.direction in (Direction.EITHER, Direction(state.firing.value))
                kept = RuleState(firing=state.firing, fired_at=state.fired_at) if stays else RuleState()
                self._set_state(number, after, kept)

    @rule(data=st.data())
    def pause_or_resume(self, data: st.DataObject) -> None:
        if self.watched:
            number = data.draw(st.sampled_from(sorted(self.watched)))
            channel, watched, _ = self.watched[number]
            switch = self.harness.commands.resume_rule if number in self.paused else self.harness.commands.pause_rule
            assert self.run(switch(channel, number, "U4")).changed
            self.paused ^= {number}
            self._set_state(number, watched, RuleState())

    @rule(channel=channels)
    def mute_or_unmute(self, channel: Channel) -> None:
        text = "off" if channel in self.muted else "30m"
        self.run(self.harness.commands.settings.mute(channel, text, "U5"))
        if self.muted.pop(channel, None) is None:
            self.muted[channel] = self.harness.clock.at + timedelta(minutes=30)

    @rule(channel=channels)
    def start_a_test_alert(self, channel: Channel) -> None:
        started = self.run(self.harness.commands.start_drill(channel, "U6"))
        assert started.is_new <= (channel not in self.muted)
        assert len([one for one in self.run(self.harness.open_alerts(channel)) if one.is_drill]) <= 1

    @rule(spread=st.sampled_from(SPREADS))
    def tick(self, spread: float) -> None:
        self._tick(spread)

    @rule()
    def lose_prices(self) -> None:
        """Advance half an hour without a trade, so that the last one is too old to be live."""
        self.now += timedelta(minutes=25)
        self._tick(None)

    @rule(act=st.sampled_from(("acknowledge", "unacknowledge", "resolve", "snooze", "unsnooze")), data=st.data())
    def act_on_alert(self, act: str, data: st.DataObject) -> None:
        alerts: list[Alert] = [
            one for at in (CHANNEL, OTHER_CHANNEL) for one in self.run(self.harness.commands.history(at))
        ]
        if not alerts:
            return
        alert, self.action_count = data.draw(st.sampled_from(alerts)), self.action_count + 1
        channel = alert.channel
        by, commands = f"P{self.action_count}", self.harness.commands
        match act:
            case "resolve":
                outcome: AlertOutcome = self.run(commands.resolve(channel, alert.id, by, ""))
                if outcome.changed:
                    self.resolved_by_people |= {fact.rule_id for fact in alert.hits}
            case "snooze":
                outcome = self.run(commands.snooze(channel, alert.id, by, timedelta(minutes=30)))
            case "unsnooze":
                outcome = self.run(commands.unsnooze(channel, alert.id, by))
            case "acknowledge":
                outcome = self.run(commands.acknowledge(channel, alert.id, by))
            case _:
                outcome = self.run(commands.unacknowledge(channel, alert.id, by))
        applies = {
            "acknowledge": alert.acknowledged is None,
            "unacknowledge": alert.acknowledged is not None,
            "unsnooze": alert.is_snoozed(self.harness.clock.at),
        }
        assert outcome.changed == (alert.closed_at is None and applies.get(act, True))
        assert by in self._names(channel, alert.id) if outcome.changed else by not in self._names(channel, alert.id)

    @invariant()
    def states_match_decide(self) -> None:
        stored = {watch.id: watch.state for watch in self.run(self.harness.store.rulebook()).rules}
        assert stored == {number: state for number, (_, _, state) in self.watched.items()}

    @invariant()
    def open_alerts_have_exactly_the_firing_rules(self) -> None:
        alerts = self.run(self.harness.open_alerts())
        keys = [(one.channel, one.pair, one.subject, one.side) for one in alerts]
        real = [one for one in alerts if not one.is_drill]
        shown = {(one.channel, one.side, fact.rule_id) for one in real for fact in one.hits if fact.active}
        firing = {
            (rule_channel, s.firing, n)
            for n, (rule_channel, _, s) in self.watched.items()
            if s.firing and n not in self.resolved_by_people
        }
        assert len(keys) == len(set(keys))
        assert shown == firing

    @invariant()
    def messages_are_sent_once_in_order_and_none_to_a_muted_channel(self) -> None:
        due = self.run(self.harness.store.due(self.now))
        muted = [one for one in due if one.channel in self.muted and not tells_of_a_change(one)]
        assert all(one.message_id is not None for one in muted)
        delivered = self.run(self.harness.deliver_all())
        assert not self.run(self.harness.store.backlog(self.now)).waiting
        assert all(not entry.silent for entry in delivered)
        self._check_that_each_message_was_posted_or_is_in_a_digest()

    def _check_that_each_message_was_posted_or_is_in_a_digest(self) -> None:
        for channel in (CHANNEL, OTHER_CHANNEL):
            alerts = self.run(self.harness.store.history(channel, 1_000))
            audits = [self.run(self.harness.commands.audit(channel, alert.id)) for alert in alerts]
            for posting in (posting for audit in audits for posting in audit.postings):
                shown = (posting.message_id is not None) + (posting.digest_at is not None)
                assert shown == 1 or (shown == 0 and channel in self.muted)

    def _tick(self, spread: float | None) -> None:
        self.now += TICK
        changed = self.run(self.harness.tick(self.now, spread))
        moved = {number: self._decided(number) for number in self.watched}
        assert changed == sum(moved[number] != state for number, (_, _, state) in self.watched.items())
        for number, state in moved.items():
            channel, watched, before = self.watched[number]
            if state.firing is not before.firing:
                self.resolved_by_people.discard(number)
            self.watched[number] = channel, watched, state
        self.run(self.harness.maintenance.tick(self.now))
        self.muted = {channel: until for channel, until in self.muted.items() if until > self.now}

    def _set_state(self, number: int, watched: Rule, state: RuleState) -> None:
        channel, _, before = self.watched[number]
        if state.firing is not before.firing:
            self.resolved_by_people.discard(number)
        self.watched[number] = channel, watched, state

    def _decided(self, number: int) -> RuleState:
        _, watched, state = self.watched[number]
        if number in self.paused:
            return state
        view = self.run(self.harness.market.view(watched.pair, self.now))
        return decide(state, view.observe(watched), watched, self.now).state

    def _names(self, channel: Channel, alert_id: int) -> set[str | None]:
        return {entry.by for entry in self.run(self.harness.commands.audit(channel, alert_id)).entries}


def test_rules_and_alerts_match_the_model_after_any_actions() -> None:
    run_state_machine_as_test(
        Lifecycle,
        settings=settings(
            max_examples=6,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )

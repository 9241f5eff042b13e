"""Rules, episodes and what people do, in any order: the real desk, monitor and store beside a model of them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from services.alerting.alert import Alert
from services.channels.commands import AlertOutcome
from services.core.identity import Channel
from services.rules.decide import RuleState, decide
from services.rules.grammar import parse_rule
from services.rules.rule import Direction, Rule
from tests.fakes.harness import CHANNEL, OPEN, OTHER_CHANNEL, open_harness

RULES = ("1d 8pp for 0s", "1d 12pp for 0s", "1d 6pp above clear 3pp for 0s", "1d 9pp below for 5m")
SPREADS = (0.13, -0.14, 0.09, 0.05, -0.1, 0.0)
TICK = timedelta(minutes=5)
channels = st.sampled_from((CHANNEL, OTHER_CHANNEL))


class Lifecycle(RuleBasedStateMachine):
    """The model: each rule's state as `decide` alone gives it, and which alert tells of which rule."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.harness = self.does(self.stack.enter_async_context(open_harness()))
        self.now = OPEN + timedelta(minutes=30)
        self.watched: dict[int, tuple[Channel, Rule, RuleState]] = {}
        self.parted: set[int] = set()
        self.paused: set[int] = set()
        self.muted: dict[Channel, datetime] = {}
        self.people = 0

    def does(self, doing: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 -- whatever it gives
        return self.loop.run_until_complete(doing)

    def teardown(self) -> None:
        self.does(self.stack.aclose())
        self.loop.close()

    @initialize(texts=st.sets(st.sampled_from(RULES), min_size=2))
    def begins(self, texts: set[str]) -> None:
        for text in sorted(texts):
            self.adds(CHANNEL, text)
        self._tick(0.14)

    @rule(channel=channels, text=st.sampled_from(RULES))
    def adds(self, channel: Channel, text: str) -> None:
        added = self.does(self.harness.commands.add_rule(channel, text, "U1"))
        known = [
            number for number, (where, one, _) in self.watched.items() if (where, one) == (channel, parse_rule(text))
        ]
        assert known == ([] if added.created else [added.channel_rule.id])
        if added.created:
            self.watched[added.channel_rule.id] = channel, added.channel_rule.rule, RuleState()

    @rule(data=st.data())
    def removes(self, data: st.DataObject) -> None:
        if self.watched:
            number = data.draw(st.sampled_from(sorted(self.watched)))
            self.does(self.harness.commands.remove_rule(self.watched[number][0], number, "U2"))
            del self.watched[number]
            self.paused.discard(number)

    @rule(data=st.data(), text=st.sampled_from(RULES))
    def edits(self, data: st.DataObject, text: str) -> None:
        if self.watched:
            number, after = data.draw(st.sampled_from(sorted(self.watched))), parse_rule(text)
            channel, _, state = self.watched[number]
            twins = [n for n, (where, one, _) in self.watched.items() if (where, one) == (channel, after)]
            edited = self.does(self.harness.commands.edit_rule(channel, number, text, "U3"))
            assert (edited.rule_id, edited.changed) == (twins[0] if twins else number, not twins)
            if edited.changed:
                stays = state.firing and after.direction in (Direction.EITHER, Direction(state.firing.value))
                kept = RuleState(firing=state.firing, fired_at=state.fired_at) if stays else RuleState()
                self._puts(number, after, kept)

    @rule(data=st.data())
    def pauses_or_resumes(self, data: st.DataObject) -> None:
        if self.watched:
            number = data.draw(st.sampled_from(sorted(self.watched)))
            channel, watched, _ = self.watched[number]
            switch = self.harness.commands.resume_rule if number in self.paused else self.harness.commands.pause_rule
            assert self.does(switch(channel, number, "U4")).changed
            self.paused ^= {number}
            self._puts(number, watched, RuleState())

    @rule(channel=channels)
    def mutes_or_unmutes(self, channel: Channel) -> None:
        text = "off" if channel in self.muted else "30m"
        self.does(self.harness.commands.settings.mute(channel, text, "U5"))
        if self.muted.pop(channel, None) is None:
            self.muted[channel] = self.harness.clock.at + timedelta(minutes=30)

    @rule(spread=st.sampled_from(SPREADS))
    def ticks(self, spread: float) -> None:
        self._tick(spread)

    @rule()
    def sees_nothing(self) -> None:
        """Let the last trade be too old to be live, for half an hour."""
        self.now += timedelta(minutes=25)
        self._tick(None)

    @rule(act=st.sampled_from(("acknowledge", "unacknowledge", "resolve", "snooze")), data=st.data())
    def treats(self, act: str, data: st.DataObject) -> None:
        alerts: list[Alert] = [one for at in (CHANNEL, OTHER_CHANNEL) for one in self.does(self.harness.commands.history(at))]
        if not alerts:
            return
        alert, self.people = data.draw(st.sampled_from(alerts)), self.people + 1
        channel = alert.channel
        by, desk = f"P{self.people}", self.harness.commands
        match act:
            case "resolve":
                outcome: AlertOutcome = self.does(desk.resolve(channel, alert.id, by, ""))
                if outcome.changed:
                    self.parted |= {fact.rule_id for fact in alert.hits}
            case "snooze":
                outcome = self.does(desk.snooze(channel, alert.id, by, timedelta(minutes=30)))
            case "acknowledge":
                outcome = self.does(desk.acknowledge(channel, alert.id, by))
            case _:
                outcome = self.does(desk.unacknowledge(channel, alert.id, by))
        acknowledged = {"acknowledge": alert.acknowledged is None, "unacknowledge": alert.acknowledged is not None}
        assert outcome.changed == (alert.closed_at is None and acknowledged.get(act, True))
        assert by in self._names(channel, alert.id) if outcome.changed else by not in self._names(channel, alert.id)

    @invariant()
    def states_are_what_decide_gives(self) -> None:
        stored = {watch.id: watch.state for watch in self.does(self.harness.store.rulebook()).rules}
        assert stored == {number: state for number, (_, _, state) in self.watched.items()}

    @invariant()
    def an_open_alert_tells_of_exactly_the_rules_that_fire(self) -> None:
        alerts = self.does(self.harness.open_alerts())
        keys = [(one.channel, one.pair, one.subject, one.side) for one in alerts]
        told = {(one.channel, one.side, fact.rule_id) for one in alerts for fact in one.hits if fact.active}
        firing = {
            (where, s.firing, n) for n, (where, _, s) in self.watched.items() if s.firing and n not in self.parted
        }
        assert len(keys) == len(set(keys))
        assert told == firing

    @invariant()
    def every_message_is_sent_once_in_its_order_and_no_new_one_into_a_muted_channel(self) -> None:
        due = self.does(self.harness.store.due(self.now))
        assert all(one.message_id is not None for one in due if one.channel in self.muted)
        delivered = self.does(self.harness.deliver_all())
        assert not self.does(self.harness.store.backlog(self.now)).waiting
        assert all(not entry.silent for entry in delivered)

    @invariant()
    def every_message_stands_or_is_told_in_a_digest_but_in_a_muted_channel(self) -> None:
        for channel in (CHANNEL, OTHER_CHANNEL):
            alerts = self.does(self.harness.store.history(channel, 1_000))
            receipts = [self.does(self.harness.commands.audit(channel, alert.id)) for alert in alerts]
            for posting in (posting for receipt in receipts for posting in receipt.postings):
                told = (posting.message_id is not None) + (posting.digest_at is not None)
                assert told == 1 or (told == 0 and channel in self.muted)

    def _tick(self, spread: float | None) -> None:
        self.now += TICK
        changed = self.does(self.harness.tick(self.now, spread))
        moved = {number: self._decided(number) for number in self.watched}
        assert changed == sum(moved[number] != state for number, (_, _, state) in self.watched.items())
        for number, state in moved.items():
            channel, watched, before = self.watched[number]
            if state.firing is not before.firing:
                self.parted.discard(number)
            self.watched[number] = channel, watched, state
        self.does(self.harness.maintenance.tick(self.now))
        self.muted = {channel: until for channel, until in self.muted.items() if until > self.now}

    def _puts(self, number: int, watched: Rule, state: RuleState) -> None:
        channel, _, before = self.watched[number]
        if state.firing is not before.firing:
            self.parted.discard(number)
        self.watched[number] = channel, watched, state

    def _decided(self, number: int) -> RuleState:
        _, watched, state = self.watched[number]
        if number in self.paused:
            return state
        view = self.does(self.harness.market.view(watched.pair, self.now))
        return decide(state, view.observe(watched), watched, self.now).state

    def _names(self, channel: Channel, alert_id: int) -> set[str | None]:
        return {entry.by for entry in self.does(self.harness.commands.audit(channel, alert_id)).entries}


def test_rules_episodes_and_people_keep_every_promise_in_any_order() -> None:
    run_state_machine_as_test(
        Lifecycle,
        settings=settings(
            max_examples=10,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta

import pytest

from services.alerting.alert import ActorStamp, Alert, EntryKind
from services.alerting.channel_settings import (
    ChannelSettings,
    QuietHours,
    Thread,
    While,
    after_leaving,
    calls_anyone,
    escalation_due,
    is_broadcast,
    is_told,
    reminder_due,
)
from services.core.identity import Mention
from tests.fakes.alerts import AT, an_alert

MINUTE = timedelta(minutes=1)
ONCALL = Mention(text="<!subteam^S1>", name="@oncall")
CALLING = ChannelSettings(mention=ONCALL, remind_every=15 * MINUTE, escalate_after=30 * MINUTE, escalate_to=ONCALL)


def opened(**more: object) -> Alert:
    return an_alert(opened_at=AT, **more)  # type: ignore[arg-type]  # the builder checks its own


@pytest.mark.parametrize(
    ("thread", "told"),
    [
        pytest.param(Thread.ALL, set(EntryKind), id="all"),
        pytest.param(
            Thread.STEPS,
            set(EntryKind) - {EntryKind.ACKNOWLEDGED, EntryKind.UNACKNOWLEDGED, EntryKind.SNOOZED, EntryKind.CHANGED},
            id="steps",
        ),
        pytest.param(
            Thread.ENDS,
            {EntryKind.RESOLVED, EntryKind.RETRACTED, EntryKind.REMINDED, EntryKind.ESCALATED},
            id="ends",
        ),
    ],
)
def test_a_thread_tells_as_much_as_its_channel_wants(thread: Thread, told: set[EntryKind]) -> None:
    assert told == {kind for kind in EntryKind if is_told(kind, ChannelSettings(thread=thread))}


@pytest.mark.parametrize(
    ("on", "shown"),
    [
        pytest.param(False, {EntryKind.ESCALATED}, id="off"),
        pytest.param(True, {EntryKind.ESCALATED, EntryKind.JOINED, EntryKind.WORSENED}, id="on"),
    ],
)
def test_what_worsens_is_shown_in_the_channel_where_it_is_wanted(shown: set[EntryKind], *, on: bool) -> None:
    assert shown == {kind for kind in EntryKind if is_broadcast(kind, ChannelSettings(broadcast=on))}


@pytest.mark.parametrize(
    ("alert", "calls"),
    [
        pytest.param(opened(), True, id="open"),
        pytest.param(opened(acknowledged=ActorStamp(by="U1", at=AT)), False, id="acknowledged"),
        pytest.param(opened(closed_at=AT), False, id="over"),
        pytest.param(opened(snoozed=ActorStamp(by="U1", at=AT, until=AT + MINUTE)), False, id="snoozed"),
        pytest.param(opened(snoozed=ActorStamp(by="U1", at=AT, until=AT)), True, id="no longer snoozed"),
    ],
)
def test_only_what_nobody_sees_to_calls_anyone(alert: Alert, *, calls: bool) -> None:
    assert calls is calls_anyone(alert, AT)
    late = AT + timedelta(hours=1) - timedelta(seconds=1)
    soon = AT if alert.snoozed and alert.snoozed.until != AT else late
    assert calls is reminder_due(alert, CALLING, None, soon)


def test_a_channel_that_set_nothing_calls_nobody() -> None:
    later = AT + timedelta(days=1)

    assert not reminder_due(opened(), ChannelSettings(), None, later)
    assert not escalation_due(opened(), ChannelSettings(), None, later)


@pytest.mark.parametrize(
    ("alert", "released_at", "due_after"),
    [
        pytest.param(opened(), None, 0, id="since it opened"),
        pytest.param(an_alert(opened_at=AT - 20 * MINUTE, unseen_since=AT), None, 0, id="since it was known"),
        pytest.param(
            opened(snoozed=ActorStamp(by="U1", at=AT, until=AT + 7 * MINUTE)), None, 7, id="since its snooze ended"
        ),
        pytest.param(opened(), AT + 9 * MINUTE, 9, id="since the silence ended"),
    ],
)
def test_calls_are_due_by_the_time_in_which_someone_could_have_seen_to_it(
    alert: Alert, released_at: object, due_after: int
) -> None:
    begins = AT + due_after * MINUTE
    reminded = [reminder_due(alert, CALLING, released_at, begins + n * MINUTE) for n in (14, 15)]  # type: ignore[arg-type]
    escalated = [escalation_due(alert, CALLING, released_at, begins + n * MINUTE) for n in (29, 30)]  # type: ignore[arg-type]

    assert [False, True] == reminded == escalated


def test_each_interval_has_one_reminder_and_an_alert_one_escalation() -> None:
    called = an_alert(opened_at=AT, reminded_at=AT + 20 * MINUTE, escalated_at=AT + 30 * MINUTE)

    assert [False, True] == [reminder_due(called, CALLING, None, AT + n * MINUTE) for n in (34, 35)]
    assert not escalation_due(called, CALLING, None, AT + timedelta(days=1))
    acknowledged = opened(acknowledged=ActorStamp(by="U1", at=AT))
    assert not escalation_due(acknowledged, CALLING, None, AT + timedelta(days=1))


def test_nothing_is_called_silenced_or_briefed_after_leaving_but_the_list_of_editors_stands() -> None:
    ann = Mention(text="<@U1>", name="@ann", person="U1")
    kept = ChannelSettings(zone="Europe/London", thread=Thread.ENDS, editors=(ann,))
    quiet = QuietHours(begin=time(22), end=time(7))
    full = replace(kept, mention=ONCALL, quiet=quiet, muted_while=While.SHUT, daily_since=AT, broadcast=True)
    assert kept == after_leaving(full)

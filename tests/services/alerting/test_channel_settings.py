from dataclasses import replace
from datetime import time, timedelta

import pytest

from services.alerting.alert import ActorStamp, Alert, EntryKind
from services.alerting.channel_settings import (
    ChannelSettings,
    MuteWhile,
    QuietHours,
    ThreadDetail,
    after_leaving,
    escalation_due,
    is_broadcast,
    is_posted_to_thread,
    needs_acknowledgement,
    reminder_due,
)
from services.core.identity import Mention
from tests.fakes.alerts import AT, an_alert

MINUTE = timedelta(minutes=1)
ONCALL = Mention(text="<!subteam^S1>", name="@oncall")
NOTIFYING = ChannelSettings(mention=ONCALL, remind_every=15 * MINUTE, escalate_after=30 * MINUTE, escalate_to=ONCALL)


def opened(**fields: object) -> Alert:
    return an_alert(opened_at=AT, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("thread", "posted"),
    [
        pytest.param(ThreadDetail.ALL, set(EntryKind), id="all"),
        pytest.param(
            ThreadDetail.STEPS,
            set(EntryKind)
            - {
                EntryKind.ACKNOWLEDGED,
                EntryKind.UNACKNOWLEDGED,
                EntryKind.SNOOZED,
                EntryKind.UNSNOOZED,
                EntryKind.CHANGED,
            },
            id="steps",
        ),
        pytest.param(
            ThreadDetail.ENDS,
            {EntryKind.RESOLVED, EntryKind.RETRACTED, EntryKind.REMINDED, EntryKind.ESCALATED},
            id="ends",
        ),
    ],
)
def test_the_thread_setting_selects_the_entries_that_are_posted(thread: ThreadDetail, posted: set[EntryKind]) -> None:
    assert posted == {kind for kind in EntryKind if is_posted_to_thread(kind, ChannelSettings(thread=thread))}


@pytest.mark.parametrize(
    ("on", "shown"),
    [
        pytest.param(False, {EntryKind.ESCALATED}, id="off"),
        pytest.param(True, {EntryKind.ESCALATED, EntryKind.JOINED, EntryKind.WORSENED}, id="on"),
    ],
)
def test_the_broadcast_setting_shows_worsenings_in_the_channel(shown: set[EntryKind], *, on: bool) -> None:
    assert shown == {kind for kind in EntryKind if is_broadcast(kind, ChannelSettings(broadcast=on))}


@pytest.mark.parametrize(
    ("alert", "needed"),
    [
        pytest.param(opened(), True, id="open"),
        pytest.param(opened(acknowledged=ActorStamp(by="U1", at=AT)), False, id="acknowledged"),
        pytest.param(opened(closed_at=AT), False, id="closed"),
        pytest.param(opened(snoozed=ActorStamp(by="U1", at=AT, until=AT + MINUTE)), False, id="snoozed"),
        pytest.param(opened(snoozed=ActorStamp(by="U1", at=AT, until=AT)), True, id="no longer snoozed"),
    ],
)
def test_only_an_open_unacknowledged_unsnoozed_alert_sends_reminders(alert: Alert, *, needed: bool) -> None:
    assert needed is needs_acknowledgement(alert, AT)
    late = AT + timedelta(hours=1) - timedelta(seconds=1)
    soon = AT if alert.snoozed and alert.snoozed.until != AT else late
    assert needed is reminder_due(alert, NOTIFYING, None, soon)


def test_a_channel_without_settings_has_no_reminders_or_escalations() -> None:
    later = AT + timedelta(days=1)

    assert not reminder_due(opened(), ChannelSettings(), None, later)
    assert not escalation_due(opened(), ChannelSettings(), None, later)


@pytest.mark.parametrize(
    ("alert", "released_at", "due_after"),
    [
        pytest.param(opened(), None, 0, id="since it opened"),
        pytest.param(
            an_alert(opened_at=AT - 20 * MINUTE, unacknowledged_since=AT), None, 0, id="since it was unacknowledged"
        ),
        pytest.param(
            opened(snoozed=ActorStamp(by="U1", at=AT, until=AT + 7 * MINUTE)), None, 7, id="since its snooze ended"
        ),
        pytest.param(opened(), AT + 9 * MINUTE, 9, id="since the quiet period ended"),
    ],
)
def test_reminders_and_escalations_count_the_time_in_which_the_alert_was_actionable(
    alert: Alert, released_at: object, due_after: int
) -> None:
    begins = AT + due_after * MINUTE
    reminded = [reminder_due(alert, NOTIFYING, released_at, begins + n * MINUTE) for n in (14, 15)]  # type: ignore[arg-type]
    escalated = [escalation_due(alert, NOTIFYING, released_at, begins + n * MINUTE) for n in (29, 30)]  # type: ignore[arg-type]

    assert [False, True] == reminded == escalated


def test_each_interval_has_one_reminder_and_each_alert_one_escalation() -> None:
    notified = an_alert(opened_at=AT, reminded_at=AT + 20 * MINUTE, escalated_at=AT + 30 * MINUTE)

    assert [False, True] == [reminder_due(notified, NOTIFYING, None, AT + n * MINUTE) for n in (34, 35)]
    assert not escalation_due(notified, NOTIFYING, None, AT + timedelta(days=1))
    acknowledged = opened(acknowledged=ActorStamp(by="U1", at=AT))
    assert not escalation_due(acknowledged, NOTIFYING, None, AT + timedelta(days=1))


def test_only_zone_thread_detail_and_editors_survive_leaving_a_channel() -> None:
    ann = Mention(text="<@U1>", name="@ann", person="U1")
    kept = ChannelSettings(zone="Europe/London", thread=ThreadDetail.ENDS, editors=(ann,))
    quiet = QuietHours(begin=time(22), end=time(7))
    full = replace(kept, mention=ONCALL, quiet=quiet, muted_while=MuteWhile.SHUT, daily_since=AT, broadcast=True)
    assert kept == after_leaving(full)

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.alerting.alert import Alert, EntryKind, TimelineEntry
from services.alerting.ports import AlertChange
from services.core.identity import Channel
from services.delivery.ports import AlertMessage, Backlog, Delivery, NoticeMessage, ThreadMessage
from services.rules.decide import Side
from services.storage import SqlStore
from services.storage.outbox import LEASE
from tests.fakes.alerts import AT, CHANNEL, an_alert, an_entry
from tests.services.storage.conftest import Start, post_alert

MINUTE = timedelta(minutes=1)
LATER = AT + timedelta(hours=1)
OTHER_CHANNEL = Channel(team="T1", id="C2")
FIRED = an_entry()
JOINED = an_entry(kind=EntryKind.JOINED, reason="5d joins")
ACKNOWLEDGED = an_entry(kind=EntryKind.ACKNOWLEDGED, reason="", by="U1")


async def amend(store: SqlStore, reason: str, *entries: TimelineEntry, at: datetime = AT) -> None:
    (stored,) = await store.open_alerts(CHANNEL)
    amended = replace(stored.alert, reason=reason)
    await store.record([], [AlertChange(alert=amended, revision=stored.revision, entries=entries)], at)


def alert_of(delivery: Delivery) -> Alert:
    assert not isinstance(delivery.message, NoticeMessage)
    return delivery.message.alert


def entry_of(delivery: Delivery) -> TimelineEntry | None:
    return delivery.message.entry if isinstance(delivery.message, ThreadMessage) else None


async def only(store: SqlStore, at: datetime = AT) -> Delivery:
    (delivery,) = await store.due(at)
    return delivery


async def send(store: SqlStore, message_id: str = "1700.1", at: datetime = AT) -> Delivery:
    delivery = await only(store, at)
    await store.mark_attempting(delivery, at)
    await store.mark_sent(delivery, message_id, at)
    return delivery


async def test_a_new_alert_is_due_at_once(store: SqlStore) -> None:
    await post_alert(store)

    delivery = await only(store)

    assert [delivery.message] == [AlertMessage(alert=stored.alert) for stored in await store.open_alerts()]
    assert (CHANNEL, 1, 0, None, None, 0, False) == (
        delivery.channel,
        delivery.version,
        delivery.sent_version,
        delivery.message_id,
        delivery.thread_id,
        delivery.attempts,
        delivery.attempting,
    )


async def test_nothing_is_due_before_its_time(store: SqlStore) -> None:
    await post_alert(store, at=LATER)

    assert [] == await store.due(LATER - MINUTE)
    assert LATER == await store.next_due_at(AT)
    assert len(await store.due(LATER)) == 1


async def test_a_delivered_message_is_not_due(store: SqlStore) -> None:
    await post_alert(store)
    await send(store)

    assert [] == await store.due(LATER)
    assert await store.next_due_at(AT) is None


async def test_a_change_makes_the_same_message_due_again_with_its_newest_version(store: SqlStore) -> None:
    await post_alert(store)
    sent = await send(store, "1700.1")

    await amend(store, "worsened", at=LATER)

    edit = await only(store, LATER)
    assert (sent.id, sent.key, "1700.1", "worsened") == (edit.id, edit.key, edit.message_id, alert_of(edit).reason)
    assert edit.thread_id is None
    assert [] == await store.due(LATER - MINUTE)


async def test_several_changes_before_a_delivery_are_one_message(store: SqlStore) -> None:
    await post_alert(store)
    for reason in ("worse", "worse still", "worst"):
        await amend(store, reason)

    delivery = await send(store)

    assert "worst" == alert_of(delivery).reason
    assert [] == await store.due(LATER)


async def test_a_change_during_an_attempt_stays_due_after_it(store: SqlStore) -> None:
    await post_alert(store)
    delivery = await only(store)
    await store.mark_attempting(delivery, AT)
    await amend(store, "worsened meanwhile")
    await store.mark_sent(delivery, "1700.1", AT)

    edit = await only(store)

    assert ("1700.1", "worsened meanwhile", delivery.version) == (
        edit.message_id,
        alert_of(edit).reason,
        edit.sent_version,
    )
    assert not edit.attempting


async def test_an_entry_waits_for_its_alerts_own_message(store: SqlStore) -> None:
    await post_alert(store, None, FIRED)

    assert [AlertMessage] == [type(delivery.message) for delivery in await store.due(LATER)]
    await send(store, "1700.1")
    entry = await only(store)

    assert (FIRED, "1700.1", None, 1) == (entry_of(entry), entry.thread_id, entry.message_id, entry.version)


async def test_a_thread_is_posted_in_order(store: SqlStore) -> None:
    await post_alert(store, None, FIRED, JOINED)
    await amend(store, "acknowledged", ACKNOWLEDGED)
    await send(store)

    posted = [entry_of(await send(store, f"1700.{number}")) for number in (2, 3, 4)]

    assert [FIRED, JOINED, ACKNOWLEDGED] == posted
    assert [] == await store.due(LATER)


async def test_a_reply_that_must_be_retried_delays_those_after_it(store: SqlStore) -> None:
    await post_alert(store, None, FIRED, JOINED)
    await send(store)
    await store.mark_failed(await only(store), "429", LATER)

    assert [] == await store.due(LATER - MINUTE)
    assert LATER == await store.next_due_at(AT)
    assert FIRED == entry_of(await only(store, LATER))


async def test_a_dead_reply_does_not_delay_those_after_it(store: SqlStore) -> None:
    await post_alert(store, None, FIRED, JOINED)
    await send(store)
    await store.mark_dead(await only(store), "msg_too_long", AT)

    assert JOINED == entry_of(await only(store))


async def test_threads_do_not_delay_each_other(store: SqlStore) -> None:
    await post_alert(store, None, FIRED)
    await send(store)
    await store.mark_failed(await only(store), "429", LATER)
    await post_alert(store, an_alert(side=Side.BELOW), JOINED)
    await send(store, "1800.1")

    entry = await only(store)

    assert (JOINED, "1800.1") == (entry_of(entry), entry.thread_id)


async def test_a_silent_entry_is_not_posted(store: SqlStore) -> None:
    await post_alert(store, None, replace(FIRED, silent=True), JOINED)
    await send(store)

    assert JOINED == entry_of(await send(store, "1700.2"))
    assert [] == await store.due(LATER)


async def test_every_message_has_its_own_key(store: SqlStore) -> None:
    await post_alert(store, None, FIRED, JOINED)

    keys = [(await send(store, f"1700.{number}")).key for number in range(3)]

    assert len(set(keys)) == 3
    assert ["alert", "alert", "alert"] == [key.split(":")[0] for key in keys]


async def test_keys_of_two_databases_differ(store: SqlStore) -> None:
    other = await SqlStore.open("sqlite://")
    await post_alert(store)
    await post_alert(other)

    mine, theirs = await only(store), await only(other)
    await other.aclose()

    assert alert_of(mine) == alert_of(theirs)
    assert mine.key != theirs.key


async def test_the_oldest_are_due_first_up_to_the_limit(store: SqlStore) -> None:
    await post_alert(store, at=AT + MINUTE)
    await post_alert(store, an_alert(channel=OTHER_CHANNEL), at=AT)

    assert [OTHER_CHANNEL, CHANNEL] == [delivery.channel for delivery in await store.due(LATER)]
    assert [OTHER_CHANNEL] == [delivery.channel for delivery in await store.due(LATER, limit=1)]


async def test_only_the_first_message_of_each_channel_is_due(store: SqlStore) -> None:
    await post_alert(store, at=AT + MINUTE)
    await post_alert(store, an_alert(side=Side.BELOW), at=AT)
    await post_alert(store, an_alert(channel=OTHER_CHANNEL), at=AT + 2 * MINUTE)

    first = await store.due(LATER, limit=2)
    await store.mark_failed(first[0], "500", LATER + MINUTE)
    then = await store.due(LATER, limit=2)

    assert [(CHANNEL, Side.BELOW), (OTHER_CHANNEL, Side.ABOVE)] == [
        (alert_of(one).channel, alert_of(one).side) for one in first
    ]
    assert [(CHANNEL, Side.ABOVE), (OTHER_CHANNEL, Side.ABOVE)] == [
        (alert_of(one).channel, alert_of(one).side) for one in then
    ]


async def test_a_failed_message_waits_for_its_retry_and_is_counted(store: SqlStore) -> None:
    await post_alert(store)
    for number in range(2):
        delivery = await only(store, AT + MINUTE * number)
        await store.mark_attempting(delivery, AT)
        await store.mark_failed(delivery, "429", AT + MINUTE * (number + 1))

    assert [] == await store.due(AT + MINUTE)
    assert AT + 2 * MINUTE == await store.next_due_at(AT)
    retried = await only(store, AT + 2 * MINUTE)
    assert (2, False, None) == (retried.attempts, retried.attempting, retried.message_id)


async def test_a_success_resets_the_count_of_failures(store: SqlStore) -> None:
    await post_alert(store)
    await store.mark_failed(await only(store), "429", AT)
    await send(store)
    await amend(store, "worsened")

    assert 0 == (await only(store)).attempts


async def test_a_change_does_not_shorten_the_wait_for_a_retry(store: SqlStore) -> None:
    await post_alert(store)
    await store.mark_failed(await only(store), "429", LATER)

    await amend(store, "worsened", at=AT + MINUTE)

    assert [] == await store.due(LATER - MINUTE)
    retried = await only(store, LATER)
    assert ("worsened", 1) == (alert_of(retried).reason, retried.attempts)


async def test_a_message_that_is_gone_is_reposted_before_its_thread_continues(store: SqlStore) -> None:
    await post_alert(store)
    await send(store, "1700.1")
    await amend(store, "worsened", JOINED)
    edit = next(delivery for delivery in await store.due(AT) if isinstance(delivery.message, AlertMessage))
    await store.mark_failed(edit, "message_not_found", AT, gone=True)

    reposted = await only(store)
    assert (None, None, 0) == (entry_of(reposted), reposted.message_id, reposted.sent_version)
    assert edit.key != reposted.key  # a look-up must not find the message that is gone
    await send(store, "1900.1")
    assert "1900.1" == (await only(store)).thread_id


async def test_a_paused_channel_delays_all_its_undelivered_messages(store: SqlStore) -> None:
    await post_alert(store, None, FIRED)
    await send(store)
    await post_alert(store, an_alert(side=Side.BELOW))

    await store.pause_channel(CHANNEL, LATER)

    assert [] == await store.due(LATER - MINUTE)
    assert LATER == await store.next_due_at(AT)
    held = [await send(store, at=LATER) for _ in range(2)]
    assert [(None, 0, False), (FIRED, 0, False)] == [(entry_of(one), one.attempts, one.attempting) for one in held]


async def test_a_pause_does_not_shorten_a_longer_wait(store: SqlStore) -> None:
    await post_alert(store)
    await store.mark_failed(await only(store), "429", LATER)

    await store.pause_channel(CHANNEL, AT + MINUTE)

    assert LATER == await store.next_due_at(AT)


@pytest.mark.parametrize("pause", ["channel", "workspace"])
async def test_what_is_paused_after_it_was_looked_up_is_not_loaded(store: SqlStore, pause: str) -> None:
    await post_alert(store)
    keys = await store.due_keys(AT, 10)

    if pause == "channel":
        await store.pause_channel(CHANNEL, LATER)
    else:
        await store.pause_workspace(CHANNEL.team, LATER)

    assert ([CHANNEL], []) == ([key.channel for key in keys], await store.load_due(keys, AT))
    assert [CHANNEL] == [delivery.channel for delivery in await store.load_due(keys, LATER)]


async def test_a_pause_does_not_affect_other_channels(store: SqlStore) -> None:
    await post_alert(store)
    await send(store)
    await post_alert(store, an_alert(channel=OTHER_CHANNEL))

    await store.pause_channel(CHANNEL, LATER)
    await amend(store, "worsened")

    assert [OTHER_CHANNEL] == [delivery.channel for delivery in await store.due(AT)]
    await send(store, "1800.1")
    assert [CHANNEL] == [delivery.channel for delivery in await store.due(LATER)]


async def test_a_message_that_is_enqueued_during_a_pause_waits_too(store: SqlStore) -> None:
    await store.pause_channel(CHANNEL, LATER)

    await post_alert(store)

    assert [] == await store.due(LATER - MINUTE)
    assert LATER == await store.next_due_at(AT)
    assert len(await store.due(LATER)) == 1


async def test_a_pause_can_be_extended_but_not_shortened(store: SqlStore) -> None:
    await post_alert(store)

    for until in (AT + MINUTE, LATER, AT + 2 * MINUTE):
        await store.pause_channel(CHANNEL, until)

    assert LATER == await store.next_due_at(AT)


async def test_a_dead_message_is_not_tried_again(store: SqlStore) -> None:
    await post_alert(store, None, FIRED)
    delivery = await only(store)
    await store.mark_attempting(delivery, AT)
    await store.mark_dead(delivery, "channel_not_found", AT)

    assert [] == await store.due(LATER)
    assert await store.next_due_at(AT) is None


async def test_a_new_version_revives_a_dead_message(store: SqlStore) -> None:
    await post_alert(store)
    await store.mark_failed(await only(store), "500", AT)
    await store.mark_dead(await only(store), "channel_not_found", AT)

    await amend(store, "worsened", at=LATER)

    assert [] == await store.due(LATER - MINUTE)
    revived = await only(store, LATER)
    assert ("worsened", 0, False) == (alert_of(revived).reason, revived.attempts, revived.attempting)


async def test_a_version_that_changed_during_a_fatal_attempt_is_tried(store: SqlStore) -> None:
    await post_alert(store)
    await store.mark_failed(await only(store), "msg_too_long", AT)
    delivery = await only(store)
    await store.mark_attempting(delivery, AT)
    await amend(store, "shorter")
    await store.mark_dead(delivery, "msg_too_long", AT)

    shorter = await only(store)
    assert ("shorter", 0) == (alert_of(shorter).reason, shorter.attempts)


async def test_an_attempt_that_a_crash_cut_short_is_due_again_after_its_lease(
    start: Start,
) -> None:
    crashed = await start()
    await post_alert(crashed)
    delivery = await only(crashed)
    await crashed.mark_attempting(delivery, AT)

    restarted = await start()

    assert [] == await restarted.due(AT + LEASE - MINUTE / 60)
    assert AT + LEASE == await restarted.next_due_at(AT)
    assert replace(delivery, attempting=True) == await only(restarted, AT + LEASE)


async def test_only_one_of_two_processes_leases_a_message(start: Start) -> None:
    one, other = await start(), await start()
    await post_alert(one)
    read = [await only(one), await only(other)]

    tried = [await one.mark_attempting(read[0], AT), await other.mark_attempting(read[1], AT)]

    assert [True, False] == [lease is not None for lease in tried]


async def test_only_one_of_two_processes_takes_over_an_expired_lease(start: Start) -> None:
    crashed, one, other = [await start() for _ in range(3)]
    await post_alert(crashed)
    await crashed.mark_attempting(await only(crashed), AT)
    read = [await only(one, AT + LEASE), await only(other, AT + LEASE)]

    tried = [
        await other.mark_attempting(read[1], AT + LEASE),
        await one.mark_attempting(read[0], AT + LEASE),
        await one.mark_attempting(read[0], AT + 3 * LEASE),  # the other's attempt was cut short too
    ]

    assert [True, False, True] == [lease is not None for lease in tried]


@pytest.mark.parametrize("became", ["tried", "sent", "failed", "asked to wait", "dead", "a new version"])
async def test_a_message_that_changed_since_it_was_read_is_not_leased(store: SqlStore, became: str) -> None:
    await post_alert(store)
    read = await only(store)
    match became:
        case "tried":
            await store.mark_attempting(read, AT)
        case "sent":
            await store.mark_sent(read, "1700.1", AT)
        case "failed":
            await store.mark_failed(read, "500", AT)
        case "asked to wait":
            await store.mark_failed(read, "429", LATER, counts=False)
        case "dead":
            await store.mark_dead(read, "msg_too_long", AT)
        case _:
            await amend(store, "worsened")

    assert not await store.mark_attempting(read, AT + LEASE)


async def test_a_version_saved_during_an_attempt_is_due_after_it_without_waiting_for_the_lease(store: SqlStore) -> None:
    await post_alert(store)
    first = await only(store)
    await store.mark_attempting(first, AT)
    await amend(store, "worsened")
    await store.mark_sent(first, "1700.1", AT)

    assert AT == await store.next_due_at(AT)


async def test_a_reply_whose_thread_is_gone_waits_for_an_edit_of_the_root_message(store: SqlStore) -> None:
    await post_alert(store, None, FIRED)
    await send(store, "1700.1")
    await store.mark_failed(await only(store), "thread_not_found", AT + MINUTE, gone=True)

    edited, reply = [await send(store, "1700.1", AT + MINUTE) for _ in range(2)]

    assert (None, "1700.1", FIRED) == (entry_of(edited), edited.message_id, entry_of(reply))


async def test_the_backlog_counts_waiting_and_dead_messages(store: SqlStore) -> None:
    empty = await store.backlog(AT)
    await post_alert(store, None, FIRED)
    await store.mark_failed(await only(store), "500", LATER)
    await post_alert(store, an_alert(side=Side.BELOW), at=AT + MINUTE)
    await store.mark_dead(await only(store, AT + MINUTE), "msg_too_long", AT)

    assert Backlog(waiting=0, dead_lettered=0, oldest_age=None) == empty
    assert Backlog(waiting=2, dead_lettered=1, oldest_age=timedelta(hours=1)) == await store.backlog(LATER)


async def test_dead_messages_do_not_count_for_the_oldest_waiting_one(store: SqlStore) -> None:
    await post_alert(store)
    await store.mark_dead(await only(store), "msg_too_long", AT)
    only_dead = await store.backlog(LATER)
    await post_alert(store, an_alert(side=Side.BELOW), at=AT + MINUTE)

    assert Backlog(waiting=0, dead_lettered=1, oldest_age=None) == only_dead
    assert Backlog(waiting=1, dead_lettered=1, oldest_age=timedelta(minutes=59)) == await store.backlog(LATER)


async def test_a_reply_is_dead_and_revived_with_its_root_message(store: SqlStore) -> None:
    await post_alert(store, None, FIRED)
    await store.mark_dead(await only(store), "msg_too_long", AT)
    dead, audit = await store.backlog(LATER), await store.alert_audit(CHANNEL, None)
    await amend(store, "worsened", at=LATER)

    revived = await store.backlog(LATER)

    assert Backlog(waiting=0, dead_lettered=2, oldest_age=None) == dead
    assert [AT, AT] == [posting.given_up_at for posting in audit.postings]
    assert (2, 0) == (revived.waiting, revived.dead_lettered)


async def test_a_delivered_message_leaves_the_backlog_and_a_change_starts_a_new_wait(store: SqlStore) -> None:
    await post_alert(store)
    await send(store)
    delivered = await store.backlog(LATER)
    await amend(store, "worsened", at=LATER)
    await amend(store, "worse still", at=LATER + MINUTE)

    assert (0, None) == (delivered.waiting, delivered.oldest_age)
    assert Backlog(waiting=1, dead_lettered=0, oldest_age=2 * MINUTE) == await store.backlog(LATER + 2 * MINUTE)


async def test_a_crash_before_the_attempt_leaves_the_message_untried(start: Start) -> None:
    crashed = await start()
    await post_alert(crashed)
    delivery = await only(crashed)

    assert delivery == await only(await start())


async def test_after_a_crash_following_delivery_only_the_thread_is_due(start: Start) -> None:
    crashed = await start()
    await post_alert(crashed, None, FIRED)
    await send(crashed, "1700.1")

    entry = await only(await start())

    assert (FIRED, "1700.1", False) == (entry_of(entry), entry.thread_id, entry.attempting)


@pytest.mark.parametrize("state", ["failed", "dead"])
async def test_the_outcome_of_an_attempt_survives_a_restart(start: Start, state: str) -> None:
    first = await start()
    await post_alert(first)
    delivery = await only(first)
    await first.mark_attempting(delivery, AT)
    if state == "failed":
        await first.mark_failed(delivery, "429", LATER)
    else:
        await first.mark_dead(delivery, "channel_not_found", AT)

    second = await start()

    assert [] == await second.due(LATER - MINUTE)
    assert (LATER if state == "failed" else None) == await second.next_due_at(AT)

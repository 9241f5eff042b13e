from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.alerting.alert import Alert, Entry, EntryKind
from services.alerting.records import AlertChange
from services.channels.ports import Store
from services.core.identity import Channel
from services.delivery.ports import AlertMessage, Backlog, Delivery, NoticeMessage, ThreadMessage
from services.rules.decide import Side
from services.storage import SqlStore
from services.storage.outbox import LEASE
from tests.fakes.alerts import AT, DESK, an_alert, an_entry
from tests.services.storage.conftest import Start

MINUTE = timedelta(minutes=1)
LATER = AT + timedelta(hours=1)
ELSEWHERE = Channel(team="T1", id="C2")
FIRED = an_entry()
JOINED = an_entry(kind=EntryKind.JOINED, reason="5d joins")
ACKNOWLEDGED = an_entry(kind=EntryKind.ACKNOWLEDGED, reason="", by="U1")


async def open_alert(store: Store, *entries: Entry, alert: Alert | None = None, at: datetime = AT) -> None:
    await store.record([], [AlertChange(alert=alert or an_alert(), revision=0, entries=entries)], at)


async def amend(store: Store, reason: str, *entries: Entry, at: datetime = AT) -> None:
    (stored,) = await store.open_alerts(DESK)
    amended = replace(stored.alert, reason=reason)
    await store.record([], [AlertChange(alert=amended, revision=stored.revision, entries=entries)], at)


def alert_of(delivery: Delivery) -> Alert:
    assert not isinstance(delivery.told, NoticeMessage)
    return delivery.told.alert


def line_of(delivery: Delivery) -> Entry | None:
    return delivery.told.entry if isinstance(delivery.told, ThreadMessage) else None


async def only(store: Store, at: datetime = AT) -> Delivery:
    (delivery,) = await store.due(at)
    return delivery


async def send(store: Store, message_id: str = "1700.1", at: datetime = AT) -> Delivery:
    delivery = await only(store, at)
    await store.mark_attempting(delivery, at)
    await store.mark_sent(delivery, message_id, at)
    return delivery


async def test_a_new_alert_is_due_at_once(store: Store) -> None:
    await open_alert(store)

    delivery = await only(store)

    assert [delivery.told] == [AlertMessage(alert=stored.alert) for stored in await store.open_alerts()]
    assert (DESK, 1, 0, None, None, 0, False) == (
        delivery.channel,
        delivery.version,
        delivery.sent_version,
        delivery.message_id,
        delivery.thread_id,
        delivery.attempts,
        delivery.attempting,
    )


async def test_nothing_is_due_before_its_time(store: Store) -> None:
    await open_alert(store, at=LATER)

    assert [] == await store.due(LATER - MINUTE)
    assert LATER == await store.next_due_at(AT)
    assert len(await store.due(LATER)) == 1


async def test_what_is_delivered_is_due_no_more(store: Store) -> None:
    await open_alert(store)
    await send(store)

    assert [] == await store.due(LATER)
    assert await store.next_due_at(AT) is None


async def test_a_change_makes_the_same_message_due_again_with_its_newest_wording(store: Store) -> None:
    await open_alert(store)
    sent = await send(store, "1700.1")

    await amend(store, "worsened", at=LATER)

    edit = await only(store, LATER)
    assert (sent.id, sent.key, "1700.1", "worsened") == (edit.id, edit.key, edit.message_id, alert_of(edit).reason)
    assert edit.thread_id is None
    assert [] == await store.due(LATER - MINUTE)


async def test_many_changes_before_a_delivery_are_one_message(store: Store) -> None:
    await open_alert(store)
    for reason in ("worse", "worse still", "worst"):
        await amend(store, reason)

    delivery = await send(store)

    assert "worst" == alert_of(delivery).reason
    assert [] == await store.due(LATER)


async def test_a_change_during_an_attempt_stays_due_after_it(store: Store) -> None:
    await open_alert(store)
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


async def test_an_entry_waits_for_its_alerts_own_message(store: Store) -> None:
    await open_alert(store, FIRED)

    assert [AlertMessage] == [type(delivery.told) for delivery in await store.due(LATER)]
    await send(store, "1700.1")
    entry = await only(store)

    assert (FIRED, "1700.1", None, 1) == (line_of(entry), entry.thread_id, entry.message_id, entry.version)


async def test_a_thread_is_told_in_order(store: Store) -> None:
    await open_alert(store, FIRED, JOINED)
    await amend(store, "acknowledged", ACKNOWLEDGED)
    await send(store)

    told = [line_of(await send(store, f"1700.{number}")) for number in (2, 3, 4)]

    assert [FIRED, JOINED, ACKNOWLEDGED] == told
    assert [] == await store.due(LATER)


async def test_a_line_that_must_be_retried_holds_back_those_after_it(store: Store) -> None:
    await open_alert(store, FIRED, JOINED)
    await send(store)
    await store.mark_failed(await only(store), "429", LATER)

    assert [] == await store.due(LATER - MINUTE)
    assert LATER == await store.next_due_at(AT)
    assert FIRED == line_of(await only(store, LATER))


async def test_a_dead_line_does_not_hold_back_those_after_it(store: Store) -> None:
    await open_alert(store, FIRED, JOINED)
    await send(store)
    await store.mark_dead(await only(store), "msg_too_long", AT)

    assert JOINED == line_of(await only(store))


async def test_threads_do_not_hold_back_one_another(store: Store) -> None:
    await open_alert(store, FIRED)
    await send(store)
    await store.mark_failed(await only(store), "429", LATER)
    await open_alert(store, JOINED, alert=an_alert(side=Side.BELOW))
    await send(store, "1800.1")

    entry = await only(store)

    assert (JOINED, "1800.1") == (line_of(entry), entry.thread_id)


async def test_a_silent_entry_is_not_told(store: Store) -> None:
    await open_alert(store, replace(FIRED, silent=True), JOINED)
    await send(store)

    assert JOINED == line_of(await send(store, "1700.2"))
    assert [] == await store.due(LATER)


async def test_every_message_has_a_key_of_its_own(store: Store) -> None:
    await open_alert(store, FIRED, JOINED)

    keys = [(await send(store, f"1700.{number}")).key for number in range(3)]

    assert len(set(keys)) == 3
    assert ["alert", "alert", "alert"] == [key.split(":")[0] for key in keys]


async def test_keys_are_not_those_of_another_database(store: Store) -> None:
    other = await SqlStore.open("sqlite://")
    await open_alert(store)
    await open_alert(other)

    mine, theirs = await only(store), await only(other)
    await other.aclose()

    assert alert_of(mine) == alert_of(theirs)
    assert mine.key != theirs.key


async def test_the_oldest_are_due_first_and_no_more_than_asked_for(store: Store) -> None:
    await open_alert(store, at=AT + MINUTE)
    await open_alert(store, alert=an_alert(channel=ELSEWHERE), at=AT)

    assert [ELSEWHERE, DESK] == [delivery.channel for delivery in await store.due(LATER)]
    assert [ELSEWHERE] == [delivery.channel for delivery in await store.due(LATER, limit=1)]


async def test_of_a_channels_queue_only_the_first_is_due_so_that_it_crowds_out_no_other(store: Store) -> None:
    await open_alert(store, at=AT + MINUTE)
    await open_alert(store, alert=an_alert(side=Side.BELOW), at=AT)
    await open_alert(store, alert=an_alert(channel=ELSEWHERE), at=AT + 2 * MINUTE)

    first = await store.due(LATER, limit=2)
    await store.mark_failed(first[0], "500", LATER + MINUTE)
    then = await store.due(LATER, limit=2)

    assert [(DESK, Side.BELOW), (ELSEWHERE, Side.ABOVE)] == [
        (alert_of(one).channel, alert_of(one).side) for one in first
    ]
    assert [(DESK, Side.ABOVE), (ELSEWHERE, Side.ABOVE)] == [
        (alert_of(one).channel, alert_of(one).side) for one in then
    ]


async def test_a_failure_waits_for_its_retry_and_is_counted(store: Store) -> None:
    await open_alert(store)
    for number in range(2):
        delivery = await only(store, AT + MINUTE * number)
        await store.mark_attempting(delivery, AT)
        await store.mark_failed(delivery, "429", AT + MINUTE * (number + 1))

    assert [] == await store.due(AT + MINUTE)
    assert AT + 2 * MINUTE == await store.next_due_at(AT)
    retried = await only(store, AT + 2 * MINUTE)
    assert (2, False, None) == (retried.attempts, retried.attempting, retried.message_id)


async def test_a_success_forgets_the_failures_before_it(store: Store) -> None:
    await open_alert(store)
    await store.mark_failed(await only(store), "429", AT)
    await send(store)
    await amend(store, "worsened")

    assert 0 == (await only(store)).attempts


async def test_a_change_does_not_shorten_the_wait_for_a_retry(store: Store) -> None:
    await open_alert(store)
    await store.mark_failed(await only(store), "429", LATER)

    await amend(store, "worsened", at=AT + MINUTE)

    assert [] == await store.due(LATER - MINUTE)
    retried = await only(store, LATER)
    assert ("worsened", 1) == (alert_of(retried).reason, retried.attempts)


async def test_a_message_that_is_gone_is_posted_anew_before_its_thread_goes_on(store: Store) -> None:
    await open_alert(store)
    await send(store, "1700.1")
    await amend(store, "worsened", JOINED)
    edit = next(delivery for delivery in await store.due(AT) if isinstance(delivery.told, AlertMessage))
    await store.mark_failed(edit, "message_not_found", AT, gone=True)

    anew = await only(store)
    assert (None, None, 0, edit.key) == (line_of(anew), anew.message_id, anew.sent_version, anew.key)
    await send(store, "1900.1")
    assert "1900.1" == (await only(store)).thread_id


async def test_a_channel_on_hold_waits_with_all_that_is_undelivered(store: Store) -> None:
    await open_alert(store, FIRED)
    await send(store)
    await open_alert(store, alert=an_alert(side=Side.BELOW))

    await store.hold(DESK, LATER)

    assert [] == await store.due(LATER - MINUTE)
    assert LATER == await store.next_due_at(AT)
    held = [await send(store, at=LATER) for _ in range(2)]
    assert [(FIRED, 0, False), (None, 0, False)] == [(line_of(one), one.attempts, one.attempting) for one in held]


async def test_a_hold_does_not_shorten_a_longer_wait(store: Store) -> None:
    await open_alert(store)
    await store.mark_failed(await only(store), "429", LATER)

    await store.hold(DESK, AT + MINUTE)

    assert LATER == await store.next_due_at(AT)


async def test_a_hold_leaves_other_channels_and_what_is_delivered_alone(store: Store) -> None:
    await open_alert(store)
    await send(store)
    await open_alert(store, alert=an_alert(channel=ELSEWHERE))

    await store.hold(DESK, LATER)
    await amend(store, "worsened")

    assert [ELSEWHERE] == [delivery.channel for delivery in await store.due(AT)]
    await send(store, "1800.1")
    assert [DESK] == [delivery.channel for delivery in await store.due(LATER)]


async def test_what_is_recorded_while_its_channel_rests_waits_too(store: Store) -> None:
    await store.hold(DESK, LATER)

    await open_alert(store)

    assert [] == await store.due(LATER - MINUTE)
    assert LATER == await store.next_due_at(AT)
    assert len(await store.due(LATER)) == 1


async def test_a_rest_is_made_longer_and_never_shorter(store: Store) -> None:
    await open_alert(store)

    for until in (AT + MINUTE, LATER, AT + 2 * MINUTE):
        await store.hold(DESK, until)

    assert LATER == await store.next_due_at(AT)


async def test_a_dead_message_is_not_tried_again(store: Store) -> None:
    await open_alert(store, FIRED)
    delivery = await only(store)
    await store.mark_attempting(delivery, AT)
    await store.mark_dead(delivery, "channel_not_found", AT)

    assert [] == await store.due(LATER)
    assert await store.next_due_at(AT) is None


async def test_new_wording_revives_a_dead_message(store: Store) -> None:
    await open_alert(store)
    await store.mark_failed(await only(store), "500", AT)
    await store.mark_dead(await only(store), "channel_not_found", AT)

    await amend(store, "worsened", at=LATER)

    assert [] == await store.due(LATER - MINUTE)
    revived = await only(store, LATER)
    assert ("worsened", 0, False) == (alert_of(revived).reason, revived.attempts, revived.attempting)


async def test_wording_that_changed_during_a_deadly_attempt_is_tried(store: Store) -> None:
    await open_alert(store)
    await store.mark_failed(await only(store), "msg_too_long", AT)
    delivery = await only(store)
    await store.mark_attempting(delivery, AT)
    await amend(store, "shorter")
    await store.mark_dead(delivery, "msg_too_long", AT)

    shorter = await only(store)
    assert ("shorter", 0) == (alert_of(shorter).reason, shorter.attempts)


async def test_an_attempt_that_a_crash_cut_short_is_found_by_the_next_process_once_its_lease_is_over(
    start: Start,
) -> None:
    crashed = await start()
    await open_alert(crashed)
    delivery = await only(crashed)
    await crashed.mark_attempting(delivery, AT)

    risen = await start()

    assert [] == await risen.due(AT + LEASE - MINUTE / 60)
    assert AT + LEASE == await risen.next_due_at(AT)
    assert replace(delivery, attempting=True) == await only(risen, AT + LEASE)


async def test_of_two_processes_that_read_a_message_one_tries_it(start: Start) -> None:
    one, other = await start(), await start()
    await open_alert(one)
    read = [await only(one), await only(other)]

    tried = [await one.mark_attempting(read[0], AT), await other.mark_attempting(read[1], AT)]

    assert [True, False] == [lease is not None for lease in tried]


async def test_of_two_processes_one_takes_over_what_a_crash_cut_short(start: Start) -> None:
    crashed, one, other = [await start() for _ in range(3)]
    await open_alert(crashed)
    await crashed.mark_attempting(await only(crashed), AT)
    read = [await only(one, AT + LEASE), await only(other, AT + LEASE)]

    tried = [
        await other.mark_attempting(read[1], AT + LEASE),
        await one.mark_attempting(read[0], AT + LEASE),
        await one.mark_attempting(read[0], AT + 3 * LEASE),  # the other's attempt was cut short too
    ]

    assert [True, False, True] == [lease is not None for lease in tried]


@pytest.mark.parametrize("became", ["tried", "sent", "failed", "asked to wait", "dead", "worded anew"])
async def test_a_message_that_is_not_as_it_was_read_is_not_tried(store: Store, became: str) -> None:
    await open_alert(store)
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


async def test_a_wording_that_came_during_an_attempt_does_not_wait_for_its_lease(store: Store) -> None:
    await open_alert(store)
    first = await only(store)
    await store.mark_attempting(first, AT)
    await amend(store, "worsened")
    await store.mark_sent(first, "1700.1", AT)

    assert AT == await store.next_due_at(AT)


async def test_a_line_whose_thread_is_gone_has_its_message_looked_at_first(store: Store) -> None:
    await open_alert(store, FIRED)
    await send(store, "1700.1")
    await store.mark_failed(await only(store), "thread_not_found", AT + MINUTE, gone=True)

    looked_at, line = [await send(store, "1700.1", AT + MINUTE) for _ in range(2)]

    assert (None, "1700.1", FIRED) == (line_of(looked_at), looked_at.message_id, line_of(line))


async def test_the_backlog_counts_what_waits_and_what_is_given_up(store: Store) -> None:
    empty = await store.backlog(AT)
    await open_alert(store, FIRED)
    await store.mark_failed(await only(store), "500", LATER)
    await open_alert(store, alert=an_alert(side=Side.BELOW), at=AT + MINUTE)
    await store.mark_dead(await only(store, AT + MINUTE), "msg_too_long", AT)

    assert Backlog(waiting=0, dead=0, oldest=None) == empty
    assert Backlog(waiting=2, dead=1, oldest=timedelta(hours=1)) == await store.backlog(LATER)


async def test_the_oldest_that_waits_is_none_that_was_given_up(store: Store) -> None:
    await open_alert(store)
    await store.mark_dead(await only(store), "msg_too_long", AT)
    given_up = await store.backlog(LATER)
    await open_alert(store, alert=an_alert(side=Side.BELOW), at=AT + MINUTE)

    assert Backlog(waiting=0, dead=1, oldest=None) == given_up
    assert Backlog(waiting=1, dead=1, oldest=timedelta(minutes=59)) == await store.backlog(LATER)


async def test_a_line_is_given_up_with_its_alert_and_goes_on_with_it(store: Store) -> None:
    await open_alert(store, FIRED)
    await store.mark_dead(await only(store), "msg_too_long", AT)
    buried, told = await store.backlog(LATER), await store.receipt(DESK, None)
    await amend(store, "worsened", at=LATER)

    revived = await store.backlog(LATER)

    assert Backlog(waiting=0, dead=2, oldest=None) == buried
    assert [AT, AT] == [posting.given_up_at for posting in told.postings]
    assert (2, 0) == (revived.waiting, revived.dead)


async def test_what_is_delivered_is_no_backlog_and_a_change_begins_a_new_wait(store: Store) -> None:
    await open_alert(store)
    await send(store)
    delivered = await store.backlog(LATER)
    await amend(store, "worsened", at=LATER)
    await amend(store, "worse still", at=LATER + MINUTE)

    assert (0, None) == (delivered.waiting, delivered.oldest)
    assert Backlog(waiting=1, dead=0, oldest=2 * MINUTE) == await store.backlog(LATER + 2 * MINUTE)


async def test_a_crash_before_the_attempt_leaves_a_message_never_tried(start: Start) -> None:
    crashed = await start()
    await open_alert(crashed)
    delivery = await only(crashed)

    assert delivery == await only(await start())


async def test_a_crash_after_delivery_leaves_nothing_to_do_but_the_thread(start: Start) -> None:
    crashed = await start()
    await open_alert(crashed, FIRED)
    await send(crashed, "1700.1")

    entry = await only(await start())

    assert (FIRED, "1700.1", False) == (line_of(entry), entry.thread_id, entry.attempting)


@pytest.mark.parametrize("state", ["failed", "dead"])
async def test_what_became_of_an_attempt_outlives_a_restart(start: Start, state: str) -> None:
    first = await start()
    await open_alert(first)
    delivery = await only(first)
    await first.mark_attempting(delivery, AT)
    if state == "failed":
        await first.mark_failed(delivery, "429", LATER)
    else:
        await first.mark_dead(delivery, "channel_not_found", AT)

    second = await start()

    assert [] == await second.due(LATER - MINUTE)
    assert (LATER if state == "failed" else None) == await second.next_due_at(AT)

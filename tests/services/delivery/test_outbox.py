import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from handlers.slack_errors import REMEDIES
from handlers.slack_notifier import SlackConnector, SlackNotifier
from services.alerting.alert import ActorStamp, EntryKind
from services.alerting.channel_settings import ChannelSettings
from services.alerting.ports import AlertChange, SettingChange, StoredChannel
from services.core.errors import DatabaseUnavailableError
from services.core.identity import Channel, Mention
from services.core.prices import WGMI_BTC
from services.delivery.dispatcher import MAX_ATTEMPTS, MAX_BACKOFF, SEND_BUDGET, SETTLE_TIME, Dispatcher, backoff
from services.delivery.loop import MAX_SLEEP
from services.delivery.outbox import MAX_CONCURRENT, Outbox
from services.delivery.pacing import LOOKUPS_PER_MINUTE, WorkspacePacer
from services.delivery.ports import Delivery
from services.rules.decide import Side
from services.storage import SqlStore
from services.storage.outbox import LEASE
from tests.fakes.alerts import AT, CHANNEL, a_rule_hit, an_alert, an_entry
from tests.fakes.clock import SetClock
from tests.fakes.postgresql import migrated_database
from tests.fakes.slack import TOKEN, FakeSlack, Fault, error_response
from tests.fakes.store_snapshots import open_snapshot

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HISTORY = "conversations.history"
OTHER, OTHER_MENTIONING = Channel(team="T1", id="C2"), Channel(team="T1", id="C4")
GROWN = "12.5 pp ahead of BTC"
UNCLEAR_BODIES = ('{"ok": true}', '{"ok": true, "ts": null}', "[]", "[1]", "null", '"ok"', "7", "true")
# Two processes on the same rows depend on the database; its other SQL is tested in tests/services/storage.
on_each_database = pytest.mark.parametrize("harness", ["sqlite", "postgresql"], indirect=True)


@dataclass(slots=True)
class OutboxHarness:
    """The outbox between a store and a fake Slack."""

    slack: FakeSlack
    store: SqlStore
    outbox: Outbox

    async def open_alert(self, channel: Channel = CHANNEL, side: Side = Side.ABOVE) -> None:
        fired, alert = an_entry(silent=True), an_alert(channel=channel, side=side)
        await self.store.record([], [AlertChange(alert=alert, revision=0, entries=(fired,))], AT)

    async def change(
        self, reason: str, *kinds: EntryKind, at: datetime = AT, closed_at: datetime | None = None
    ) -> None:
        """Change the first open alert so that its message shows `GROWN`, and add entries to its thread."""
        stored = (await self.store.open_alerts(CHANNEL))[0]
        entries = tuple(an_entry(kind=kind, reason=reason) for kind in kinds)
        hits = tuple(replace(hit, value=0.125) for hit in stored.alert.hits)
        alert = replace(stored.alert, hits=hits, reason=reason, closed_at=closed_at)
        await self.store.record([], [AlertChange(alert=alert, revision=stored.revision, entries=entries)], at)

    async def deliver_hourly(self, begin: datetime, tries: int) -> list[int]:
        """Deliver every hour, longer than any backoff; return how many messages were sent each time."""
        return [await self.outbox.deliver(begin + hour * HOUR) for hour in range(tries)]

    def sent_messages(self, method: str = "chat.postMessage") -> list[dict[str, object]]:
        return self.slack.arguments_of(method)


def a_harness(slack: FakeSlack, store: SqlStore) -> OutboxHarness:
    return OutboxHarness(slack, store, an_outbox(slack, store))


def an_outbox(slack: FakeSlack, store: Any, clock: SetClock | None = None) -> Outbox:  # noqa: ANN401 -- a store, or a fake of one
    client, clock = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/"), clock or SetClock(AT)
    return Outbox(store=store, notifier=SlackNotifier(client, clock), clock=clock)


@pytest.fixture
async def harness(slack: FakeSlack, request: pytest.FixtureRequest) -> AsyncIterator[OutboxHarness]:
    """A harness on SQLite, or on the database of `on_each_database`."""
    on_postgresql = getattr(request, "param", None) == "postgresql"
    store = await (SqlStore.open(migrated_database()) if on_postgresql else open_snapshot())
    yield a_harness(slack, store)
    await store.aclose()


@on_each_database
async def test_an_alert_is_posted_once_with_its_key(harness: OutboxHarness) -> None:
    await harness.open_alert()

    sent = [await harness.outbox.deliver(AT), await harness.outbox.deliver(AT)]

    (message,) = harness.sent_messages()
    assert [1, 0] == sent
    assert "C1" == message["channel"]
    assert "alert:1:" in str(message["metadata"])


async def test_a_message_whose_response_was_lost_does_not_block_others(harness: OutboxHarness) -> None:
    harness.slack.readable, harness.slack.epoch = True, int(AT.timestamp())
    await harness.open_alert()
    await harness.open_alert(side=Side.BELOW)
    harness.slack.fail("chat.postMessage", Fault(drop=True, accepted=True))

    sent = [await harness.outbox.deliver(AT + second * SECOND) for second in (0, 4, SETTLE_TIME.seconds)]

    assert ([0, 1, 1], 2) == (sent, len(harness.sent_messages()))


async def test_new_versions_edit_the_message_and_entries_go_to_its_thread(harness: OutboxHarness) -> None:
    await harness.open_alert()
    await harness.outbox.deliver(AT)
    await harness.change("it grew", EntryKind.JOINED)
    await harness.outbox.deliver(AT)

    root, reply = harness.sent_messages()
    (edit,) = harness.sent_messages("chat.update")
    assert root.get("thread_ts") is None
    assert edit["ts"] == reply["thread_ts"]


async def test_versions_in_quick_succession_are_sent_as_one(harness: OutboxHarness) -> None:
    await harness.open_alert()
    await harness.outbox.deliver(AT)
    for reason in ("first", "second", "third"):
        await harness.change(reason)

    sent = await harness.outbox.deliver(AT)

    assert (1, 1) == (sent, len(harness.sent_messages("chat.update")))


async def test_a_429_waits_as_long_as_slack_asks_and_then_sends_the_newest_version(harness: OutboxHarness) -> None:
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", Fault(status=429, headers={"Retry-After": "30"}))

    await harness.outbox.deliver(AT)
    await harness.change("newer")
    too_early = await harness.outbox.deliver(AT + 29 * SECOND)
    in_time = await harness.outbox.deliver(AT + 30 * SECOND)

    assert (0, 1, 1) == (too_early, in_time, len(harness.sent_messages()))
    assert [] == harness.sent_messages("chat.update")


@on_each_database
async def test_a_rate_limit_of_posts_pauses_the_workspace_and_no_other(harness: OutboxHarness) -> None:
    other_workspace = Channel(team="T2", id="C9")
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", Fault(status=429, headers={"Retry-After": "30"}))
    await harness.outbox.deliver(AT)
    await harness.open_alert(OTHER)
    await harness.open_alert(other_workspace)

    await harness.outbox.deliver(AT + 29 * SECOND)
    meanwhile = [message["channel"] for message in harness.sent_messages()]
    await harness.outbox.deliver(AT + 30 * SECOND)

    assert ["C9"] == meanwhile
    assert {"C1", "C2"} == {message["channel"] for message in harness.sent_messages()[1:]}


async def test_after_a_rate_limit_a_workspace_is_sent_no_more_than_it_accepted(harness: OutboxHarness) -> None:
    for number in range(8):
        await harness.open_alert(Channel(team="T1", id=f"C{number}"))
    harness.slack.fail("chat.postMessage", *[Fault(status=429, headers={"Retry-After": "30"})] * 8)
    await harness.outbox.deliver(AT)

    sent = [await harness.outbox.deliver(AT + second * SECOND) for second in (30, 30, 31, 32, 34)]

    assert [2, 0, 1, 1, 2] == sent


async def mention_someone(harness: OutboxHarness, channel: Channel) -> None:
    """Let the alerts of a channel mention a person."""
    settings = ChannelSettings(mention=Mention(text="<@U1>", name="U1"))
    after = StoredChannel(channel=channel, settings=settings, revision=0)
    await harness.store.change_channel(after, SettingChange(by="U1", at=AT, summary="mention"), ())


@on_each_database
async def test_urgent_messages_are_sent_first(harness: OutboxHarness) -> None:
    """New alerts come before edits, those that mention people before others, and acknowledged alerts last."""
    acknowledged, mentioning = Channel(team="T1", id="C3"), OTHER_MENTIONING
    await harness.open_alert(acknowledged)
    await harness.open_alert()
    await harness.outbox.deliver(AT)
    stored = (await harness.store.open_alerts(acknowledged))[0]
    seen = replace(stored.alert, acknowledged=ActorStamp(by="U1", at=AT))
    await harness.store.record([], [AlertChange(alert=seen, revision=stored.revision)], AT)
    await harness.change("it grew")
    await harness.open_alert(OTHER)
    await mention_someone(harness, mentioning)
    await harness.open_alert(mentioning)

    keys = await harness.store.due_keys(AT, 10)

    assert ["C4", "C2", "C1", "C3"] == [key.channel.id for key in keys]


async def test_a_rate_limit_of_look_ups_does_not_delay_posts(harness: OutboxHarness) -> None:
    harness.slack.readable, harness.slack.epoch = True, int(AT.timestamp())
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", Fault(drop=True, accepted=True))
    await harness.outbox.deliver(AT)
    await harness.open_alert(OTHER)
    harness.slack.fail(HISTORY, Fault(status=429, headers={"Retry-After": "60"}))

    in_time = AT + SETTLE_TIME
    sent = [await harness.outbox.deliver(at) for at in (in_time, in_time + 59 * SECOND, in_time + 60 * SECOND)]

    assert [1, 0, 1] == sent
    assert 2 == len(harness.sent_messages())


async def test_look_ups_after_a_crash_stay_within_slacks_limit(harness: OutboxHarness) -> None:
    number, in_time = LOOKUPS_PER_MINUTE + 2, AT + SETTLE_TIME
    harness.slack.readable, harness.slack.epoch = True, int(AT.timestamp())
    for index in range(number):
        await harness.open_alert(Channel(team="T1", id=f"C{index}"))
    harness.slack.fail("chat.postMessage", *[Fault(drop=True, accepted=True)] * number)
    await harness.outbox.deliver(AT)

    found = [await harness.outbox.deliver(in_time + seconds * SECOND) for seconds in (0, 1, 2, 3)]

    assert [LOOKUPS_PER_MINUTE, 0, 1, 1] == found
    assert number == len(harness.sent_messages())


async def test_an_urgent_message_does_not_wait_for_those_that_are_known_already(
    harness: OutboxHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.delivery.outbox.MAX_CONCURRENT", 1)
    answer = asyncio.Event()
    for index in range(3):
        await harness.open_alert(Channel(team="T1", id=f"C{index}"))
    harness.slack.fail("chat.postMessage", Fault(until=answer))
    delivery = asyncio.create_task(harness.outbox.deliver(AT))
    await harness.slack.received(1)

    await mention_someone(harness, OTHER_MENTIONING)
    await harness.open_alert(OTHER_MENTIONING)
    harness.outbox.nudge()
    answer.set()
    await delivery

    assert ["C0", "C4", "C1", "C2"] == [message["channel"] for message in harness.sent_messages()]


async def test_a_failing_store_does_not_break_off_calls(harness: OutboxHarness) -> None:
    answer = asyncio.Event()
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", Fault(until=answer))
    store = UnreadableStore(harness.store)
    outbox = an_outbox(harness.slack, store)
    delivery = asyncio.create_task(outbox.deliver(AT))
    await harness.slack.received(1)

    store.is_broken = True
    outbox.nudge()
    await eventually(lambda: store.failures > 0)
    answer.set()

    with pytest.raises(DatabaseUnavailableError):
        await delivery
    assert [] == await harness.store.due(AT + HOUR)
    assert 1 == len(harness.sent_messages())


async def test_a_slow_call_does_not_delay_what_becomes_due(harness: OutboxHarness) -> None:
    answer = asyncio.Event()
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", Fault(until=answer))
    loop = asyncio.create_task(harness.outbox.run())
    await harness.slack.received(1)

    await harness.open_alert(OTHER)
    harness.outbox.nudge()
    await harness.slack.received(2)

    answer.set()
    harness.outbox.stop()
    await loop
    assert {"C1", "C2"} == {message["channel"] for message in harness.sent_messages()}


@on_each_database
async def test_a_rate_limit_pauses_one_channel_and_no_other(harness: OutboxHarness) -> None:
    await harness.open_alert()
    await harness.outbox.deliver(AT)
    await harness.change("it grew", EntryKind.JOINED, EntryKind.LEFT)
    await harness.open_alert(OTHER)
    harness.slack.fail("chat.update", Fault(status=429, headers={"Retry-After": "30"}))

    await harness.outbox.deliver(AT)
    meanwhile = [message["channel"] for message in harness.sent_messages()[1:]]
    await harness.outbox.deliver(AT + 30 * SECOND)

    assert ["C2"] == meanwhile
    assert ["C1", "C1"] == [message["channel"] for message in harness.sent_messages()[2:]]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=500, body="oops", content_type="text/plain"), id="500"),
        pytest.param(Fault(status=503, body='{"ok": false, "error": "service_unavailable"}'), id="503"),
        pytest.param(error_response("internal_error"), id="internal error"),
        pytest.param(Fault(drop=True), id="dropped connection"),
    ],
)
async def test_a_failed_send_is_retried_until_it_succeeds(harness: OutboxHarness, fault: Fault) -> None:
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", fault, fault)

    sent = [await harness.outbox.deliver(AT + minute * timedelta(minutes=1)) for minute in range(4)]

    assert 1 == sum(sent)
    assert 1 == len(harness.sent_messages())


@pytest.mark.parametrize("code", ["is_archived", "not_in_channel", "token_revoked", "missing_scope"])
async def test_messages_are_delivered_after_a_person_fixes_the_channel(
    harness: OutboxHarness, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="services.delivery.dispatcher")
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", error_response(code), error_response(code), error_response(code))

    sent = [await harness.outbox.deliver(AT + minutes * MAX_BACKOFF) for minutes in range(4)]

    assert [0, 0, 0, 1] == sent
    assert ["WARNING", "INFO"] == [record.levelname for record in caplog.records]


async def test_a_refused_layout_is_retried_every_five_minutes(harness: OutboxHarness) -> None:
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", error_response("msg_too_long"))

    sent = [await harness.outbox.deliver(at) for at in (AT, AT + MAX_BACKOFF - SECOND, AT + MAX_BACKOFF)]

    assert ([0, 0, 1], 2) == (sent, len(harness.slack.calls))


@pytest.mark.parametrize("code", sorted(REMEDIES))
@pytest.mark.parametrize("lasts_s", [60, 900])
async def test_an_alert_arrives_within_two_minutes_of_the_end_of_a_problem(
    harness: OutboxHarness, code: str, lasts_s: int
) -> None:
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", *[error_response(code)] * 10_000)
    for second in range(0, lasts_s + 1, 15):
        await harness.outbox.deliver(AT + second * SECOND)
    calls = len(harness.slack.calls)
    harness.slack.faults.clear()

    sent = [await harness.outbox.deliver(AT + (lasts_s + second) * SECOND) for second in range(0, 121, 15)]

    assert 1 == sum(sent)
    assert calls <= 2 + lasts_s / 45


@pytest.mark.parametrize("code", ["is_archived", "not_in_channel", "internal_error"])
async def test_a_failing_channel_is_tried_with_one_message(harness: OutboxHarness, code: str) -> None:
    await harness.open_alert()
    await harness.open_alert(side=Side.BELOW)
    harness.slack.fail("chat.postMessage", error_response(code))

    await harness.outbox.deliver(AT)
    tries = len(harness.slack.calls)
    sent = await harness.outbox.deliver(AT + HOUR)

    assert (1, 2) == (tries, sent)


async def test_the_backoff_of_a_channel_doubles_whichever_message_is_tried(harness: OutboxHarness) -> None:
    for side in (Side.ABOVE, Side.BELOW):
        await harness.open_alert(side=side)
    harness.slack.fail("chat.postMessage", *[error_response("internal_error")] * 40)

    for second in range(0, 600, 5):
        await harness.outbox.deliver(AT + second * SECOND)

    posts = [call for call in harness.slack.calls if call.method == "chat.postMessage"]
    assert len(posts) <= 11  # after 0, 15, 15, 15, 16, 32, 64, 128 and 256 s, a quarter more or less


@pytest.mark.parametrize("code", ["msg_too_long", "invalid_arguments", "never_heard_of_it"])
async def test_a_refused_message_blocks_no_other(
    harness: OutboxHarness, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="services.delivery.dispatcher")
    await harness.open_alert()
    await harness.open_alert(side=Side.BELOW)
    harness.slack.fail("chat.postMessage", error_response(code))

    sent = await harness.outbox.deliver(AT)

    assert (1, 1) == (sent, len(harness.sent_messages()))
    assert ["WARNING"] == [record.levelname for record in caplog.records]
    assert code in caplog.text


async def test_a_message_that_is_always_refused_is_dead_lettered_and_logged_once(
    harness: OutboxHarness, caplog: pytest.LogCaptureFixture
) -> None:
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", *[error_response("msg_too_long")] * (MAX_ATTEMPTS + 1))

    await harness.deliver_hourly(AT, MAX_ATTEMPTS + 3)

    errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert MAX_ATTEMPTS == len(harness.slack.calls)
    assert 1 == len(errors)
    assert "alert 1 is dead-lettered after 20 attempts; it is retried when the alert changes" in errors[0]
    assert "Report this as a bug. (msg_too_long)" in errors[0]


async def test_a_dead_lettered_alert_is_posted_with_its_thread_when_it_changes(harness: OutboxHarness) -> None:
    await harness.open_alert()
    await harness.change("it grew", EntryKind.JOINED)
    harness.slack.fail("chat.postMessage", *[error_response("msg_too_long")] * MAX_ATTEMPTS)
    await harness.deliver_hourly(AT, MAX_ATTEMPTS)
    waiting = (await harness.store.backlog(AT)).waiting

    await harness.change("shorter", at=AT + HOUR)
    await harness.outbox.deliver(AT + HOUR)

    root, reply = harness.sent_messages()
    assert 0 == waiting
    assert (None, True) == (root.get("thread_ts"), GROWN in str(root["shown"]))
    assert reply["thread_ts"]


async def test_a_reply_that_is_always_refused_is_left_out_and_the_next_is_posted(
    harness: OutboxHarness, caplog: pytest.LogCaptureFixture
) -> None:
    await harness.open_alert()
    await harness.outbox.deliver(AT)
    await harness.change("it grew", EntryKind.JOINED, EntryKind.LEFT)
    harness.slack.fail("chat.postMessage", *[error_response("never_heard_of_it")] * MAX_ATTEMPTS)

    await harness.deliver_hourly(AT, MAX_ATTEMPTS)

    _, reply = harness.sent_messages()
    assert "Still open: 1d 8pp." in str(reply["text"])
    assert "the thread skips this reply" in caplog.text


async def test_failures_of_a_channel_do_not_count_against_its_messages(harness: OutboxHarness) -> None:
    await harness.open_alert()
    harness.slack.fail(
        "chat.postMessage", *[error_response("internal_error")] * MAX_ATTEMPTS, error_response("never_heard_of_it")
    )

    sent = await harness.deliver_hourly(AT, MAX_ATTEMPTS + 2)

    assert 1 == sent[-1]


async def test_a_message_that_breaks_slack_does_not_block_its_channel(harness: OutboxHarness) -> None:
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", error_response("internal_error"))
    await harness.outbox.deliver(AT)
    await harness.open_alert(side=Side.BELOW)

    await harness.outbox.deliver(AT + HOUR)

    first, then = [str(message["metadata"]) for message in harness.sent_messages()]
    assert ("alert:2:" in first, "alert:1:" in then) == (True, True)


async def test_a_reply_follows_the_reposted_message_after_a_deletion(harness: OutboxHarness) -> None:
    await harness.open_alert()
    await harness.outbox.deliver(AT)
    await harness.change("it grew", EntryKind.JOINED)
    harness.slack.fail("chat.update", error_response("message_not_found"))

    await harness.outbox.deliver(AT)

    _, reposted, reply = harness.sent_messages()
    assert (None, True) == (reposted.get("thread_ts"), GROWN in str(reposted["shown"]))
    assert harness.slack.ts(reposted) == reply["thread_ts"]


async def test_a_reply_whose_thread_is_gone_follows_the_reposted_message(harness: OutboxHarness) -> None:
    await harness.open_alert()
    await harness.outbox.deliver(AT)
    await harness.change("it grew", EntryKind.JOINED)
    harness.slack.fail("chat.postMessage", error_response("thread_not_found"))

    await harness.outbox.deliver(AT)
    harness.slack.fail("chat.update", error_response("message_not_found"))
    await harness.outbox.deliver(AT + MAX_BACKOFF)

    _, reposted, reply = harness.sent_messages()
    assert reposted.get("thread_ts") is None
    assert harness.slack.ts(reposted) == reply["thread_ts"]


async def test_a_thread_that_accepts_no_replies_does_not_flood_the_channel(
    harness: OutboxHarness, caplog: pytest.LogCaptureFixture
) -> None:
    await harness.open_alert()
    await harness.outbox.deliver(AT)
    await harness.change("it grew", EntryKind.JOINED)
    harness.slack.fail("chat.postMessage", *[error_response("cannot_reply_to_message")] * 50)

    await harness.deliver_hourly(AT, 50)

    assert 1 == len(harness.sent_messages())
    assert "the thread skips this reply" in caplog.text


async def test_a_message_past_its_edit_window_is_reposted_only_when_resolved(harness: OutboxHarness) -> None:
    await harness.open_alert()
    await harness.outbox.deliver(AT)
    harness.slack.fail("chat.update", *[error_response("edit_window_closed")] * 4)

    for number in range(3):
        await harness.change(f"peak {number}", EntryKind.JOINED)
        await harness.outbox.deliver(AT + number * HOUR)
    roots_while_open = [message for message in harness.sent_messages() if message.get("thread_ts") is None]
    await harness.change("it ended", EntryKind.RESOLVED, at=AT + 3 * HOUR, closed_at=AT + 3 * HOUR)
    await harness.deliver_hourly(AT + 3 * HOUR, 3)

    roots = [message for message in harness.sent_messages() if message.get("thread_ts") is None]
    replies = [message for message in harness.sent_messages() if message.get("thread_ts")]
    assert (1, 2, 4) == (len(roots_while_open), len(roots), len(replies))
    assert str(roots[-1]["text"]).startswith("Resolved")


async def test_an_alert_saved_while_its_channel_is_paused_waits_too(harness: OutboxHarness) -> None:
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", Fault(status=429, headers={"Retry-After": "30"}))
    await harness.outbox.deliver(AT)

    await harness.open_alert(side=Side.BELOW)
    too_early = await harness.outbox.deliver(AT + 29 * SECOND)
    wait = await harness.outbox.time_until_due()
    in_time = await harness.outbox.deliver(AT + 30 * SECOND)

    assert (0, 30 * SECOND, 2) == (too_early, wait, in_time)


async def test_a_wait_starts_at_the_response_however_long_the_queue_took(harness: OutboxHarness) -> None:
    await harness.open_alert()
    harness.outbox = an_outbox(harness.slack, harness.store, SetClock(AT + HOUR))
    harness.slack.fail("chat.postMessage", Fault(status=429, headers={"Retry-After": "30"}))

    await harness.outbox.deliver(AT)

    assert 30 * SECOND == await harness.outbox.time_until_due()


class SlowNotifier(SlackNotifier):
    """A notifier that takes a minute for each post, by its clock."""

    async def post(self, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 -- as SlackNotifier has it
        assert isinstance(self._clock, SetClock)
        self._clock.advance(MINUTE)
        return await super().post(*args, **kwargs)


class FrozenNotifier(SlackNotifier):
    """A notifier that is frozen as it starts to send, long enough for `other` to take its message over."""

    other: Outbox

    async def post(self, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 -- as SlackNotifier has it
        await self._freeze()
        return await super().post(*args, **kwargs)

    async def edit(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- as SlackNotifier has it
        await self._freeze()
        await super().edit(*args, **kwargs)

    async def _freeze(self) -> None:
        assert isinstance(self._clock, SetClock)
        self._clock.advance(LEASE)
        assert 1 == await self.other.deliver(self._clock.now())


@on_each_database
async def test_a_quiet_period_that_starts_during_a_delivery_withholds_the_remaining_messages(
    harness: OutboxHarness,
) -> None:
    client, clock = AsyncWebClient(token=TOKEN, base_url=f"{harness.slack.url}api/"), SetClock(AT)
    outbox = Outbox(store=harness.store, notifier=SlowNotifier(client, clock), clock=clock)
    await harness.open_alert()
    await harness.open_alert(side=Side.BELOW)
    silent = StoredChannel(channel=CHANNEL, settings=ChannelSettings(), revision=0, silent_from=AT + MINUTE)
    await harness.store.schedule_silence(silent)

    sent = await outbox.deliver(AT)

    assert (1, 1) == (sent, len(harness.sent_messages()))
    assert 1 == (await harness.store.backlog(clock.now())).withheld


@on_each_database
@pytest.mark.parametrize("posted", [False, True], ids=["a post", "an edit"])
async def test_a_process_frozen_before_sending_sends_nothing_after_a_takeover(
    harness: OutboxHarness, *, posted: bool
) -> None:
    await harness.open_alert()
    if posted:
        await harness.outbox.deliver(AT)
        await harness.change("it grew")
    clock = SetClock(AT)
    async with aiohttp.ClientSession(connector=SlackConnector(clock)) as session:
        client = AsyncWebClient(token=TOKEN, base_url=f"{harness.slack.url}api/", session=session)
        notifier = FrozenNotifier(client, clock)
        notifier.other = an_outbox(harness.slack, harness.store, clock)

        sent = await Outbox(store=harness.store, notifier=notifier, clock=clock).deliver(AT)

    assert (0, 1, int(posted)) == (sent, len(harness.sent_messages()), len(harness.sent_messages("chat.update")))


async def test_a_send_past_its_deadline_was_certainly_not_posted(harness: OutboxHarness) -> None:
    await harness.open_alert()
    clock = SetClock(AT)
    async with aiohttp.ClientSession(connector=SlackConnector(clock)) as session:
        client = AsyncWebClient(token=TOKEN, base_url=f"{harness.slack.url}api/", session=session)
        late = Dispatcher(
            store=harness.store, notifier=SlowNotifier(client, clock), clock=clock, pacer=WorkspacePacer()
        )
        (delivery,) = await harness.store.due(AT)

        await late.deliver_one(delivery, AT)

    (again,) = await harness.store.due(clock.now())
    assert ([], False, 0) == (harness.slack.calls, again.attempting, again.attempts)


async def test_a_message_read_before_a_quiet_period_is_not_sent_during_it(harness: OutboxHarness) -> None:
    await harness.open_alert()
    (delivery,) = await harness.store.due(AT)
    silent = StoredChannel(channel=CHANNEL, settings=ChannelSettings(), revision=0, silent_from=AT + SECOND)
    await harness.store.schedule_silence(silent)

    assert await harness.store.mark_attempting(delivery, AT + SECOND) is None
    assert await harness.store.mark_attempting(delivery, AT) is not None


LOST = [
    pytest.param(Fault(drop=True, accepted=True), id="connection dropped"),
    pytest.param(Fault(status=500, body="{}", accepted=True), id="500 after it was posted"),
    pytest.param(Fault(body='{"ok": false, "error": "internal_error"}', accepted=True), id="internal_error"),
    *(pytest.param(Fault(body=body, accepted=True), id=body) for body in UNCLEAR_BODIES),
]


@pytest.mark.parametrize("fault", LOST)
async def test_a_post_whose_response_was_lost_is_found_and_edited(harness: OutboxHarness, fault: Fault) -> None:
    harness.slack.readable, harness.slack.epoch = True, int(AT.timestamp())
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", fault)

    await harness.outbox.deliver(AT)
    await harness.change("it grew", EntryKind.JOINED)
    too_early, later = (
        await harness.outbox.deliver(AT + SETTLE_TIME - SECOND),
        await harness.outbox.deliver(AT + SETTLE_TIME),
    )

    root, reply = harness.sent_messages()
    (edit,) = harness.sent_messages("chat.update")
    assert (0, 2) == (too_early, later)
    assert harness.slack.ts(root) == edit["ts"] == reply["thread_ts"]
    assert GROWN in str(edit["shown"])


@pytest.mark.parametrize("fault", LOST)
async def test_a_reply_whose_response_was_lost_is_found_in_its_thread(harness: OutboxHarness, fault: Fault) -> None:
    harness.slack.readable, harness.slack.epoch = True, int(AT.timestamp())
    await harness.open_alert()
    await harness.outbox.deliver(AT)
    await harness.change("it grew", EntryKind.JOINED)
    harness.slack.fail("chat.postMessage", fault)

    sent = await harness.deliver_hourly(AT, 3)

    assert ([1, 1, 0], 2) == (sent, len(harness.sent_messages()))


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        pytest.param({"chat.postMessage": [Fault(drop=True)]}, [0, 1, 0], id="not found: posted again"),
        pytest.param(
            {
                "chat.postMessage": [Fault(drop=True, accepted=True)],
                HISTORY: [Fault(status=429, headers={"Retry-After": "60"}), error_response("fatal_error")],
            },
            [0, 0, 0, 1, 0],
            id="a failed look-up is repeated before anything is posted",
        ),
        pytest.param(
            {
                "chat.postMessage": [Fault(drop=True, accepted=True)],
                HISTORY: [Fault(body=body) for body in UNCLEAR_BODIES],
            },
            [*[0] * (1 + len(UNCLEAR_BODIES)), 1, 0],
            id="a look-up without messages is repeated before anything is posted",
        ),
        pytest.param(
            {
                "chat.postMessage": [Fault(drop=True, accepted=True)],
                "chat.update": [Fault(status=500, body="{}")],
            },
            [0, 0, 1, 0],
            id="found, but its edit fails: found again",
        ),
    ],
)
async def test_a_post_without_a_response_is_looked_up_and_in_the_channel_once(
    harness: OutboxHarness, faults: dict[str, list[Fault]], expected: list[int]
) -> None:
    harness.slack.readable, harness.slack.epoch = True, int(AT.timestamp())
    await harness.open_alert()
    for method, responses in faults.items():
        harness.slack.fail(method, *responses)

    sent = await harness.deliver_hourly(AT, len(expected))

    assert (expected, 1) == (sent, len(harness.sent_messages()))


@pytest.mark.parametrize("code", ["token_revoked", "is_archived", "not_in_channel"])
async def test_a_look_up_waits_for_the_same_fixes_as_a_post(harness: OutboxHarness, code: str) -> None:
    harness.slack.readable, harness.slack.epoch = True, int(AT.timestamp())
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", Fault(drop=True, accepted=True))
    harness.slack.fail(HISTORY, error_response(code), error_response(code))

    sent = [await harness.outbox.deliver(AT + minutes * MAX_BACKOFF) for minutes in range(4)]

    assert ([0, 0, 0, 1], 1) == (sent, len(harness.sent_messages()))


async def test_the_reposted_resolution_is_not_mistaken_for_the_first_message(harness: OutboxHarness) -> None:
    """The old message is in the same channel and of the same alert; the resolution has another key."""
    harness.slack.readable, harness.slack.epoch = True, int(AT.timestamp())
    await harness.open_alert()
    await harness.outbox.deliver(AT)
    await harness.change("it is over", at=AT + HOUR, closed_at=AT + HOUR)
    harness.slack.epoch += 3600
    harness.slack.fail("chat.update", error_response("edit_window_closed"))
    harness.slack.fail("chat.postMessage", Fault(drop=True))

    await harness.deliver_hourly(AT + HOUR, 4)

    first, resolution = harness.sent_messages()
    assert str(resolution["text"]).startswith("Resolved: ")
    assert str(first["text"]).startswith("Firing: ")


@pytest.mark.parametrize("ahead", [10 * MINUTE, HOUR, 3 * DAY], ids=str)
@pytest.mark.parametrize("corrected", [False, True], ids=["still ahead", "corrected"])
async def test_a_post_by_a_clock_ahead_of_slacks_is_found(
    harness: OutboxHarness, ahead: timedelta, corrected: bool
) -> None:
    slack, store, clock = harness.slack, harness.store, SetClock(AT + ahead)
    slack.readable, slack.clock = True, lambda: AT
    harness = replace(harness, outbox=an_outbox(slack, store, clock))
    await harness.open_alert()
    slack.fail("chat.postMessage", Fault(drop=True, accepted=True))
    await harness.outbox.deliver(clock.at)
    clock.at = AT + (timedelta(0) if corrected else ahead) + LEASE
    if corrected:
        await store.claim_tick(WGMI_BTC, AT + ahead, AT + ahead)
        await store.discard_ahead(AT)

    sent = await harness.outbox.deliver(clock.at)

    assert (1, 1) == (sent, len(harness.sent_messages()))


async def test_a_look_up_in_a_busy_channel_ends_at_a_day_before_the_attempt(harness: OutboxHarness) -> None:
    """The newest messages come first; those of earlier days are not read."""
    harness.slack.readable, harness.slack.page = True, 1
    await harness.open_alert()
    for days_ago in (9, 8, 2, 1, 0):
        harness.slack.epoch = int((AT - timedelta(days=days_ago, hours=1)).timestamp())
        other = AsyncWebClient(token=TOKEN, base_url=f"{harness.slack.url}api/")
        await other.chat_postMessage(channel=CHANNEL.id, text="hello")
    harness.slack.epoch = int(AT.timestamp())
    harness.slack.fail("chat.postMessage", Fault(drop=True))

    sent = await harness.deliver_hourly(AT, 2)

    assert ([0, 1], 2) == (sent, len(harness.slack.calls_of(HISTORY)))


async def test_a_post_from_before_the_clock_was_set_back_is_found(harness: OutboxHarness) -> None:
    harness.slack.readable, harness.slack.epoch = True, int(AT.timestamp())
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", Fault(drop=True, accepted=True))
    await harness.outbox.deliver(AT + HOUR)
    await harness.store.claim_tick(WGMI_BTC, AT + HOUR, AT + HOUR)

    await harness.store.discard_ahead(AT)
    sent = await harness.outbox.deliver(AT + LEASE)

    assert (1, 1) == (sent, len(harness.sent_messages()))


async def test_a_post_whose_response_was_lost_is_sent_again_if_the_channel_cannot_be_read(
    harness: OutboxHarness, caplog: pytest.LogCaptureFixture
) -> None:
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", Fault(drop=True, accepted=True))

    sent = await harness.deliver_hourly(AT, 3)

    assert ([0, 1, 0], 2) == (sent, len(harness.sent_messages()))
    assert "alert 1 is sent again and may be duplicated: MinerPulse isn't allowed to read messages there" in caplog.text


async def test_posts_of_other_channels_end_before_a_failed_delivery_is_retried(harness: OutboxHarness) -> None:
    answer = asyncio.Event()
    await harness.open_alert()
    await harness.open_alert(OTHER)
    harness.slack.fail("chat.postMessage", Fault(until=answer))
    failing = FailingStore(harness.store, OTHER)
    harness.outbox = an_outbox(harness.slack, failing)

    first = asyncio.create_task(harness.outbox.deliver(AT))
    await eventually(lambda: bool(harness.slack.calls) and failing.failed)
    again = asyncio.create_task(harness.outbox.deliver(AT + LEASE))
    for _ in range(50):  # longer than another post would take
        await harness.store.backlog(AT)
    answer.set()

    with pytest.raises(DatabaseUnavailableError):
        await first
    with pytest.raises(DatabaseUnavailableError):
        await again
    assert ["C1"] == [call.arguments["channel"] for call in harness.slack.calls]


@on_each_database
async def test_a_queue_in_a_slow_channel_does_not_delay_another_channel(harness: OutboxHarness) -> None:
    answers = [asyncio.Event(), asyncio.Event()]
    await harness.open_alert()
    await harness.open_alert(side=Side.BELOW)
    harness.slack.fail("chat.postMessage", *(Fault(until=answer) for answer in answers))
    delivery = asyncio.create_task(harness.outbox.deliver(AT))
    await harness.slack.received(1)

    await harness.open_alert(OTHER)
    answers[0].set()
    await harness.slack.received(3)
    called = sorted(str(call.arguments["channel"]) for call in harness.slack.calls)
    answers[1].set()

    assert (["C1", "C1", "C2"], 3) == (called, await delivery)


async def test_an_internal_error_in_one_channel_does_not_stop_the_queues_of_others(harness: OutboxHarness) -> None:
    await harness.open_alert(OTHER)
    for side in (Side.ABOVE, Side.BELOW):
        await harness.open_alert(side=side)

    with pytest.raises(DatabaseUnavailableError):
        await an_outbox(harness.slack, FailingStore(harness.store, OTHER)).deliver(AT)

    assert ["C1", "C1"] == [message["channel"] for message in harness.sent_messages()]


async def sent_but_not_recorded(harness: OutboxHarness) -> tuple[Outbox, SetClock]:
    """Return the outbox that has posted an alert and could not record it."""
    clock = SetClock(AT)
    outbox = an_outbox(harness.slack, ForgetfulStore(harness.store), clock)
    await harness.open_alert()
    with pytest.raises(DatabaseUnavailableError):
        await outbox.deliver(clock.at)
    return outbox, clock


async def test_an_accepted_message_is_not_posted_again_if_recording_it_fails(harness: OutboxHarness) -> None:
    outbox, clock = await sent_but_not_recorded(harness)

    sent = await outbox.deliver(clock.advance(LEASE))

    assert (1, 1) == (sent, len(harness.sent_messages()))
    assert 0 == (await harness.store.backlog(clock.at)).waiting


async def test_an_accepted_unrecorded_message_is_edited_if_it_has_changed(harness: OutboxHarness) -> None:
    outbox, clock = await sent_but_not_recorded(harness)
    await harness.change("it grew", EntryKind.JOINED)

    await outbox.deliver(clock.advance(LEASE))

    (edit,), (root, reply) = harness.sent_messages("chat.update"), harness.sent_messages()
    assert harness.slack.ts(root) == edit["ts"] == reply["thread_ts"]
    assert GROWN in str(edit["shown"])


@on_each_database
async def test_an_accepted_unrecorded_message_is_dropped_if_another_process_has_sent_it(
    harness: OutboxHarness,
) -> None:
    outbox, clock = await sent_but_not_recorded(harness)
    await an_outbox(harness.slack, harness.store).deliver(AT + LEASE)
    await harness.change("it grew", at=AT + LEASE)

    await outbox.deliver(clock.advance(LEASE))

    (edit,), (_, other_root) = harness.sent_messages("chat.update"), harness.sent_messages()
    assert harness.slack.ts(other_root) == edit["ts"]


async def test_a_version_saved_during_the_last_attempt_of_another_gets_all_attempts(harness: OutboxHarness) -> None:
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", *[error_response("msg_too_long")] * (MAX_ATTEMPTS + 1))
    await harness.deliver_hourly(AT, MAX_ATTEMPTS - 1)
    (delivery,) = await harness.store.due(AT + MAX_ATTEMPTS * HOUR)
    await harness.store.mark_attempting(delivery, AT + MAX_ATTEMPTS * HOUR)
    await harness.change("shorter", at=AT + MAX_ATTEMPTS * HOUR)
    await harness.store.mark_dead(delivery, "msg_too_long", AT + MAX_ATTEMPTS * HOUR)

    sent = await harness.deliver_hourly(AT + MAX_ATTEMPTS * HOUR, 3)

    assert 1 == sum(sent)


async def test_two_processes_on_one_database_post_an_alert_once(slack: FakeSlack, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/floor.db"
    one, other = [a_harness(slack, await SqlStore.open(url)) for _ in range(2)]
    await one.open_alert()
    await one.open_alert(OTHER)
    answer = asyncio.Event()
    slack.fail("chat.postMessage", Fault(until=answer), Fault(until=answer))

    slow = asyncio.create_task(one.outbox.deliver(AT))
    await slack.received(2)
    meanwhile = await other.outbox.deliver(AT + LEASE - SECOND)
    answer.set()

    assert (0, 2, 2) == (meanwhile, await slow, len(slack.calls))
    for each in (one, other):
        await each.store.aclose()


@pytest.mark.parametrize(
    "frozen_for",
    [
        pytest.param(LEASE - SEND_BUDGET + SECOND, id="too little of its lease is left"),
        pytest.param(LEASE + SECOND, id="its lease is over"),
    ],
)
async def test_a_frozen_process_leaves_its_message_to_the_next_attempt(
    harness: OutboxHarness, frozen_for: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    clock, spans = SetClock(AT), iter([frozen_for])
    frozen = an_outbox(harness.slack, FreezingStore(harness.store, lambda: clock.advance(next(spans, SECOND))), clock)
    await harness.open_alert()

    retried = await frozen.deliver(AT)
    taken_over = await harness.outbox.deliver(AT + LEASE)

    assert "alert 1 was not sent: its deadline has passed; the next attempt sends it" in caplog.messages
    assert (1, 0, 1) == (retried, taken_over, len(harness.sent_messages()))


@pytest.mark.parametrize("harness", ["postgresql"], indirect=True)
async def test_two_processes_with_much_to_deliver_do_not_contend_for_the_same_messages(harness: OutboxHarness) -> None:
    channels = [Channel(team=f"T{number}", id="C1") for number in range(3 * MAX_CONCURRENT)]
    for channel in channels:
        await harness.open_alert(channel)
    counting = CountingStore(harness.store)

    sent = await asyncio.gather(*(an_outbox(harness.slack, counting).deliver(AT) for _ in range(2)))

    assert (len(channels), len(channels)) == (sum(sent), len(harness.sent_messages()))
    assert counting.tries < 2 * len(channels)


async def test_stopping_records_the_current_post_and_starts_no_other(harness: OutboxHarness) -> None:
    answer = asyncio.Event()
    await harness.open_alert()
    await harness.open_alert(side=Side.BELOW)
    harness.slack.fail("chat.postMessage", Fault(until=answer))
    loop = asyncio.create_task(harness.outbox.run())
    await harness.slack.received(1)

    harness.outbox.stop()
    answer.set()
    await loop
    stopped_at = len(harness.sent_messages())
    await an_outbox(harness.slack, harness.store).deliver(AT + HOUR)

    assert (1, 2) == (stopped_at, len(harness.sent_messages()))


async def test_a_stop_during_the_last_post_does_not_wait_for_something_due(harness: OutboxHarness) -> None:
    answer = asyncio.Event()
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", Fault(until=answer))
    loop = asyncio.create_task(harness.outbox.run())
    await harness.slack.received(1)

    harness.outbox.stop()
    await asyncio.sleep(0)  # the round sees the stop before the answer
    answer.set()
    async with asyncio.timeout(10):
        await loop

    assert 1 == len(harness.sent_messages())


async def test_a_nudge_during_a_delivery_causes_another_one(harness: OutboxHarness) -> None:
    store = NudgedStore()
    harness.outbox = an_outbox(harness.slack, store)
    store.nudge = harness.outbox.nudge
    loop = asyncio.create_task(harness.outbox.run())

    await eventually(lambda: store.count > 1)

    harness.outbox.stop()
    await loop


async def test_a_rate_limit_does_not_lengthen_the_next_wait(harness: OutboxHarness) -> None:
    await harness.open_alert()
    waits = [Fault(status=429, headers={"Retry-After": "1"})] * 6
    harness.slack.fail("chat.postMessage", *waits, Fault(status=500, body="oops", content_type="text/plain"))

    sent = [await harness.outbox.deliver(AT + second * SECOND) for second in range(6 + SETTLE_TIME.seconds + 2)]

    assert 1 == sum(sent)


async def test_a_deleted_message_is_posted_again(harness: OutboxHarness) -> None:
    await harness.open_alert()
    await harness.outbox.deliver(AT)
    await harness.change("it grew")
    harness.slack.fail("chat.update", error_response("message_not_found"))

    await harness.outbox.deliver(AT)

    assert 2 == len(harness.sent_messages())


@pytest.mark.parametrize("taken", [False, True])
async def test_a_crash_during_the_call_posts_once_if_the_channel_can_be_read(
    slack: FakeSlack, tmp_path: Path, *, taken: bool
) -> None:
    url, slack.readable, slack.epoch = f"sqlite:///{tmp_path}/floor.db", True, int(AT.timestamp())
    dying = a_harness(slack, await SqlStore.open(url))
    await dying.open_alert()
    (delivery,) = await dying.store.due(AT)
    await dying.store.mark_attempting(delivery, AT)
    if taken:
        await dying.outbox.notifier.post(delivery.channel, delivery.message, key=delivery.key)

    restarted = a_harness(slack, await SqlStore.open(url))
    sent = await restarted.outbox.deliver(AT + LEASE)

    assert (1, 1) == (sent, len(restarted.sent_messages()))
    for one in (dying, restarted):
        await one.store.aclose()


async def test_nothing_is_lost_by_a_crash_before_during_or_after_the_call(
    slack: FakeSlack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The process dies between any two commits; the next one finds the undelivered message and delivers it."""
    url = f"sqlite:///{tmp_path}/floor.db"
    dying = a_harness(slack, await SqlStore.open(url))
    await dying.open_alert()
    (delivery,) = await dying.store.due(AT)
    await dying.store.mark_attempting(delivery, AT)

    restarted = a_harness(slack, await SqlStore.open(url))
    sent = [await restarted.outbox.deliver(at) for at in (AT, AT + LEASE - SECOND, AT + LEASE)]

    assert ([0, 0, 1], 1) == (sent, len(restarted.sent_messages()))
    assert "alert 1 is sent again and may be duplicated" in caplog.text
    for one in (dying, restarted):
        await one.store.aclose()


async def test_the_loop_delivers_when_nudged(harness: OutboxHarness) -> None:
    loop = asyncio.create_task(harness.outbox.run())
    await harness.open_alert()

    harness.outbox.nudge()
    await eventually(lambda: harness.sent_messages() != [])

    harness.outbox.stop()
    await loop


async def test_the_loop_survives_a_failing_store_and_logs_it_once(
    harness: OutboxHarness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="services.delivery.loop")
    store, harness.outbox.store = harness.store, UnreachableStore(failures=3)  # type: ignore[assignment]
    loop = asyncio.create_task(harness.outbox.run())
    await eventually(lambda: nudged(harness.outbox) and harness.outbox.store.failures == 0)  # type: ignore[attr-defined]
    await harness.open_alert()
    harness.outbox.store = store

    await eventually(lambda: nudged(harness.outbox) and harness.sent_messages() != [])
    await eventually(lambda: nudged(harness.outbox) and len(caplog.records) > 1)
    harness.outbox.stop()
    await loop

    assert ["delivery failed; retrying every 0:00:30", "delivery has recovered"] == [
        record.message for record in caplog.records
    ]


async def test_an_alert_that_cannot_be_rendered_blocks_no_other(harness: OutboxHarness) -> None:
    broken = an_alert(channel=CHANNEL, hits=[a_rule_hit(rule="not a rule")])
    await harness.store.record([], [AlertChange(alert=broken, revision=0)], AT)
    await harness.open_alert(side=Side.BELOW)
    await harness.open_alert(OTHER)

    sent = [await harness.outbox.deliver(AT + minute * timedelta(minutes=10)) for minute in range(2)]

    assert [2, 0] == sent
    assert {"C1", "C2"} == {message["channel"] for message in harness.sent_messages()}


class IdleStore:
    """A store with nothing due."""

    async def due_keys(self, now: object, limit: int, exclude: object) -> list[object]:  # noqa: ARG002 -- a subclass uses them
        return []

    async def next_due_at(self, _now: object, _exclude: object) -> None:
        pass


@dataclass
class UnreachableStore(IdleStore):
    """A store that fails this many times."""

    failures: int

    async def due_keys(self, now: object, limit: int, exclude: object) -> list[object]:
        if self.failures:
            self.failures -= 1
            raise DatabaseUnavailableError("the database is gone")
        return await super().due_keys(now, limit, exclude)


@dataclass
class NudgedStore(IdleStore):
    """A store that is nudged about while it is read."""

    count: int = 0
    nudge: Callable[[], None] = lambda: None

    async def due_keys(self, now: object, limit: int, exclude: object) -> list[object]:
        self.count += 1
        if self.count == 1:
            self.nudge()
        return await super().due_keys(now, limit, exclude)


@dataclass(slots=True)
class WrappedStore:
    """A store with one method changed by a subclass."""

    store: SqlStore

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)


@dataclass(slots=True)
class UnreadableStore(WrappedStore):
    """A store whose outbox can no longer be read."""

    is_broken: bool = False
    failures: int = 0

    async def due_keys(self, *arguments: Any) -> object:  # noqa: ANN401 -- as the store has it
        if self.is_broken:
            self.failures += 1
            raise DatabaseUnavailableError("gone")
        return await self.store.due_keys(*arguments)


@dataclass(slots=True)
class FailingStore(WrappedStore):
    """A store that cannot record attempts in one channel."""

    channel: Channel
    failed: bool = False

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> Delivery | None:
        if delivery.channel == self.channel:
            self.failed = True
            raise DatabaseUnavailableError("the disk is full")
        return await self.store.mark_attempting(delivery, at)


@dataclass(slots=True)
class FreezingStore(WrappedStore):
    """A store whose process is frozen after it has recorded an attempt."""

    freeze: Callable[[], object]

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> Delivery | None:
        leased = await self.store.mark_attempting(delivery, at)
        self.freeze()
        return leased


@dataclass(slots=True)
class CountingStore(WrappedStore):
    """A store that counts the attempts to lease a message."""

    tries: int = 0

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> Delivery | None:
        self.tries += 1
        return await self.store.mark_attempting(delivery, at)


@dataclass(slots=True)
class ForgetfulStore(WrappedStore):
    """A store that fails to record the first message that was sent."""

    failed: bool = False

    async def mark_sent(self, delivery: Delivery, message_id: str, at: datetime) -> None:
        if not self.failed:
            self.failed = True
            raise DatabaseUnavailableError("the database is locked")
        await self.store.mark_sent(delivery, message_id, at)


def nudged(outbox: Outbox) -> bool:
    outbox.nudge()
    return True


async def eventually(condition: Callable[[], bool]) -> None:
    """Yield to other tasks until the condition holds."""
    while not condition():  # noqa: ASYNC110 -- the condition has no event of its own
        await asyncio.sleep(0)


async def test_an_attempt_is_recorded_before_the_call(harness: OutboxHarness) -> None:
    answer = asyncio.Event()
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", Fault(until=answer))

    sending = asyncio.create_task(harness.outbox.deliver(AT))
    await harness.slack.received(1)
    seen = [delivery.attempting for delivery in await harness.store.due(AT + LEASE)]
    answer.set()
    await sending

    assert [True] == seen


async def test_the_loop_wakes_when_a_retry_is_due(harness: OutboxHarness) -> None:
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", Fault(status=429, headers={"Retry-After": "7"}))
    await harness.outbox.deliver(AT)

    assert timedelta(seconds=7) == await harness.outbox.time_until_due()
    await harness.outbox.deliver(AT + 7 * SECOND)
    assert MAX_SLEEP == await harness.outbox.time_until_due()


def test_backoff_doubles_to_five_minutes_with_jitter_by_key() -> None:
    waits = [backoff("one", failures) for failures in range(12)]

    assert sorted(waits[:7]) == waits[:7]
    assert max(waits) <= 1.25 * MAX_BACKOFF
    assert backoff("one", 0) != backoff("another", 0)


async def test_a_delivery_problem_is_reported_until_it_is_fixed(harness: OutboxHarness) -> None:
    await harness.open_alert()
    harness.slack.fail("chat.postMessage", error_response("is_archived"))
    await harness.outbox.deliver(AT)
    (problem,) = await harness.store.delivery_problems("T1")
    (posting,) = (await harness.store.alert_audit(CHANNEL, 1)).postings

    await harness.outbox.deliver(AT + HOUR)

    assert (CHANNEL, 1, AT, False) == (problem.channel, problem.messages, problem.since, problem.dead_lettered)
    assert str(problem.problem).startswith("The channel is archived: unarchive it")
    assert problem.problem == posting.blocked_by
    assert [] == await harness.store.delivery_problems()

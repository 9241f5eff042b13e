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

from handlers.notifier import SlackNotifier
from handlers.send_deadline import LastLookConnector
from services.alerting.alert import EntryKind
from services.alerting.channel_settings import ChannelSettings
from services.alerting.ports import StoredChannel
from services.alerting.records import AlertChange
from services.core.errors import StoreError
from services.core.identity import Channel
from services.delivery.dispatcher import CALLS, LONGEST_RETRY, SETTLES, TRIES, Dispatcher, backoff
from services.delivery.outbox import AT_ONCE, IDLE, Outbox
from services.delivery.ports import Delivery
from services.rules.decide import Side
from services.storage import SqlStore
from services.storage.outbox import LEASE
from tests.fakes.alerts import AT, DESK, a_fact, an_alert, an_entry
from tests.fakes.clock import SetClock
from tests.fakes.postgresql import empty_database
from tests.fakes.slack import TOKEN, Fault, SlackServer, refused, serving

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR = timedelta(hours=1)
HISTORY = "conversations.history"
OTHER = Channel(team="T1", id="C2")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


@dataclass(slots=True)
class Post:
    """The outbox between a store and Slack."""

    slack: SlackServer
    store: SqlStore
    outbox: Outbox

    async def open_alert(self, channel: Channel = DESK, side: Side = Side.ABOVE) -> None:
        fired, alert = an_entry(silent=True), an_alert(channel=channel, side=side)
        await self.store.record([], [AlertChange(alert=alert, revision=0, entries=(fired,))], AT)

    async def change(
        self, reason: str, *kinds: EntryKind, at: datetime = AT, closed_at: datetime | None = None
    ) -> None:
        """Give the first open alert another wording, and lines in its thread."""
        stored = (await self.store.open_alerts(DESK))[0]
        entries = tuple(an_entry(kind=kind, reason=reason) for kind in kinds)
        alert = replace(stored.alert, reason=reason, closed_at=closed_at)
        await self.store.record([], [AlertChange(alert=alert, revision=stored.revision, entries=entries)], at)

    async def try_often(self, begin: datetime, tries: int) -> list[int]:
        """Deliver hour by hour, longer than any wait between two tries; give how many were sent each time."""
        return [await self.outbox.deliver(begin + hour * HOUR) for hour in range(tries)]

    def said(self, method: str = "chat.postMessage") -> list[dict[str, object]]:
        return self.slack.said(method)


@pytest.fixture
async def slack(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SlackServer]:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    async with serving() as server:
        yield server


def a_post(slack: SlackServer, store: SqlStore) -> Post:
    return Post(slack, store, an_outbox(slack, store))


def an_outbox(slack: SlackServer, store: Any, clock: SetClock | None = None) -> Outbox:  # noqa: ANN401 -- a store, or what stands in for one
    client, clock = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/", timeout=1), clock or SetClock(AT)
    return Outbox(store=store, notifier=SlackNotifier(client, clock), clock=clock)


@pytest.fixture(params=["sqlite", "postgresql"])
async def post(slack: SlackServer, request: pytest.FixtureRequest) -> AsyncIterator[Post]:
    store = await SqlStore.open("sqlite://" if request.param == "sqlite" else empty_database())
    yield a_post(slack, store)
    await store.aclose()


async def test_an_alert_is_posted_once_with_its_key(post: Post) -> None:
    await post.open_alert()

    sent = [await post.outbox.deliver(AT), await post.outbox.deliver(AT)]

    (message,) = post.said()
    assert [1, 0] == sent
    assert "C1" == message["channel"]
    assert "alert:1:" in str(message["metadata"])


async def test_a_message_whose_answer_was_lost_does_not_hold_up_others_until_it_can_be_looked_up(post: Post) -> None:
    post.slack.readable, post.slack.epoch = True, int(AT.timestamp())
    await post.open_alert()
    await post.open_alert(side=Side.BELOW)
    post.slack.fail("chat.postMessage", Fault(drop=True, taken=True))

    sent = [await post.outbox.deliver(AT + second * SECOND) for second in (0, 4, SETTLES.seconds)]

    assert ([0, 1, 1], 2) == (sent, len(post.said()))


async def test_later_wordings_edit_the_message_and_lines_go_to_its_thread(post: Post) -> None:
    await post.open_alert()
    await post.outbox.deliver(AT)
    await post.change("it grew", EntryKind.JOINED)
    await post.outbox.deliver(AT)

    root, line = post.said()
    (edit,) = post.said("chat.update")
    assert root.get("thread_ts") is None
    assert edit["ts"] == line["thread_ts"]


async def test_wordings_that_came_too_quickly_are_sent_as_one(post: Post) -> None:
    await post.open_alert()
    await post.outbox.deliver(AT)
    for reason in ("first", "second", "third"):
        await post.change(reason)

    sent = await post.outbox.deliver(AT)

    assert (1, 1) == (sent, len(post.said("chat.update")))


async def test_a_429_waits_as_long_as_slack_asks_and_then_says_only_the_newest(post: Post) -> None:
    await post.open_alert()
    post.slack.fail("chat.postMessage", Fault(status=429, headers={"Retry-After": "30"}))

    await post.outbox.deliver(AT)
    await post.change("newer")
    too_early = await post.outbox.deliver(AT + 29 * SECOND)
    in_time = await post.outbox.deliver(AT + 30 * SECOND)

    assert (0, 1, 1) == (too_early, in_time, len(post.said()))
    assert [] == post.said("chat.update")


async def test_a_channel_waits_as_a_whole_and_another_does_not(post: Post) -> None:
    await post.open_alert()
    await post.outbox.deliver(AT)
    await post.change("it grew", EntryKind.JOINED, EntryKind.LEFT)
    await post.open_alert(OTHER)
    post.slack.fail("chat.update", Fault(status=429, headers={"Retry-After": "30"}))

    await post.outbox.deliver(AT)
    meanwhile = [message["channel"] for message in post.said()[1:]]
    await post.outbox.deliver(AT + 30 * SECOND)

    assert ["C2"] == meanwhile
    assert ["C1", "C1"] == [message["channel"] for message in post.said()[2:]]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=500, body="oops", content_type="text/plain"), id="500"),
        pytest.param(Fault(status=503, body='{"ok": false, "error": "service_unavailable"}'), id="503"),
        pytest.param(refused("internal_error"), id="internal error"),
        pytest.param(Fault(drop=True), id="dropped connection"),
        pytest.param(Fault(hang=True), id="no answer"),
    ],
)
async def test_what_slack_does_not_take_is_tried_again_until_it_does(post: Post, fault: Fault) -> None:
    await post.open_alert()
    post.slack.fail("chat.postMessage", fault, fault)

    sent = [await post.outbox.deliver(AT + minute * timedelta(minutes=1)) for minute in range(4)]

    assert 1 == sum(sent)
    assert 1 == len(post.said())


@pytest.mark.parametrize("code", ["is_archived", "not_in_channel", "token_revoked", "missing_scope"])
async def test_what_a_person_must_mend_is_told_once_it_is_mended(
    post: Post, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="services.delivery.dispatcher")
    await post.open_alert()
    post.slack.fail("chat.postMessage", refused(code), refused(code), refused(code))

    sent = [await post.outbox.deliver(AT + minutes * LONGEST_RETRY) for minutes in range(4)]

    assert [0, 0, 0, 1] == sent
    assert ["WARNING", "INFO"] == [record.levelname for record in caplog.records]


@pytest.mark.parametrize("code", ["is_archived", "token_revoked"])
async def test_what_a_person_must_mend_is_tried_every_five_minutes(post: Post, code: str) -> None:
    await post.open_alert()
    post.slack.fail("chat.postMessage", refused(code))

    sent = [await post.outbox.deliver(at) for at in (AT, AT + LONGEST_RETRY - SECOND, AT + LONGEST_RETRY)]

    assert ([0, 0, 1], 2) == (sent, len(post.slack.calls))


async def test_a_layout_that_slack_refuses_is_tried_every_five_minutes(post: Post) -> None:
    await post.open_alert()
    post.slack.fail("chat.postMessage", refused("msg_too_long"))

    sent = [await post.outbox.deliver(at) for at in (AT, AT + LONGEST_RETRY - SECOND, AT + LONGEST_RETRY)]

    assert ([0, 0, 1], 2) == (sent, len(post.slack.calls))


@pytest.mark.parametrize("code", ["is_archived", "not_in_channel", "internal_error"])
async def test_where_nothing_gets_through_a_channel_is_tried_with_one_message(post: Post, code: str) -> None:
    await post.open_alert()
    await post.open_alert(side=Side.BELOW)
    post.slack.fail("chat.postMessage", refused(code))

    await post.outbox.deliver(AT)
    tries = len(post.slack.calls)
    sent = await post.outbox.deliver(AT + HOUR)

    assert (1, 2) == (tries, sent)


async def test_the_rest_of_a_channel_doubles_whichever_message_is_tried(post: Post) -> None:
    for side in (Side.ABOVE, Side.BELOW):
        await post.open_alert(side=side)
    post.slack.fail("chat.postMessage", *[refused("internal_error")] * 40)

    for second in range(0, 600, 5):
        await post.outbox.deliver(AT + second * SECOND)

    posts = [call for call in post.slack.calls if call.method == "chat.postMessage"]
    assert len(posts) <= 11  # after 0, 15, 15, 15, 16, 32, 64, 128 and 256 s, a quarter more or less


@pytest.mark.parametrize("code", ["msg_too_long", "invalid_arguments", "never_heard_of_it"])
async def test_a_message_that_slack_refuses_holds_up_no_other(
    post: Post, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="services.delivery.dispatcher")
    await post.open_alert()
    await post.open_alert(side=Side.BELOW)
    post.slack.fail("chat.postMessage", refused(code))

    sent = await post.outbox.deliver(AT)

    assert (1, 1) == (sent, len(post.said()))
    assert ["WARNING"] == [record.levelname for record in caplog.records]
    assert code in caplog.text


async def test_a_message_that_is_always_refused_is_given_up_and_said_so_once(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    await post.open_alert()
    post.slack.fail("chat.postMessage", *[refused("msg_too_long")] * (TRIES + 1))

    await post.try_often(AT, TRIES + 3)

    errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert TRIES == len(post.slack.calls)
    assert 1 == len(errors)
    assert "alert 1 is given up after 20 tries, it is tried again once the alert changes" in errors[0]
    assert "please report it. (msg_too_long)" in errors[0]


async def test_an_alert_that_was_given_up_is_told_once_it_changes_and_its_thread_with_it(post: Post) -> None:
    await post.open_alert()
    await post.change("it grew", EntryKind.JOINED)
    post.slack.fail("chat.postMessage", *[refused("msg_too_long")] * TRIES)
    await post.try_often(AT, TRIES)
    waiting = (await post.store.backlog(AT)).waiting

    await post.change("shorter", at=AT + HOUR)
    await post.outbox.deliver(AT + HOUR)

    root, line = post.said()
    assert 0 == waiting
    assert (None, True) == (root.get("thread_ts"), "shorter" in str(root["text"]).lower())
    assert line["thread_ts"]


async def test_a_line_that_is_always_refused_is_left_out_and_the_next_is_told(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    await post.open_alert()
    await post.outbox.deliver(AT)
    await post.change("it grew", EntryKind.JOINED, EntryKind.LEFT)
    post.slack.fail("chat.postMessage", *[refused("never_heard_of_it")] * TRIES)

    await post.try_often(AT, TRIES)

    _, line = post.said()
    assert "One rule less" in str(line["text"])
    assert "that line of its thread is left out" in caplog.text


async def test_failures_of_a_channel_do_not_count_against_its_messages(post: Post) -> None:
    await post.open_alert()
    post.slack.fail("chat.postMessage", *[refused("internal_error")] * TRIES, refused("never_heard_of_it"))

    sent = await post.try_often(AT, TRIES + 2)

    assert 1 == sent[-1]


async def test_a_message_that_only_breaks_slack_does_not_silence_its_channel(post: Post) -> None:
    await post.open_alert()
    post.slack.fail("chat.postMessage", refused("internal_error"))
    await post.outbox.deliver(AT)
    await post.open_alert(side=Side.BELOW)

    await post.outbox.deliver(AT + HOUR)

    first, then = [str(message["metadata"]) for message in post.said()]
    assert ("alert:2:" in first, "alert:1:" in then) == (True, True)


async def test_a_line_follows_its_message_that_a_person_deleted(post: Post) -> None:
    await post.open_alert()
    await post.outbox.deliver(AT)
    await post.change("it grew", EntryKind.JOINED)
    post.slack.fail("chat.update", refused("message_not_found"))

    await post.outbox.deliver(AT)

    _, anew, line = post.said()
    assert (None, True) == (anew.get("thread_ts"), "it grew" in str(anew["text"]).lower())
    assert post.slack.ts(anew) == line["thread_ts"]


async def test_a_line_whose_thread_is_gone_has_its_message_looked_at_and_follows_the_new_one(post: Post) -> None:
    await post.open_alert()
    await post.outbox.deliver(AT)
    await post.change("it grew", EntryKind.JOINED)
    post.slack.fail("chat.postMessage", refused("thread_not_found"))

    await post.outbox.deliver(AT)
    post.slack.fail("chat.update", refused("message_not_found"))
    await post.outbox.deliver(AT + LONGEST_RETRY)

    _, anew, line = post.said()
    assert anew.get("thread_ts") is None
    assert post.slack.ts(anew) == line["thread_ts"]


async def test_a_thread_that_takes_no_lines_floods_no_channel(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    await post.open_alert()
    await post.outbox.deliver(AT)
    await post.change("it grew", EntryKind.JOINED)
    post.slack.fail("chat.postMessage", *[refused("cannot_reply_to_message")] * 50)

    await post.try_often(AT, 50)

    assert 1 == len(post.said())
    assert "is left out" in caplog.text


async def test_a_message_whose_edit_window_has_closed_is_posted_anew_only_at_its_end(post: Post) -> None:
    await post.open_alert()
    await post.outbox.deliver(AT)
    post.slack.fail("chat.update", *[refused("edit_window_closed")] * 4)

    for number in range(3):
        await post.change(f"peak {number}", EntryKind.JOINED)
        await post.outbox.deliver(AT + number * HOUR)
    while_open = [message for message in post.said() if message.get("thread_ts") is None]
    await post.change("it ended", EntryKind.RESOLVED, at=AT + 3 * HOUR, closed_at=AT + 3 * HOUR)
    await post.try_often(AT + 3 * HOUR, 3)

    roots = [message for message in post.said() if message.get("thread_ts") is None]
    lines = [message for message in post.said() if message.get("thread_ts")]
    assert (1, 2, 4) == (len(while_open), len(roots), len(lines))
    assert str(roots[-1]["text"]).startswith("Resolved")


async def test_an_alert_recorded_while_its_channel_rests_waits_too(post: Post) -> None:
    await post.open_alert()
    post.slack.fail("chat.postMessage", Fault(status=429, headers={"Retry-After": "30"}))
    await post.outbox.deliver(AT)

    await post.open_alert(side=Side.BELOW)
    too_early = await post.outbox.deliver(AT + 29 * SECOND)
    wait = await post.outbox.until_due()
    in_time = await post.outbox.deliver(AT + 30 * SECOND)

    assert (0, 30 * SECOND, 2) == (too_early, wait, in_time)


async def test_a_wait_begins_with_the_answer_however_long_the_queue_before_it_took(post: Post) -> None:
    await post.open_alert()
    post.outbox = an_outbox(post.slack, post.store, SetClock(AT + HOUR))
    post.slack.fail("chat.postMessage", Fault(status=429, headers={"Retry-After": "30"}))

    await post.outbox.deliver(AT)

    assert 30 * SECOND == await post.outbox.until_due()


class SlowNotifier(SlackNotifier):
    """Takes a minute for each post, by the clock that it was given."""

    async def post(self, *told: Any, **more: Any) -> str:  # noqa: ANN401 -- as the real one has it
        assert isinstance(self._clock, SetClock)
        self._clock.advance(MINUTE)
        return await super().post(*told, **more)


class FrozenNotifier(SlackNotifier):
    """Is frozen as it begins to send, for so long that `another` takes its message over."""

    another: Outbox

    async def post(self, *told: Any, **more: Any) -> str:  # noqa: ANN401 -- as the real one has it
        await self._freeze()
        return await super().post(*told, **more)

    async def edit(self, *told: Any, **more: Any) -> None:  # noqa: ANN401 -- as the real one has it
        await self._freeze()
        await super().edit(*told, **more)

    async def _freeze(self) -> None:
        assert isinstance(self._clock, SetClock)
        self._clock.advance(LEASE)
        assert 1 == await self.another.deliver(self._clock.now())


async def test_a_silence_that_begins_while_a_queue_is_delivered_keeps_the_rest_back(post: Post) -> None:
    client, clock = AsyncWebClient(token=TOKEN, base_url=f"{post.slack.url}api/", timeout=1), SetClock(AT)
    outbox = Outbox(store=post.store, notifier=SlowNotifier(client, clock), clock=clock)
    await post.open_alert()
    await post.open_alert(side=Side.BELOW)
    silent = StoredChannel(channel=DESK, settings=ChannelSettings(), revision=0, silent_from=AT + MINUTE)
    await post.store.expect_silence(silent)

    sent = await outbox.deliver(AT)

    assert (1, 1) == (sent, len(post.said()))
    assert 1 == (await post.store.backlog(clock.now())).withheld


@pytest.mark.parametrize("standing", [False, True], ids=["a post", "an edit"])
async def test_a_process_that_is_frozen_as_it_begins_to_send_sends_nothing_once_another_has(
    post: Post, *, standing: bool
) -> None:
    await post.open_alert()
    if standing:
        await post.outbox.deliver(AT)
        await post.change("it grew")
    clock = SetClock(AT)
    async with aiohttp.ClientSession(connector=LastLookConnector(clock)) as session:
        client = AsyncWebClient(token=TOKEN, base_url=f"{post.slack.url}api/", session=session)
        notifier = FrozenNotifier(client, clock)
        notifier.another = an_outbox(post.slack, post.store, clock)

        sent = await Outbox(store=post.store, notifier=notifier, clock=clock).deliver(AT)

    assert (0, 1, int(standing)) == (sent, len(post.said()), len(post.said("chat.update")))


async def test_what_is_late_and_not_taken_over_was_surely_not_posted(post: Post) -> None:
    await post.open_alert()
    clock = SetClock(AT)
    async with aiohttp.ClientSession(connector=LastLookConnector(clock)) as session:
        client = AsyncWebClient(token=TOKEN, base_url=f"{post.slack.url}api/", session=session)
        late = Dispatcher(store=post.store, notifier=SlowNotifier(client, clock), clock=clock)
        (delivery,) = await post.store.due(AT)

        await late.attempt(delivery, AT)

    (again,) = await post.store.due(clock.now())
    assert ([], False, 0) == (post.slack.calls, again.attempting, again.attempts)


async def test_a_message_that_was_read_before_a_silence_begins_is_not_attempted_in_it(post: Post) -> None:
    await post.open_alert()
    (delivery,) = await post.store.due(AT)
    silent = StoredChannel(channel=DESK, settings=ChannelSettings(), revision=0, silent_from=AT + SECOND)
    await post.store.expect_silence(silent)

    assert await post.store.mark_attempting(delivery, AT + SECOND) is None
    assert await post.store.mark_attempting(delivery, AT) is not None


LOST = [
    pytest.param(Fault(drop=True, taken=True), id="cut off"),
    pytest.param(Fault(status=500, body="{}", taken=True), id="500 after it was taken"),
    pytest.param(Fault(body='{"ok": false, "error": "internal_error"}', taken=True), id="internal_error"),
]


@pytest.mark.parametrize("fault", LOST)
async def test_a_post_whose_answer_was_lost_is_found_and_edited_instead_of_posted_again(
    post: Post, fault: Fault
) -> None:
    post.slack.readable, post.slack.epoch = True, int(AT.timestamp())
    await post.open_alert()
    post.slack.fail("chat.postMessage", fault)

    await post.outbox.deliver(AT)
    await post.change("it grew", EntryKind.JOINED)
    too_early, later = await post.outbox.deliver(AT + SETTLES - SECOND), await post.outbox.deliver(AT + SETTLES)

    root, line = post.said()
    (edit,) = post.said("chat.update")
    assert (0, 2) == (too_early, later)
    assert post.slack.ts(root) == edit["ts"] == line["thread_ts"]
    assert "it grew" in str(edit["blocks"])


@pytest.mark.parametrize("fault", LOST)
async def test_a_line_whose_answer_was_lost_is_found_in_its_thread(post: Post, fault: Fault) -> None:
    post.slack.readable, post.slack.epoch = True, int(AT.timestamp())
    await post.open_alert()
    await post.outbox.deliver(AT)
    await post.change("it grew", EntryKind.JOINED)
    post.slack.fail("chat.postMessage", fault)

    sent = await post.try_often(AT, 3)

    assert ([1, 1, 0], 2) == (sent, len(post.said()))


async def test_a_post_that_was_surely_lost_is_posted_again(post: Post) -> None:
    post.slack.readable, post.slack.epoch = True, int(AT.timestamp())
    await post.open_alert()
    post.slack.fail("chat.postMessage", Fault(drop=True))

    sent = await post.try_often(AT, 3)

    assert ([0, 1, 0], 1) == (sent, len(post.said()))


async def test_a_look_up_that_fails_is_made_again_before_anything_is_posted(post: Post) -> None:
    post.slack.readable, post.slack.epoch = True, int(AT.timestamp())
    await post.open_alert()
    post.slack.fail("chat.postMessage", Fault(drop=True, taken=True))
    post.slack.fail(HISTORY, Fault(status=429, headers={"Retry-After": "60"}), refused("fatal_error"))

    sent = await post.try_often(AT, 5)

    assert ([0, 0, 0, 1, 0], 1) == (sent, len(post.said()))


@pytest.mark.parametrize("code", ["token_revoked", "is_archived", "not_in_channel"])
async def test_a_look_up_waits_for_what_a_post_would_wait_for_too(post: Post, code: str) -> None:
    post.slack.readable, post.slack.epoch = True, int(AT.timestamp())
    await post.open_alert()
    post.slack.fail("chat.postMessage", Fault(drop=True, taken=True))
    post.slack.fail(HISTORY, refused(code), refused(code))

    sent = [await post.outbox.deliver(AT + minutes * LONGEST_RETRY) for minutes in range(4)]

    assert ([0, 0, 0, 1], 1) == (sent, len(post.said()))


async def test_a_found_message_that_cannot_be_edited_now_is_found_again(post: Post) -> None:
    post.slack.readable, post.slack.epoch = True, int(AT.timestamp())
    await post.open_alert()
    post.slack.fail("chat.postMessage", Fault(drop=True, taken=True))
    post.slack.fail("chat.update", Fault(status=500, body="{}"))

    sent = await post.try_often(AT, 4)

    assert ([0, 0, 1, 0], 1) == (sent, len(post.said()))


async def test_the_end_of_a_sealed_alert_is_not_mistaken_for_its_beginning(post: Post) -> None:
    """The old message has the same key; it stood long before the end was first posted."""
    post.slack.readable, post.slack.epoch = True, int(AT.timestamp())
    await post.open_alert()
    await post.outbox.deliver(AT)
    await post.change("it is over", at=AT + HOUR, closed_at=AT + HOUR)
    post.slack.epoch += 3600
    post.slack.fail("chat.update", refused("edit_window_closed"))
    post.slack.fail("chat.postMessage", Fault(drop=True))

    await post.try_often(AT + HOUR, 4)

    begin, end = post.said()
    assert "it is over" in str(end["blocks"])
    assert "it is over" not in str(begin["blocks"])


async def test_where_the_channel_cannot_be_read_a_post_whose_answer_was_lost_is_sent_again(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    await post.open_alert()
    post.slack.fail("chat.postMessage", Fault(drop=True, taken=True))

    sent = await post.try_often(AT, 3)

    assert ([0, 1, 0], 2) == (sent, len(post.said()))
    assert "alert 1 is sent again and may appear twice: MinerPulse may not read what was posted there" in caplog.text


async def test_a_failing_channel_lets_the_posts_of_others_end_before_delivery_is_tried_again(post: Post) -> None:
    answer = asyncio.Event()
    await post.open_alert()
    await post.open_alert(OTHER)
    post.slack.fail("chat.postMessage", Fault(until=answer))
    failing = Failing(post.store, OTHER)
    post.outbox = an_outbox(post.slack, failing)

    first = asyncio.create_task(post.outbox.deliver(AT))
    await eventually(lambda: bool(post.slack.calls) and failing.failed)
    again = asyncio.create_task(post.outbox.deliver(AT + LEASE))
    for _ in range(50):  # more than another post would take
        await post.store.backlog(AT)
    answer.set()

    with pytest.raises(StoreError):
        await first
    with pytest.raises(StoreError):
        await again
    assert ["C1"] == [call.arguments["channel"] for call in post.slack.calls]


async def test_a_queue_in_a_slow_channel_does_not_keep_a_new_alert_of_another_waiting(post: Post) -> None:
    answers = [asyncio.Event(), asyncio.Event()]
    await post.open_alert()
    await post.open_alert(side=Side.BELOW)
    post.slack.fail("chat.postMessage", *(Fault(until=answer) for answer in answers))
    delivery = asyncio.create_task(post.outbox.deliver(AT))
    await eventually(lambda: len(post.slack.calls) == 1)

    await post.open_alert(OTHER)
    answers[0].set()
    await eventually(lambda: len(post.slack.calls) > 1)
    for _ in range(50):  # more than another post would take
        await post.store.backlog(AT)
    called = sorted(str(call.arguments["channel"]) for call in post.slack.calls)
    answers[1].set()

    assert (["C1", "C1", "C2"], 3) == (called, await delivery)


async def test_a_channel_that_meets_an_error_of_ours_does_not_cut_short_the_queues_of_others(post: Post) -> None:
    await post.open_alert(OTHER)
    for side in (Side.ABOVE, Side.BELOW):
        await post.open_alert(side=side)

    with pytest.raises(StoreError):
        await an_outbox(post.slack, Failing(post.store, OTHER)).deliver(AT)

    assert ["C1", "C1"] == [message["channel"] for message in post.said()]


async def test_what_slack_has_accepted_is_not_posted_again_where_the_store_fails_to_note_it(post: Post) -> None:
    clock = SetClock(AT)
    outbox = an_outbox(post.slack, Forgetful(post.store), clock)
    await post.open_alert()
    with pytest.raises(StoreError):
        await outbox.deliver(clock.at)

    sent = await outbox.deliver(clock.advance(LEASE))

    assert (1, 1) == (sent, len(post.said()))
    assert 0 == (await post.store.backlog(clock.at)).waiting


async def test_what_was_accepted_unnoted_is_edited_where_its_wording_has_changed_since(post: Post) -> None:
    clock = SetClock(AT)
    outbox = an_outbox(post.slack, Forgetful(post.store), clock)
    await post.open_alert()
    with pytest.raises(StoreError):
        await outbox.deliver(clock.at)
    await post.change("it grew", EntryKind.JOINED)

    await outbox.deliver(clock.advance(LEASE))

    (edit,), (root, line) = post.said("chat.update"), post.said()
    assert post.slack.ts(root) == edit["ts"] == line["thread_ts"]
    assert "it grew" in str(edit["text"]).lower()


async def test_what_was_accepted_unnoted_is_forgotten_where_another_process_has_sent_it(post: Post) -> None:
    clock = SetClock(AT)
    outbox = an_outbox(post.slack, Forgetful(post.store), clock)
    await post.open_alert()
    with pytest.raises(StoreError):
        await outbox.deliver(clock.at)
    await an_outbox(post.slack, post.store).deliver(AT + LEASE)
    await post.change("it grew", at=AT + LEASE)

    await outbox.deliver(clock.advance(LEASE))

    (edit,), (_, theirs) = post.said("chat.update"), post.said()
    assert post.slack.ts(theirs) == edit["ts"]


async def test_a_wording_that_came_during_the_last_try_of_another_is_tried_as_often_as_any(post: Post) -> None:
    await post.open_alert()
    post.slack.fail("chat.postMessage", *[refused("msg_too_long")] * (TRIES + 1))
    await post.try_often(AT, TRIES - 1)
    (delivery,) = await post.store.due(AT + TRIES * HOUR)
    await post.store.mark_attempting(delivery, AT + TRIES * HOUR)
    await post.change("shorter", at=AT + TRIES * HOUR)
    await post.store.mark_dead(delivery, "msg_too_long", AT + TRIES * HOUR)

    sent = await post.try_often(AT + TRIES * HOUR, 3)

    assert 1 == sum(sent)


async def test_two_processes_on_one_database_post_an_alert_once(slack: SlackServer, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/floor.db"
    one, other = [a_post(slack, await SqlStore.open(url)) for _ in range(2)]
    await one.open_alert()
    await one.open_alert(OTHER)
    answer = asyncio.Event()
    slack.fail("chat.postMessage", Fault(until=answer), Fault(until=answer))

    slow = asyncio.create_task(one.outbox.deliver(AT))
    await eventually(lambda: len(slack.calls) == 2)
    meanwhile = await other.outbox.deliver(AT + LEASE - SECOND)
    answer.set()

    assert (0, 2, 2) == (meanwhile, await slow, len(slack.calls))
    for each in (one, other):
        await each.store.aclose()


@pytest.mark.parametrize(
    "frozen_for",
    [
        pytest.param(LEASE - CALLS + SECOND, id="too little of its lease is left"),
        pytest.param(LEASE + SECOND, id="its lease is over"),
    ],
)
async def test_a_process_that_was_frozen_leaves_its_message_to_the_next_attempt(
    post: Post, frozen_for: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    clock, spans = SetClock(AT), iter([frozen_for])
    frozen = an_outbox(post.slack, Freezing(post.store, lambda: clock.advance(next(spans, SECOND))), clock)
    await post.open_alert()

    begun_anew = await frozen.deliver(AT)
    taken_over = await post.outbox.deliver(AT + LEASE)

    assert "alert 1 is left to the next attempt: this one took too long" in caplog.messages
    assert (1, 0, 1) == (begun_anew, taken_over, len(post.said()))


async def test_two_processes_with_much_to_tell_do_not_all_go_for_the_same(post: Post) -> None:
    channels = [Channel(team="T1", id=f"C{number}") for number in range(2 * AT_ONCE)]
    for channel in channels:
        await post.open_alert(channel)
    counting = Counting(post.store)

    sent = await asyncio.gather(*(an_outbox(post.slack, counting).deliver(AT) for _ in range(2)))

    assert (len(channels), len(channels)) == (sum(sent), len(post.said()))
    assert counting.tries < 2 * len(channels)


async def test_a_stop_lets_the_post_under_way_be_noted_and_begins_no_other(post: Post) -> None:
    answer = asyncio.Event()
    await post.open_alert()
    await post.open_alert(side=Side.BELOW)
    post.slack.fail("chat.postMessage", Fault(until=answer))
    loop = asyncio.create_task(post.outbox.run())
    await eventually(lambda: post.slack.calls != [])

    post.outbox.stop()
    answer.set()
    await loop
    stopped_at = len(post.said())
    await an_outbox(post.slack, post.store).deliver(AT + HOUR)

    assert (1, 2) == (stopped_at, len(post.said()))


async def test_a_nudge_during_a_delivery_is_followed_by_another_look(post: Post) -> None:
    looks = Looks()
    post.outbox = an_outbox(post.slack, looks)
    looks.nudge = post.outbox.nudge
    loop = asyncio.create_task(post.outbox.run())

    await eventually(lambda: looks.count > 1)

    post.outbox.stop()
    await loop


async def test_being_asked_to_wait_does_not_make_the_next_wait_longer(post: Post) -> None:
    await post.open_alert()
    waits = [Fault(status=429, headers={"Retry-After": "1"})] * 6
    post.slack.fail("chat.postMessage", *waits, Fault(status=500, body="oops", content_type="text/plain"))

    sent = [await post.outbox.deliver(AT + second * SECOND) for second in range(6 + SETTLES.seconds + 2)]

    assert 1 == sum(sent)


async def test_a_message_that_a_person_deleted_is_posted_anew(post: Post) -> None:
    await post.open_alert()
    await post.outbox.deliver(AT)
    await post.change("it grew")
    post.slack.fail("chat.update", refused("message_not_found"))

    await post.outbox.deliver(AT)

    assert 2 == len(post.said())


@pytest.mark.parametrize("taken", [False, True])
async def test_a_crash_during_the_call_posts_once_where_the_channel_can_be_read(
    slack: SlackServer, tmp_path: Path, *, taken: bool
) -> None:
    url, slack.readable, slack.epoch = f"sqlite:///{tmp_path}/floor.db", True, int(AT.timestamp())
    dying = a_post(slack, await SqlStore.open(url))
    await dying.open_alert()
    (delivery,) = await dying.store.due(AT)
    await dying.store.mark_attempting(delivery, AT)
    if taken:
        await dying.outbox.notifier.post(delivery.channel, delivery.told, key=delivery.key)

    risen = a_post(slack, await SqlStore.open(url))
    sent = await risen.outbox.deliver(AT + LEASE)

    assert (1, 1) == (sent, len(risen.said()))
    for one in (dying, risen):
        await one.store.aclose()


async def test_nothing_is_lost_by_a_crash_before_during_or_after_the_call(
    slack: SlackServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The process dies between any two commits; the next one finds what is undelivered and delivers it."""
    url = f"sqlite:///{tmp_path}/floor.db"
    dying = a_post(slack, await SqlStore.open(url))
    await dying.open_alert()
    (delivery,) = await dying.store.due(AT)
    await dying.store.mark_attempting(delivery, AT)

    risen = a_post(slack, await SqlStore.open(url))
    sent = [await risen.outbox.deliver(at) for at in (AT, AT + LEASE - SECOND, AT + LEASE)]

    assert ([0, 0, 1], 1) == (sent, len(risen.said()))
    assert "alert 1 is sent again and may appear twice" in caplog.text
    for one in (dying, risen):
        await one.store.aclose()


async def test_the_loop_delivers_when_it_is_nudged(post: Post) -> None:
    loop = asyncio.create_task(post.outbox.run())
    await post.open_alert()

    post.outbox.nudge()
    await eventually(lambda: post.said() != [])

    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop


async def test_the_loop_outlives_a_store_that_fails_and_says_so_once(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="services.delivery.outbox")
    store, post.outbox.store = post.store, Unreachable(failures=3)  # type: ignore[assignment]
    loop = asyncio.create_task(post.outbox.run())
    await eventually(lambda: nudged(post.outbox) and post.outbox.store.failures == 0)  # type: ignore[attr-defined]
    await post.open_alert()
    post.outbox.store = store

    await eventually(lambda: nudged(post.outbox) and post.said() != [])
    await eventually(lambda: nudged(post.outbox) and len(caplog.records) > 1)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)

    assert ["delivery fails; it is tried again every 0:00:30", "delivery works again"] == [
        record.message for record in caplog.records
    ]


async def test_an_alert_that_cannot_be_rendered_holds_up_no_other(post: Post) -> None:
    broken = an_alert(channel=DESK, facts=[a_fact(rule="not a rule")])
    await post.store.record([], [AlertChange(alert=broken, revision=0)], AT)
    await post.open_alert(side=Side.BELOW)
    await post.open_alert(OTHER)

    sent = [await post.outbox.deliver(AT + minute * timedelta(minutes=10)) for minute in range(2)]

    assert [2, 0] == sent
    assert {"C1", "C2"} == {message["channel"] for message in post.said()}


@dataclass(slots=True)
class Unreachable:
    """A database that cannot be reached this many times."""

    failures: int

    async def due(self, _now: object) -> list[object]:
        if self.failures:
            self.failures -= 1
            raise StoreError("the database is gone")
        return []

    async def next_due_at(self, now: datetime) -> None:
        del now


@dataclass(slots=True)
class Looks:
    """A store that is nudged about while it is looked at, and has nothing for anyone."""

    count: int = 0
    nudge: Callable[[], None] = lambda: None

    async def due(self, _now: object) -> list[object]:
        self.count += 1
        if self.count == 1:
            self.nudge()
        return []

    async def next_due_at(self, now: datetime) -> None:
        del now


@dataclass(slots=True)
class Failing:
    """A store that cannot note what becomes of one channel's messages."""

    store: SqlStore
    channel: Channel
    failed: bool = False

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> Delivery | None:
        if delivery.channel == self.channel:
            self.failed = True
            raise StoreError("the disk is full")
        return await self.store.mark_attempting(delivery, at)


@dataclass(slots=True)
class Freezing:
    """A store whose process is frozen as it has noted an attempt."""

    store: SqlStore
    freeze: Callable[[], object]

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> Delivery | None:
        leased = await self.store.mark_attempting(delivery, at)
        self.freeze()
        return leased


@dataclass(slots=True)
class Counting:
    """A store that counts how often a message is gone for."""

    store: SqlStore
    tries: int = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> Delivery | None:
        self.tries += 1
        return await self.store.mark_attempting(delivery, at)


@dataclass(slots=True)
class Forgetful:
    """A store that fails to note the first message that was sent."""

    store: SqlStore
    failed: bool = False

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    async def mark_sent(self, delivery: Delivery, message_id: str, at: datetime) -> None:
        if not self.failed:
            self.failed = True
            raise StoreError("the database is locked")
        await self.store.mark_sent(delivery, message_id, at)


def nudged(outbox: Outbox) -> bool:
    outbox.nudge()
    return True


async def eventually(condition: Callable[[], bool]) -> None:
    """Let everything else run until the condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- what is waited for has no event of its own
            await asyncio.sleep(0)


async def test_an_attempt_is_noted_before_the_call(post: Post) -> None:
    answer = asyncio.Event()
    await post.open_alert()
    post.slack.fail("chat.postMessage", Fault(until=answer))

    sending = asyncio.create_task(post.outbox.deliver(AT))
    await eventually(lambda: post.slack.calls != [])
    seen = [delivery.attempting for delivery in await post.store.due(AT + LEASE)]
    answer.set()
    await sending

    assert [True] == seen


async def test_the_loop_wakes_by_itself_when_a_retry_is_due(post: Post) -> None:
    await post.open_alert()
    post.slack.fail("chat.postMessage", Fault(status=429, headers={"Retry-After": "7"}))
    await post.outbox.deliver(AT)

    assert timedelta(seconds=7) == await post.outbox.until_due()
    await post.outbox.deliver(AT + 7 * SECOND)
    assert IDLE == await post.outbox.until_due()


def test_waits_double_to_five_minutes_and_are_spread_by_key() -> None:
    waits = [backoff("one", failures) for failures in range(12)]

    assert sorted(waits[:7]) == waits[:7]
    assert max(waits) <= 1.25 * LONGEST_RETRY
    assert backoff("one", 0) != backoff("another", 0)


async def test_what_a_person_must_mend_is_told_until_it_is_mended(post: Post) -> None:
    await post.open_alert()
    post.slack.fail("chat.postMessage", refused("is_archived"))
    await post.outbox.deliver(AT)
    (trouble,) = await post.store.troubles("T1")
    (posting,) = (await post.store.receipt(DESK, 1)).postings

    await post.outbox.deliver(AT + HOUR)

    assert (DESK, 1, AT, False) == (trouble.channel, trouble.messages, trouble.since, trouble.given_up)
    assert trouble.problem.startswith("The channel is archived: unarchive it")
    assert trouble.problem == posting.stuck
    assert [] == await post.store.troubles()

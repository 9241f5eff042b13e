import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from handlers.delivery import SlackNotifier
from services.domain.episode import Alert, Channel, EntryKind
from services.domain.errors import StoreError
from services.outbox import IDLE, LONGEST_RETRY, Outbox, backoff
from services.ports import AlertChange
from services.store import SqlStore
from tests.fakes.alerts import AT, DESK, a_fact, an_alert, an_entry
from tests.fakes.clock import SetClock
from tests.fakes.slack import TOKEN, Fault, SlackServer, refused, serving

SECOND = timedelta(seconds=1)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


@dataclass(slots=True)
class Post:
    """The outbox between a store and Slack."""

    slack: SlackServer
    store: SqlStore
    outbox: Outbox

    async def open_alert(self, channel: Channel = DESK) -> None:
        fired = an_entry(silent=True)
        await self.store.record([], [AlertChange(alert=an_alert(channel=channel), revision=0, entries=(fired,))], AT)

    async def change(self, reason: str, *kinds: EntryKind) -> None:
        """Give the one open alert another wording, and lines in its thread."""
        (stored,) = await self.store.open_alerts(DESK)
        entries = tuple(an_entry(kind=kind, reason=reason) for kind in kinds)
        alert = replace(stored.alert, reason=reason)
        await self.store.record([], [AlertChange(alert=alert, revision=stored.revision, entries=entries)], AT)

    def said(self, method: str = "chat.postMessage") -> list[dict[str, object]]:
        return self.slack.said(method)


@pytest.fixture
async def slack(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SlackServer]:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    async with serving() as server:
        yield server


def a_post(slack: SlackServer, store: SqlStore) -> Post:
    client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/", timeout=1)
    clock = SetClock(AT)
    return Post(slack, store, Outbox(store=store, notifier=SlackNotifier(client, clock), clock=clock))


@pytest.fixture
async def post(slack: SlackServer) -> AsyncIterator[Post]:
    store = await SqlStore.open("sqlite://")
    yield a_post(slack, store)
    await store.aclose()


async def test_an_alert_is_posted_once_with_its_key(post: Post) -> None:
    await post.open_alert()

    sent = [await post.outbox.deliver(AT), await post.outbox.deliver(AT)]

    (message,) = post.said()
    assert [1, 0] == sent
    assert "C1" == message["channel"]
    assert "alert:1:" in str(message["metadata"])


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
    await post.open_alert(Channel(team="T1", id="C2"))
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
    caplog.set_level(logging.INFO, logger="services.outbox")
    await post.open_alert()
    post.slack.fail("chat.postMessage", refused(code), refused(code), refused(code))

    sent = [await post.outbox.deliver(AT + minutes * LONGEST_RETRY) for minutes in range(4)]

    assert [0, 0, 0, 1] == sent
    assert ["WARNING", "INFO"] == [record.levelname for record in caplog.records]


async def test_a_line_for_a_thread_that_is_gone_is_given_up(post: Post) -> None:
    await post.open_alert()
    await post.outbox.deliver(AT)
    await post.change("it grew", EntryKind.JOINED)
    post.slack.fail("chat.postMessage", refused("thread_not_found"))

    sent = [await post.outbox.deliver(AT + minutes * LONGEST_RETRY) for minutes in range(2)]

    assert [1, 0] == [len(post.said("chat.update")), sent[1]]
    assert 1 == len(post.said())


async def test_being_asked_to_wait_does_not_make_the_next_wait_longer(post: Post) -> None:
    await post.open_alert()
    waits = [Fault(status=429, headers={"Retry-After": "1"})] * 6
    post.slack.fail("chat.postMessage", *waits, Fault(status=500, body="oops", content_type="text/plain"))

    sent = [await post.outbox.deliver(AT + second * SECOND) for second in range(11)]

    assert 1 == sum(sent)


async def test_a_message_that_a_person_deleted_is_posted_anew(post: Post) -> None:
    await post.open_alert()
    await post.outbox.deliver(AT)
    await post.change("it grew")
    post.slack.fail("chat.update", refused("message_not_found"))

    await post.outbox.deliver(AT)

    assert 2 == len(post.said())


async def test_nothing_is_lost_by_a_crash_before_during_or_after_the_call(slack: SlackServer, tmp_path: Path) -> None:
    """The process dies between any two commits; the next one finds what is undelivered and delivers it."""
    url = f"sqlite:///{tmp_path}/floor.db"
    dying = a_post(slack, await SqlStore.open(url))
    await dying.open_alert()
    (delivery,) = await dying.store.due(AT)
    await dying.store.mark_attempting(delivery, AT)

    risen = a_post(slack, await SqlStore.open(url))
    sent = await risen.outbox.deliver(AT)

    assert (1, 1) == (sent, len(risen.said()))
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
    caplog.set_level(logging.INFO, logger="services.outbox")
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


async def test_an_alert_that_cannot_be_rendered_holds_up_no_other_channel(post: Post) -> None:
    broken = an_alert(channel=DESK, facts=[a_fact(rule="not a rule")])
    await post.store.record([], [AlertChange(alert=broken, revision=0)], AT)
    await post.open_alert(Channel(team="T1", id="C2"))

    sent = [await post.outbox.deliver(AT + minute * timedelta(minutes=10)) for minute in range(2)]

    assert [1, 0] == sent
    assert ["C2"] == [message["channel"] for message in post.said()]


@dataclass(slots=True)
class Unreachable:
    """A database that cannot be reached this many times."""

    failures: int

    async def due(self, _now: object) -> list[object]:
        if self.failures:
            self.failures -= 1
            raise StoreError("the database is gone")
        return []

    async def next_due_at(self) -> None:
        return None


def nudged(outbox: Outbox) -> bool:
    outbox.nudge()
    return True


async def eventually(condition: Callable[[], bool]) -> None:
    """Let everything else run until the condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- what is waited for has no event of its own
            await asyncio.sleep(0)


async def test_an_attempt_is_noted_before_the_call(post: Post) -> None:
    await post.open_alert()
    seen: list[bool] = []

    class Watching(SlackNotifier):
        async def post(self, alert: Alert, *, key: str) -> str:
            seen.extend(delivery.attempting for delivery in await post.store.due(AT))
            return await super().post(alert, key=key)

    client = AsyncWebClient(token=TOKEN, base_url=f"{post.slack.url}api/", timeout=1)
    post.outbox.notifier = Watching(client, post.outbox.clock)
    await post.outbox.deliver(AT)

    assert [True] == seen


async def test_the_loop_wakes_by_itself_when_a_retry_is_due(post: Post) -> None:
    await post.open_alert()
    post.slack.fail("chat.postMessage", Fault(status=429, headers={"Retry-After": "7"}))
    await post.outbox.deliver(AT)

    assert timedelta(seconds=7) == await post.outbox.until_due()
    await post.outbox.deliver(AT + 7 * SECOND)
    assert IDLE == await post.outbox.until_due()


async def test_waits_double_to_five_minutes_and_are_spread_by_key(post: Post) -> None:
    await post.open_alert()
    (first,) = await post.store.due(AT)

    waits = [backoff(replace(first, attempts=attempts)) for attempts in range(12)]

    assert sorted(waits[:7]) == waits[:7]
    assert max(waits) <= 1.25 * LONGEST_RETRY
    assert backoff(first) != backoff(replace(first, key="another"))

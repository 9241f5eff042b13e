import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from services.alerting.notice import PageFailed
from services.core.errors import ChannelSettingError
from services.delivery.page_dispatcher import PageDispatcher
from services.delivery.ports import NoticeMessage
from tests.fakes.harness import CHANNEL, OPEN, OTHER_CHANNEL, Harness, open_harness
from tests.fakes.sinks import (
    ROUTING_KEY,
    WEBHOOK_SECRET,
    Receiver,
    dispatcher,
    open_receiver,
    pagerduty,
    sink_book,
    webhook,
)

LATER = OPEN + timedelta(minutes=30)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with open_harness() as harness:
        yield harness


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as receiver:
        yield receiver


async def page_channel(harness: Harness, setting: str) -> None:
    await harness.commands.settings.set(CHANNEL, setting, "U1", lambda _name: None)


async def fire(harness: Harness) -> int:
    """Open an alert and return its number."""
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(LATER, 0.10)
    (alert,) = await harness.open_alerts(CHANNEL)
    return alert.id


async def notices(harness: Harness) -> list[PageFailed]:
    """Return the notices of failed pages, after everything in the channel was delivered."""
    found, now = list[PageFailed](), harness.clock.at
    while due := await harness.store.due(now):
        for one in due:
            if isinstance(one.message, NoticeMessage) and isinstance(one.message.notice.content, PageFailed):
                found.append(one.message.notice.content)
            await harness.store.mark_sent(one, f"{one.id}", now)
    return found


async def test_pagerduty_follows_a_whole_alert(harness: Harness, receiver: Receiver) -> None:
    pages = dispatcher(harness, pagerduty(receiver))
    await page_channel(harness, "page desk severity critical")
    alert = await fire(harness)
    await pages.deliver()
    await harness.commands.acknowledge(CHANNEL, alert, "U2")
    await pages.deliver()
    await harness.commands.unacknowledge(CHANNEL, alert, "U2")
    await pages.deliver()
    await harness.tick(LATER + 5 * MINUTE, 0.01)
    await pages.deliver()

    assert ["trigger", "acknowledge", "trigger", "resolve"] == receiver.actions
    opened_at = (await harness.commands.alert(CHANNEL, alert)).opened_at
    key = f"minerpulse/T1/alert/{alert}/{opened_at.timestamp():.0f}"
    assert {(ROUTING_KEY, key)} == {
        (one.document["routing_key"], one.document["dedup_key"]) for one in receiver.requests
    }
    payload = receiver.requests[0].document["payload"]
    assert "WGMI 10.0 pp ahead of BTC over 1 session (rule 1d 8pp for 0s)" == payload["summary"]
    assert "critical" == payload["severity"]
    assert "+10.0% to $22.00" == payload["custom_details"]["WGMI"]


async def test_a_webhook_shows_every_change_with_a_valid_signature(harness: Harness, receiver: Receiver) -> None:
    pages = dispatcher(harness, webhook(receiver))
    await page_channel(harness, "page bus")
    alert = await fire(harness)
    await pages.deliver()
    await harness.tick(LATER + 5 * MINUTE, 0.17)
    await pages.deliver()
    await harness.commands.acknowledge(CHANNEL, alert, "U2")
    await pages.deliver()
    await harness.commands.resolve(CHANNEL, alert, "U2", "")
    await pages.deliver()

    assert ["alert.fired", "alert.changed", "alert.acknowledged", "alert.resolved"] == receiver.types
    versions = [one.document["data"]["alert"]["version"] for one in receiver.requests]
    assert sorted(set(versions)) == versions
    oracle = Webhook(WEBHOOK_SECRET)
    for one in receiver.requests:
        assert f"alert_{alert}_v{one.document['data']['alert']['version']}_bus" == one.headers["webhook-id"]
        verify(oracle, one.body, one.headers)
        with pytest.raises(WebhookVerificationError):
            verify(oracle, one.body.replace(b"WGMI", b"WGMX"), one.headers)


def verify(oracle: Webhook, body: bytes, headers: dict[str, str]) -> None:
    """Verify as a receiver does, whose clock is the test's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oracle, "_Webhook__verify_timestamp", lambda stamp: datetime.fromtimestamp(int(stamp), UTC))
        oracle.verify(body, headers)


async def test_a_page_that_is_refused_for_now_is_sent_again(harness: Harness, receiver: Receiver) -> None:
    pages = dispatcher(harness, pagerduty(receiver))
    await page_channel(harness, "page desk")
    await fire(harness)
    receiver.answers, receiver.headers = [429, 503, None], {"Retry-After": "90"}
    await pages.deliver()
    assert [] == await harness.store.due_pages(harness.clock.at + timedelta(seconds=89))
    for _ in range(3):
        harness.clock.at += 10 * MINUTE
        await pages.deliver()
    harness.clock.at += 10 * MINUTE
    await pages.deliver()
    assert ["trigger"] * 4 == receiver.actions
    assert 1 == len({one.document["dedup_key"] for one in receiver.requests})
    assert [] == await harness.store.due_pages(harness.clock.at + HOUR)


async def test_an_alert_that_ends_before_it_was_paged_pages_nobody(harness: Harness, receiver: Receiver) -> None:
    pages = dispatcher(harness, pagerduty(receiver))
    await page_channel(harness, "page desk")
    alert = await fire(harness)
    await harness.commands.resolve(CHANNEL, alert, "U2", "")
    await pages.deliver()
    assert [] == receiver.requests


async def test_after_an_unclear_opening_the_end_is_always_sent_and_nothing_after_it(
    harness: Harness, receiver: Receiver
) -> None:
    pages = dispatcher(harness, pagerduty(receiver))
    await page_channel(harness, "page desk")
    alert = await fire(harness)
    receiver.answers = [None]
    await pages.deliver()
    await harness.commands.resolve(CHANNEL, alert, "U2", "")
    harness.clock.at += 10 * MINUTE
    receiver.answers = [None]
    await pages.deliver()
    harness.clock.at += 10 * MINUTE
    await pages.deliver()
    assert ["trigger", "resolve", "resolve"] == receiver.actions


async def test_a_page_that_is_hours_late_is_dead_lettered_with_a_notice_and_its_end_too(
    harness: Harness, receiver: Receiver
) -> None:
    pages = dispatcher(harness, pagerduty(receiver))
    await page_channel(harness, "page desk")
    await fire(harness)
    receiver.answers = [503] * 100
    await pages.deliver()
    harness.clock.at += timedelta(hours=6, minutes=1)
    before = len(receiver.requests)
    await pages.deliver()
    assert before == len(receiver.requests)
    (failed,) = await notices(harness)
    assert ("desk", False) == (failed.sink, failed.ended)


async def test_the_end_of_a_page_is_tried_for_a_day_and_then_given_up_with_a_notice(
    harness: Harness, receiver: Receiver
) -> None:
    pages = dispatcher(harness, pagerduty(receiver))
    await page_channel(harness, "page desk")
    alert = await fire(harness)
    await pages.deliver()
    await harness.commands.resolve(CHANNEL, alert, "U2", "")
    receiver.answers = [503] * 1_000
    for _ in range(2):
        harness.clock.at += 11 * HOUR + 55 * MINUTE
        await pages.deliver()
    tried, silent = len(receiver.requests), await notices(harness)
    harness.clock.at += HOUR
    await pages.deliver()
    (failed,) = await notices(harness)
    harness.clock.at += HOUR
    await pages.deliver()

    assert ["trigger", "resolve", "resolve"] == receiver.actions
    assert (3, []) == (tried, silent)
    assert ("desk", True) == (failed.sink, failed.ended)


async def test_a_hanging_sink_delays_no_other_one(harness: Harness, receiver: Receiver) -> None:
    async with open_receiver() as slow:
        slow.hang = asyncio.Event()
        pages = dispatcher(harness, pagerduty(slow), webhook(receiver))
        await page_channel(harness, "page desk")
        await page_channel(harness, "page bus")
        await fire(harness)
        running = asyncio.create_task(pages.run())
        await asyncio.gather(receiver.arrived.wait(), slow.arrived.wait())
        slow.hang.set()
        pages.stop()
        await running
    assert ["alert.fired"] == receiver.types


async def test_a_sink_that_refuses_its_key_is_held_until_it_is_fixed(harness: Harness, receiver: Receiver) -> None:
    pages = dispatcher(harness, pagerduty(receiver))
    await page_channel(harness, "page desk")
    await fire(harness)
    receiver.answers = [403]
    await pages.deliver()
    assert [] == await harness.store.due_pages(harness.clock.at + timedelta(seconds=30))
    harness.clock.at += 10 * MINUTE
    await pages.deliver()
    assert ["trigger", "trigger"] == receiver.actions


async def test_a_page_that_the_sink_refuses_as_such_is_told_to_the_channel(
    harness: Harness, receiver: Receiver
) -> None:
    pages = dispatcher(harness, pagerduty(receiver))
    await page_channel(harness, "page desk")
    await fire(harness)
    receiver.answers = [400]
    await pages.deliver()
    (failed,) = await notices(harness)
    assert "rejected this page" in failed.problem
    assert [] == await harness.store.due_pages(harness.clock.at + HOUR)


async def test_a_crash_after_an_attempt_repeats_it_with_the_same_key(harness: Harness, receiver: Receiver) -> None:
    pages = dispatcher(harness, pagerduty(receiver))
    await page_channel(harness, "page desk")
    await fire(harness)
    (due,) = await harness.store.due_pages(harness.clock.at)
    leased = await harness.store.lease_page(due, harness.clock.at)
    assert leased is not None
    assert [] == await harness.store.due_pages(harness.clock.at)  # another process may be at it
    harness.clock.at += 2 * MINUTE
    await pages.deliver()
    assert ["trigger"] == receiver.actions


async def test_after_a_crash_during_the_opening_the_end_is_sent(harness: Harness, receiver: Receiver) -> None:
    pages = dispatcher(harness, pagerduty(receiver))
    await page_channel(harness, "page desk")
    alert = await fire(harness)
    (due,) = await harness.store.due_pages(harness.clock.at)
    assert await harness.store.lease_page(due, harness.clock.at) is not None  # and the process dies
    await harness.commands.resolve(CHANNEL, alert, "U2", "")
    harness.clock.at += 2 * MINUTE
    await pages.deliver()
    assert ["resolve"] == receiver.actions


async def test_a_change_of_the_key_ends_what_the_old_one_opened(harness: Harness, receiver: Receiver) -> None:
    pages = dispatcher(harness, pagerduty(receiver))
    await page_channel(harness, "page desk")
    alert = await fire(harness)
    await pages.deliver()
    changed = PageDispatcher(
        store=harness.store, sinks=sink_book(harness.clock, pagerduty(receiver, "f" * 32)), clock=harness.clock
    )
    await harness.commands.resolve(CHANNEL, alert, "U2", "")
    await changed.deliver()
    assert ["trigger"] == receiver.actions  # never with another key, at which the alert is unknown
    (failed,) = await notices(harness)
    assert failed.ended


async def test_quiet_hours_hold_pages_unless_the_route_says_always(harness: Harness, receiver: Receiver) -> None:
    pages = dispatcher(harness, pagerduty(receiver), webhook(receiver))
    await page_channel(harness, "page desk always")
    await page_channel(harness, "page bus")
    await harness.commands.settings.mute(CHANNEL, "2h", "U1")
    await fire(harness)
    await pages.deliver()
    assert ["/v2/enqueue"] == [one.path for one in receiver.requests]


async def test_a_route_pages_for_its_rule_alone(harness: Harness, receiver: Receiver) -> None:
    pages = dispatcher(harness, pagerduty(receiver))
    await page_channel(harness, "page desk for 99")
    await fire(harness)
    await pages.deliver()
    assert [] == receiver.requests


async def test_a_route_that_is_turned_off_still_ends_what_it_opened_and_opens_nothing_more(
    harness: Harness, receiver: Receiver
) -> None:
    pages = dispatcher(harness, pagerduty(receiver))
    await page_channel(harness, "page desk")
    alert = await fire(harness)
    await pages.deliver()
    await page_channel(harness, "page off desk")
    await harness.commands.resolve(CHANNEL, alert, "U2", "")
    await pages.deliver()
    assert ["trigger", "resolve"] == receiver.actions


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("page nobody", "There is no sink “nobody”, so nothing was changed. Sinks: desk."),
        ("page desk severity loud", "Which severity? Use critical, error, warning, info"),
        ("page desk whenever", "Couldn't read “whenever”"),
        ("page off desk", "this channel doesn't page “desk”"),
    ],
)
async def test_a_route_that_cannot_be_set_says_what_to_do(
    harness: Harness, receiver: Receiver, setting: str, expected: str
) -> None:
    dispatcher(harness, pagerduty(receiver))
    with pytest.raises(ChannelSettingError, match=expected.replace("?", r"\?")):
        await page_channel(harness, setting)


async def test_a_test_page_is_opened_and_resolved(harness: Harness, receiver: Receiver) -> None:
    dispatcher(harness, pagerduty(receiver), webhook(receiver))
    await harness.commands.settings.test_page(CHANNEL, "desk", "U1")
    await harness.commands.settings.test_page(OTHER_CHANNEL, "bus", "U1")
    first, second, third = receiver.requests
    assert ["trigger", "resolve"] == [first.document["event_action"], second.document["event_action"]]
    assert first.document["payload"]["summary"].startswith("TEST: ")
    assert "sink.test" == third.document["type"]

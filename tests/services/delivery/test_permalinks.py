"""Permalinks of alerts' messages: looked up after the post, stored, and never part of a delivery."""

import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from handlers.slack_notifier import SlackNotifier
from services.core.errors import DatabaseUnavailableError
from services.delivery.outbox import Outbox
from services.delivery.permalinks import RETRY_AFTER, Permalinks
from services.delivery.ports import AlertMessage
from tests.fakes.harness import CHANNEL, OPEN, Harness, open_harness
from tests.fakes.slack import PERMALINK, TOKEN, UPDATE, FakeSlack, Fault, error_response

LATER = OPEN + timedelta(minutes=30)


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with open_harness() as harness:
        yield harness


@pytest.fixture
def notifier(slack: FakeSlack, harness: Harness) -> SlackNotifier:
    return SlackNotifier(AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/"), harness.clock)


@pytest.fixture
def outbox(notifier: SlackNotifier, harness: Harness) -> Outbox:
    return Outbox(store=harness.store, notifier=notifier, clock=harness.clock)


@pytest.fixture
def permalinks(notifier: SlackNotifier, harness: Harness) -> Permalinks:
    return Permalinks(store=harness.store, source=notifier, clock=harness.clock)


async def fires(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(LATER, 0.1)


async def stored_link(harness: Harness) -> str:
    return (await harness.store.alert(CHANNEL, 1)).alert.permalink


async def test_the_permalink_of_a_posted_alert_is_looked_up_once(
    slack: FakeSlack, harness: Harness, outbox: Outbox, permalinks: Permalinks
) -> None:
    await fires(harness)
    await permalinks.run()
    assert [] == slack.calls_of(PERMALINK)

    await outbox.deliver(LATER)
    await permalinks.run()
    await permalinks.run()

    post = slack.messages["C1"][0]
    link = f"https://desk.slack.com/archives/C1/p{post.ts.replace('.', '')}"
    assert [("C1", post.ts)] == [
        (call.arguments["channel"], call.arguments["message_ts"]) for call in slack.calls_of(PERMALINK)
    ]
    assert link == await stored_link(harness)
    assert [link] == [alert.permalink for alert in await harness.open_alerts(CHANNEL)]
    assert [] == await harness.store.due(LATER)


async def test_a_changed_alert_keeps_its_permalink(harness: Harness, outbox: Outbox, permalinks: Permalinks) -> None:
    await fires(harness)
    await outbox.deliver(LATER)
    await permalinks.run()
    link = await stored_link(harness)

    await harness.commands.acknowledge(CHANNEL, 1, "U1")
    (delivery,) = [one for one in await harness.store.due(LATER) if one.message_id]

    assert isinstance(delivery.message, AlertMessage)
    assert link == delivery.message.alert.permalink != ""
    assert link == await stored_link(harness)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(error_response("message_not_found"), id="not found"),
        pytest.param(error_response("ratelimited", status=429), id="rate limit"),
        pytest.param(Fault(status=500), id="outage"),
        pytest.param(Fault(body='{"ok": true}'), id="no address"),
        pytest.param(Fault(body='{"ok": true, "permalink": "https://a.example/|<!channel>"}'), id="odd address"),
    ],
)
async def test_a_failed_look_up_leaves_it_empty_and_is_retried_after_an_hour(
    slack: FakeSlack, harness: Harness, outbox: Outbox, permalinks: Permalinks, fault: Fault
) -> None:
    await fires(harness)
    await outbox.deliver(LATER)
    delivered = [call.method for call in slack.calls]
    slack.fail(PERMALINK, fault)
    await permalinks.run()
    await permalinks.run()
    assert ("", 1) == (await stored_link(harness), len(slack.calls_of(PERMALINK)))

    harness.clock.at += RETRY_AFTER
    await permalinks.run()
    assert (True, 2) == (bool(await stored_link(harness)), len(slack.calls_of(PERMALINK)))
    assert [0, 0] == [await outbox.deliver(harness.clock.at), len(slack.calls_of(UPDATE))]
    assert [*delivered, PERMALINK, PERMALINK] == [call.method for call in slack.calls]


async def test_a_message_that_is_posted_again_gets_a_new_permalink(
    slack: FakeSlack, harness: Harness, outbox: Outbox, permalinks: Permalinks
) -> None:
    await fires(harness)
    await outbox.deliver(LATER)
    await permalinks.run()
    before = await stored_link(harness)
    slack.messages["C1"][0].deleted = True
    await harness.commands.acknowledge(CHANNEL, 1, "U1")
    await outbox.deliver(LATER)
    assert "" == await stored_link(harness)

    await permalinks.run()
    assert {"", before} & {await stored_link(harness)} == set()


async def test_an_answer_about_a_message_that_was_posted_again_since_is_dropped(
    slack: FakeSlack, harness: Harness, outbox: Outbox
) -> None:
    await fires(harness)
    await outbox.deliver(LATER)
    (late,) = await harness.store.messages_without_permalink((), 1)
    slack.messages["C1"][0].deleted = True
    await harness.commands.acknowledge(CHANNEL, 1, "U1")
    await outbox.deliver(LATER)

    await harness.store.save_permalink(late, "https://desk.slack.com/archives/C1/p1")
    assert "" == await stored_link(harness)


async def test_without_the_database_the_look_up_waits(
    harness: Harness, permalinks: Permalinks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_arguments: object) -> None:
        raise DatabaseUnavailableError("The database cannot be reached.")

    monkeypatch.setattr(harness.store, "messages_without_permalink", fail)
    with caplog.at_level(logging.INFO):
        await permalinks.run()

    assert "permalinks are delayed until the database can be reached" in caplog.text

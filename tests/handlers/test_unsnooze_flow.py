from datetime import timedelta

import pytest

from handlers.render.markup import plain
from services.alerting.alert import Alert
from services.delivery.outbox import Outbox
from tests.fakes.harness import CHANNEL, OPEN, Harness
from tests.fakes.slack import FakeSlack, Person
from tests.handlers.conftest import reply_to

POST, UPDATE = "chat.postMessage", "chat.update"
BEGIN = OPEN + timedelta(minutes=30)


@pytest.fixture
async def alert(harness: Harness, outbox: Outbox) -> Alert:
    """An open alert that is snoozed for two hours, with everything delivered."""
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(BEGIN, 0.09)
    (alert,) = await harness.open_alerts(CHANNEL)
    await harness.commands.snooze(CHANNEL, alert.id, "U1", timedelta(hours=2))
    await outbox.deliver(harness.clock.at)
    return alert


async def is_snoozed(harness: Harness, alert: Alert) -> bool:
    return (await harness.commands.alert(CHANNEL, alert.id)).is_snoozed(harness.clock.at)


async def test_unsnooze_ends_the_snooze_and_says_so_in_the_thread(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert, outbox: Outbox
) -> None:
    await person.presses("unsnooze", str(alert.id))
    await outbox.deliver(harness.clock.at)

    edited, reply = slack.arguments_of(UPDATE)[-1], slack.arguments_of(POST)[-1]
    assert [] == slack.responses
    assert (True, False) == ("'snooze'" in str(edited["blocks"]), "'unsnooze'" in str(edited["blocks"]))
    assert edited["ts"] == reply["thread_ts"]
    assert "Snooze ended by <@U1>." in reply["text"]
    assert "– Snooze ended by <@U1>\n" in await reply_to(person, "why")


@pytest.mark.parametrize("typed", ["unsnooze", "unsnooze 1", "unsnooze #1", "snooze off", "snooze 1 off", "snooze OFF"])
async def test_a_snooze_is_ended_by_a_command(person: Person, harness: Harness, alert: Alert, typed: str) -> None:
    answer = await reply_to(person, typed)

    assert answer.startswith(f"Snooze ended: alert #{alert.id}, WGMI")
    assert not await is_snoozed(harness, alert)


async def test_without_a_number_the_only_snoozed_alert_is_meant(person: Person, harness: Harness, alert: Alert) -> None:
    await harness.commands.start_drill(CHANNEL, "U1")
    assert 2 == len(await harness.open_alerts(CHANNEL))

    await person.types("unsnooze")

    assert not await is_snoozed(harness, alert)


async def test_several_snoozed_alerts_are_listed(person: Person, harness: Harness, alert: Alert) -> None:
    test = (await harness.commands.start_drill(CHANNEL, "U1")).alert
    assert test is not None
    await harness.commands.snooze(CHANNEL, test.id, "U1", timedelta(hours=1))

    answer = await reply_to(person, "unsnooze")

    assert f"Several alerts are snoozed here; add the number of one: {alert.id} (WGMI" in answer
    assert f"{test.id} (Test alert · WGMI" in answer
    assert await is_snoozed(harness, alert)


async def test_there_is_nothing_to_end_without_a_snooze(person: Person, harness: Harness, alert: Alert) -> None:
    await person.types("unsnooze")
    without = await reply_to(person, "unsnooze")
    named = await reply_to(person, f"unsnooze {alert.id}")
    pressed = await _pressed(person, alert)
    await harness.commands.resolve(CHANNEL, alert.id, "U1", "")
    closed = await _pressed(person, alert)

    assert "No alert is snoozed in this channel." == without.partition("\n")[0]
    assert named == pressed
    assert f"Alert {alert.id} isn't snoozed. Nothing was changed." == named.partition("\n")[0]
    assert "nothing was changed" in plain(closed).lower()


async def _pressed(person: Person, alert: Alert) -> str:
    await person.presses("unsnooze", str(alert.id))
    return str(person.server.responses[-1]["shown"])


async def test_an_unclear_argument_is_asked_about(person: Person, harness: Harness, alert: Alert) -> None:
    response = await person.types("unsnooze please")

    assert "Which alert? Type its number" in response.body
    assert await is_snoozed(harness, alert)

from dataclasses import replace
from datetime import timedelta

import pytest

from services.alerting.alert import Alert
from services.delivery.outbox import Outbox
from tests.fakes.blockkit import view_problems
from tests.fakes.harness import CHANNEL, OPEN, Harness
from tests.fakes.slack import FakeSlack, Person, error_response

POST, UPDATE, OPEN_VIEW = "chat.postMessage", "chat.update", "views.open"
LATER = OPEN + timedelta(minutes=30)


@pytest.fixture
async def alert(harness: Harness, outbox: Outbox) -> Alert:
    """An open alert of the channel, posted."""
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await harness.ticks(LATER, [0.09, 0.10])
    await outbox.deliver(harness.clock.at)
    (alert,) = await harness.open_alerts(CHANNEL)
    return alert


async def test_details_shows_everything_about_the_alert_in_a_modal(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert
) -> None:
    await harness.commands.acknowledge(CHANNEL, alert.id, "U2")
    await person.presses("details", str(alert.id))
    (opened,) = slack.arguments_of(OPEN_VIEW)
    view = opened["view"]
    assert [] == view_problems(view)
    text = "\n".join(block["text"]["text"] for block in view["blocks"] if block["type"] == "section")
    assert f"Alert #{alert.id}" == view["title"]["text"]
    for part in ("*Acknowledged: WGMI", "Spread *+", "*Rule 1* `1d 8pp` at", "Data OK", "*Timeline*", "*Audit log*"):
        assert part in text
    assert "– Fired: +" in text
    assert "– Acknowledged by <@U2>" in text
    assert "1 of 3 messages delivered, 2 pending, 0 failed" in text
    assert [] == slack.responses


async def test_a_form_resolves_the_alert_with_a_reason(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert, outbox: Outbox
) -> None:
    await person.chooses("more", f"resolve:{alert.id}")
    (opened,) = slack.arguments_of(OPEN_VIEW)
    assert [] == view_problems(opened["view"])
    await person.submits({**opened["view"], "id": "V1"}, {"reason": "index rebalance <!channel>"})
    await outbox.deliver(harness.clock.at)

    assert [] == await harness.open_alerts(CHANNEL)
    (edited,) = slack.arguments_of(UPDATE)
    assert "Resolved by <@U1>: index rebalance @channel" in edited["shown"]
    assert "*Resolved by <@U1>*: index rebalance @channel. WGMI" in slack.arguments_of(POST)[-2]["shown"]


async def test_the_form_of_an_alert_that_has_ended_since_changes_nothing(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert
) -> None:
    await person.chooses("more", f"resolve:{alert.id}")
    (opened,) = slack.arguments_of(OPEN_VIEW)
    await harness.commands.resolve(CHANNEL, alert.id, "U2", "mine")
    await person.submits({**opened["view"], "id": "V1"}, {"reason": "yours"})
    assert "Nothing was changed." in slack.responses[-1]["shown"]
    assert "U2" == (await harness.commands.alert(CHANNEL, alert.id)).closed_by


async def test_resolving_before_the_clear_level_needs_an_editor(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert
) -> None:
    await replace(person, user="U9").types("channel editors <@U9>")
    await person.chooses("more", f"resolve:{alert.id}")
    (opened,) = slack.arguments_of(OPEN_VIEW)
    await person.submits({**opened["view"], "id": "V1"}, {})
    assert 1 == len(await harness.open_alerts(CHANNEL))
    assert "<@U9>" in slack.responses[-1]["shown"]


async def test_the_menu_edits_charts_and_audits(person: Person, slack: FakeSlack, alert: Alert) -> None:
    await person.chooses("more", "edit_rule:1")
    (opened,) = slack.arguments_of(OPEN_VIEW)
    assert "rule_editor" == opened["view"]["callback_id"]
    for choice, expected in (("receipt", "Audit log of alert"), ("chart", "WGMI"), ("rules", "1 rule in this channel")):
        await person.chooses("more", f"{choice}:{alert.id}")
        assert expected in slack.responses[-1]["shown"]


@pytest.mark.parametrize("value", ["", "gone:1", "resolve:", "resolve:x", "edit_rule:99", "noise:999"])
async def test_an_option_that_does_not_exist_is_refused(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert, value: str
) -> None:
    await person.chooses("more", value)
    assert [] == slack.arguments_of(OPEN_VIEW)
    assert slack.responses[-1]["text"]
    assert [alert.id] == [one.id for one in await harness.open_alerts(CHANNEL)]


async def test_if_slack_does_not_open_a_modal_the_answer_says_what_to_type(
    person: Person, slack: FakeSlack, alert: Alert
) -> None:
    for press, expected in (
        (person.presses("details", str(alert.id)), f"/minerpulse why {alert.id}"),
        (person.chooses("more", f"resolve:{alert.id}"), f"/minerpulse resolve {alert.id}"),
    ):
        slack.fail(OPEN_VIEW, error_response("expired_trigger_id"))
        await press
        assert expected in slack.responses[-1]["shown"]


async def test_the_thread_names_a_person_without_notifying_them(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert, outbox: Outbox
) -> None:
    person.name = "dana"
    await person.presses("acknowledge", str(alert.id))
    await person.types(f"unack {alert.id}")
    await outbox.deliver(harness.clock.at)
    lines = [post["text"] for post in slack.arguments_of(POST)[-2:]]
    assert [
        ":eyes: Acknowledged by @dana.",
        ":red_circle: @dana removed the acknowledgement.",
    ] == lines

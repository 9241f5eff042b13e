from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from handlers.render.markup import plain
from services.delivery.outbox import Outbox
from tests.fakes.harness import CHANNEL, OPEN, Harness
from tests.fakes.slack import FakeSlack, Person
from tests.handlers.conftest import reply_to

POST, UPDATE = "chat.postMessage", "chat.update"
LONGEST_HEADER = 56
MINUTE = timedelta(minutes=1)
BEGIN = OPEN + 30 * MINUTE
ENDS = "Mar 4, 10:05 AM ET"


@pytest.fixture(autouse=True)
async def session(harness: Harness) -> None:
    await harness.tick(BEGIN, 0.01)


def buttons(message: dict[str, Any]) -> set[str]:
    return {action.partition(":")[0] for action in _action_ids(message["blocks"])}


def _action_ids(value: object) -> Iterator[str]:
    """Yield the actions of buttons, and of the options of menus."""
    match value:
        case dict():
            yield from [str(value[name]) for name in ("action_id", "value") if name in value]
            for inner in value.values():
                yield from _action_ids(inner)
        case list():
            for inner in value:
                yield from _action_ids(inner)


async def round_at(harness: Harness, outbox: Outbox, minute: int) -> None:
    harness.clock.at = BEGIN + minute * MINUTE
    await harness.maintenance.tick(harness.clock.at)
    await outbox.deliver(harness.clock.at)


async def test_a_test_alert_is_labelled_from_its_first_message_to_its_end(
    person: Person, slack: FakeSlack, harness: Harness, outbox: Outbox
) -> None:
    await person.types("channel mention <!subteam^S1|@oncall>")
    await person.types("channel remind 15m")
    await person.types("test")
    for minute in range(6):
        await round_at(harness, outbox, minute)

    roots = [post for post in slack.arguments_of(POST) if post["blocks"][0]["type"] == "header"]
    replies = [post for post in slack.arguments_of(POST) if "thread_ts" in post]
    (root,) = roots
    header = root["blocks"][0]["text"]["text"]
    last = slack.arguments_of(UPDATE)[-1]
    assert ("Test alert · Firing: WGMI 1.0\u00a0pp ahead of BTC", True) == (header, len(header) <= LONGEST_HEADER)
    assert "Test alert · " in root["text"]
    assert "This is a test" in root["text"]
    assert "this is a test" in str(root["blocks"]).lower()
    assert "<!subteam^S1>" in str(root["blocks"])
    assert "recovering" not in str(root["blocks"])
    assert [True] * 3 == ["Test alert · " in reply["text"] for reply in replies[-3:]]  # two reminders and the end
    assert "Test alert · Resolved" in last["text"]


async def test_a_test_alert_has_no_buttons_about_rules_and_votes(
    person: Person, slack: FakeSlack, harness: Harness, outbox: Outbox
) -> None:
    await person.types("test")
    for minute in (0, 5):
        await round_at(harness, outbox, minute)

    opened, closed = slack.arguments_of(POST)[0], slack.arguments_of(UPDATE)[-1]
    assert {"acknowledge", "snooze", "resolve", "details"} <= buttons(opened)
    assert set() == (buttons(opened) | buttons(closed)) & {"edit_rule", "rules", "useful", "noise"}


async def test_the_answer_says_what_happens_by_the_channels_settings(person: Person) -> None:
    bare = plain(await reply_to(person, "test"))
    again = plain(await reply_to(person, "test"))

    assert [
        f"Test alert #1 is posted here. It resolves automatically {ENDS} and isn't part of any track record.",
        "Mention: none; set one with /minerpulse channel mention @WHO",
        "Reminder: off",
        "Escalation: off",
    ] == bare.splitlines()[:4]
    assert again.startswith(f"Test alert #1 is still open. It resolves automatically {ENDS}.\n")


@pytest.mark.parametrize(
    ("escalation", "line"),
    [
        pytest.param(
            "escalate 30m <@U9|boss>",
            "Escalation to <@U9>: after 3 min without an acknowledgement; 30 min for a real alert",
            id="a person",
        ),
        pytest.param(
            "escalate 1m <@U9|boss>", "Escalation to <@U9>: after 1 min without an acknowledgement", id="soon"
        ),
        pytest.param(
            "escalate 30m <#C2|risk>",
            "Escalation to <#C2>: after 3 min without an acknowledgement; 30 min for a real alert",
            id="a channel",
        ),
    ],
)
async def test_the_answer_says_who_is_notified_and_when(person: Person, escalation: str, line: str) -> None:
    await replace(person, channel="C2").types("channel accept-escalations on")
    await person.types("channel mention <@U7|ann>")
    await person.types("channel remind 15m")
    await person.types(f"channel {escalation}")

    answer = (await reply_to(person, "test")).replace("\u00a0", " ")

    assert ["Reminder: after 2 min without an acknowledgement; 15 min for a real alert", line] == answer.splitlines()[
        2:4
    ]


async def test_in_a_muted_channel_the_answer_says_what_is_held_back(
    person: Person, slack: FakeSlack, harness: Harness, outbox: Outbox
) -> None:
    await person.types("mute 2h")
    await outbox.deliver(harness.clock.at)
    posted = len(slack.arguments_of(POST))

    first, *rest = plain(await reply_to(person, "test")).splitlines()
    await outbox.deliver(harness.clock.at)

    assert "No test alert was posted: this channel is muted or in quiet hours." == first
    assert rest[0].startswith("No new messages until Mar 4, 12:00 PM ET: ")
    assert rest[0].endswith(
        "A real alert is held back until then, with the mention, reminders and escalation; a digest follows."
    )
    assert posted == len(slack.arguments_of(POST))


async def test_only_editors_may_post_a_test_alert(person: Person, harness: Harness) -> None:
    await person.types("channel editors <@U1>")

    answer = await reply_to(replace(person, user="U2"), "test")

    assert "Only <@U1> can post a test alert" in answer
    assert [] == await harness.open_alerts(CHANNEL)

"""Mentions of the app in a channel, answered like commands to the person alone."""

import json
from dataclasses import replace
from typing import Any

import pytest

from bot.bolt_app import build_bolt
from handlers import listeners
from handlers.render.responses import BUSY
from tests.fakes.harness import CHANNEL, Harness
from tests.fakes.slack import SECRET, Call, FakeSlack, Person, error_response

EPHEMERAL, OPENED = "chat.postEphemeral", "views.open"
APP = "<@UBOT>"


async def mentions(person: Person, text: str, **more: Any) -> None:  # noqa: ANN401 -- any part of an event
    outer = more.pop("outer", {})
    event = {"type": "app_mention", "user": person.user, "text": text, "ts": "1.1", "channel": person.channel, **more}
    await person.triggers_event(event, **outer)


def kinds(call: Call) -> list[str]:
    """Return the kinds of a call's blocks."""
    return [block["type"] for block in call.arguments["blocks"]]


async def answer_to(person: Person, text: str, **more: Any) -> str:  # noqa: ANN401 -- any part of an event
    """Mention the app and return the text of the last answer."""
    await mentions(person, text, **more)
    return str(person.server.arguments_of(EPHEMERAL)[-1]["text"])


@pytest.mark.parametrize(
    ("mention", "command"),
    [
        pytest.param(f"{APP} rules", "rules", id="a command"),
        pytest.param(f"{APP}: RULES", "rules", id="with a colon"),
        pytest.param(f"hey {APP} rules", "rules", id="inside a sentence"),
        pytest.param(f"rules {APP}", "rules", id="the name last"),
        pytest.param(f"<@U2> {APP} rules", "rules", id="after another name"),
        pytest.param(APP, "", id="the name alone"),
        pytest.param(f"thanks, {APP}!", "", id="no command at all"),
        pytest.param(f"{APP} help rules", "help rules", id="an immediate answer"),
        pytest.param(f"{APP} rlues", "rlues", id="a typing error"),
        pytest.param(f"{APP} rule remove 9", "rule remove 9", id="an error"),
    ],
)
async def test_a_mention_is_answered_like_the_command(
    person: Person, slack: FakeSlack, harness: Harness, mention: str, command: str
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    acknowledged = (await person.types(command)).body
    await mentions(person, mention)

    (answer,) = slack.arguments_of(EPHEMERAL)
    typed = slack.responses[-1]["text"] if slack.responses else json.loads(acknowledged)["text"]
    assert ("C1", "U1") == (answer["channel"], answer["user"])
    assert typed == answer["text"]
    assert "thread_ts" not in answer
    assert [] == slack.arguments_of("chat.postMessage")


async def test_a_mention_inside_a_thread_is_answered_there(person: Person, slack: FakeSlack) -> None:
    await mentions(person, f"{APP} rules", thread_ts="1.0")

    assert ["1.0"] == [answer["thread_ts"] for answer in slack.arguments_of(EPHEMERAL)]


async def test_a_mention_changes_rules_like_a_command(person: Person, harness: Harness) -> None:
    await mentions(person, f"{APP} rule add 5d 15pp above")

    assert ["5d 15pp above"] == [str(rule.rule) for rule in await harness.commands.rules(CHANNEL)]


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"bot_id": "B2"}, id="of an app"),
        pytest.param({"subtype": "channel_topic"}, id="of Slack"),
        pytest.param({"edited": {"user": "U1", "ts": "1.2"}}, id="edited"),
        pytest.param({"user": None}, id="of nobody"),
    ],
)
async def test_mentions_that_no_person_has_just_written_are_ignored(
    person: Person, slack: FakeSlack, event: dict[str, Any]
) -> None:
    await mentions(person, f"{APP} rules", **event)

    assert [] == slack.calls_of(EPHEMERAL)


async def test_a_command_that_needs_a_form_is_answered_with_a_button_that_opens_it(
    person: Person, slack: FakeSlack
) -> None:
    await mentions(person, f"{APP} rule add")
    (answer,) = slack.arguments_of(EPHEMERAL)
    assert "Add a rule in the editor." == answer["text"]
    assert [("add_rule", "Open Editor")] == [
        (element["action_id"], element["text"]["text"]) for element in answer["blocks"][-1]["elements"]
    ]
    assert [] == slack.calls_of(OPENED)

    await person.presses("add_rule", "new")
    assert 1 == len(slack.views(OPENED))


@pytest.mark.parametrize(
    ("event", "outer", "may"),
    [
        pytest.param({"team": "T1"}, {"is_ext_shared_channel": True}, True, id="of the workspace"),
        pytest.param({"team": "E1"}, {"is_ext_shared_channel": True, "context_enterprise_id": "E1"}, True, id="org"),
        pytest.param({"user_team": "T2"}, {"is_ext_shared_channel": False}, True, id="workspace of the organization"),
        pytest.param({}, {}, True, id="nothing known"),
        pytest.param({"user_team": "T9", "team": "T1"}, {"is_ext_shared_channel": True}, False, id="guest"),
        pytest.param({"team": "T9"}, {}, False, id="of another workspace"),
        pytest.param({}, {"is_ext_shared_channel": True}, False, id="unknown, in a shared channel"),
    ],
)
async def test_people_of_another_organization_only_read(
    person: Person, harness: Harness, event: dict[str, Any], outer: dict[str, Any], *, may: bool
) -> None:
    answer = await answer_to(person, f"{APP} rule add 5d 15pp", outer=outer, **event)

    assert may == bool(await harness.commands.rules(CHANNEL))
    assert may != ("another organization" in answer)


async def test_a_busy_app_says_so(person: Person, harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handlers.background.MAX_RUNNING", 0)

    assert BUSY == await answer_to(person, f"{APP} rule add 5d 15pp")
    assert [] == await harness.commands.rules(CHANNEL)


async def test_tables_are_answered_in_a_simpler_form_if_slack_rejects_them(person: Person, slack: FakeSlack) -> None:
    slack.fail(EPHEMERAL, error_response("invalid_blocks"))
    await mentions(person, APP)

    rejected, accepted = slack.calls_of(EPHEMERAL)
    assert ("table" in kinds(rejected), "table" in kinds(accepted)) == (True, False)
    assert rejected.arguments["text"] == accepted.arguments["text"]


async def test_an_event_that_slack_repeats_is_answered_once(person: Person, slack: FakeSlack, harness: Harness) -> None:
    app = build_bolt(person.app.client, SECRET)
    tasks = listeners.register(app, harness.commands, harness.research, harness.clock)
    retried = replace(person, app=app, tasks=tasks)
    for _ in range(2):
        await mentions(retried, f"{APP} rules")

    assert 1 == len(slack.calls_of(EPHEMERAL))

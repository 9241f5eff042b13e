"""Buttons that run a suggested command do what typing it would do, for the same people."""

from dataclasses import replace
from typing import Any

import pytest

from handlers.actions import STALE_BUTTON
from handlers.background import INTERNAL_ERROR
from handlers.commands import COMMANDS
from handlers.render.help import HELP_TOPIC, RUN_COMMAND
from services.channels.permissions import PERMISSIONS, Act, Permission
from tests.fakes.harness import CHANNEL, OPEN, Harness
from tests.fakes.slack import FakeSlack, Person
from tests.handlers.conftest import reply_to
from tests.handlers.test_permissions_flow import ARGUMENTS, NOT_OUTSIDERS, ONLY_EDITORS, rows_of

RUN = RUN_COMMAND[0]


def buttons(slack: FakeSlack) -> list[dict[str, Any]]:
    """Return the buttons of the last answer."""
    blocks = slack.responses[-1]["blocks"]
    return [element for block in blocks if block["type"] == "actions" for element in block["elements"]]


async def rules_of(harness: Harness) -> list[str]:
    return [str(one.rule) for one in await harness.commands.rules(CHANNEL)]


async def test_a_suggested_rule_is_added_by_its_button(person: Person, harness: Harness) -> None:
    answer = await person.types("rule add 1d 8 bananas")
    assert '"value": "rule add 1d 8pp"' in answer.body
    assert [] == await rules_of(harness)

    await person.presses(RUN, "rule add 1d 8pp")
    await person.presses(RUN_COMMAND[1], "rule edit 1 1d 9pp")

    assert ["1d 9pp"] == await rules_of(harness)


async def test_stop_changes_nothing_and_its_buttons_mute_or_show_the_rules(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await person.types("rule add 1d 8pp")
    before = rows_of(harness)
    await person.types("stop")
    await person.types("unsubscribe")
    assert before == rows_of(harness)

    await person.presses(RUN_COMMAND[1], "rules")
    assert "1d 8pp" in str(slack.responses[-1])
    await person.presses(RUN, "mute 8h")
    assert (await harness.store.channel(CHANNEL)).settings.muted_until is not None


@pytest.mark.parametrize(
    "value", ["", "1", "xyzzy", "rulez", "RULES", "rules ", "silence 2h", "rule add 1d 8", "<@U1> rules", "x" * 2_000]
)
async def test_a_value_that_the_app_does_not_write_runs_nothing(
    person: Person, slack: FakeSlack, harness: Harness, value: str
) -> None:
    before = rows_of(harness)
    for action_id in RUN_COMMAND:
        await person.presses(action_id, value)

    assert before == rows_of(harness)
    expected = STALE_BUTTON if value != "rule add 1d 8" else "Rule not added: "
    assert [True] * len(RUN_COMMAND) == [expected in answer["shown"] for answer in slack.responses]


@pytest.mark.parametrize("name", [row.name for row in COMMANDS if row.act is not Act.READ])
async def test_a_button_needs_the_permission_of_its_command(
    person: Person, slack: FakeSlack, harness: Harness, name: str
) -> None:
    (row,) = [one for one in COMMANDS if one.name == name]
    await person.types("channel editors <@U1|ann>")
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s keep 1h", "U1")
    await harness.ticks(OPEN, [0.10, 0.03])
    before, argument = rows_of(harness), ARGUMENTS.get(name, "")
    permission, value = PERMISSIONS[row.act_of(argument)], f"{name} {argument}".strip()

    outsider = replace(person, user="U4", own_team="T9")
    await outsider.presses(RUN, value)
    assert slack.responses[-1]["text"].startswith(NOT_OUTSIDERS)
    assert before == rows_of(harness)
    await replace(person, user="U3").presses(RUN, value)
    assert (permission is Permission.EDITOR) == slack.responses[-1]["text"].startswith(ONLY_EDITORS)
    assert [] == [answer for answer in slack.responses if INTERNAL_ERROR in answer["text"]]


async def test_a_rule_without_its_new_text_opens_the_editor(person: Person, slack: FakeSlack) -> None:
    await person.types("rule add 5d 15pp")
    await person.types("rule edit 1")
    opened = slack.views("views.open")[-1]

    assert "15pp" in str(opened)
    assert '"rule": 1' in opened["private_metadata"]
    assert "Rule 7 doesn't exist in this channel." in await reply_to(person, "rule edit 7")


@pytest.mark.parametrize(
    ("value", "expected"), [pytest.param("5d 15pp above", "15pp", id="a rule"), pytest.param("new", "8pp", id="none")]
)
async def test_the_editor_opens_with_the_suggested_rule(
    person: Person, slack: FakeSlack, value: str, expected: str
) -> None:
    await person.presses("edit_new_rule", value)

    assert expected in str(slack.views("views.open")[-1])


async def test_a_topic_of_help_is_shown_from_the_menu(person: Person, slack: FakeSlack) -> None:
    await person.types("help")
    for topic in ("market", "rules", "alerts", "channel", "sources", "all"):
        await person.chooses(HELP_TOPIC, topic)

    assert "MinerPulse help: Market commands" in slack.responses[-6]["text"]
    assert "MinerPulse commands, by topic." in slack.responses[-1]["text"]


async def test_the_board_of_another_miner_is_shown_by_its_symbol(person: Person, slack: FakeSlack) -> None:
    await person.types("MARA")
    assert "MARA" in slack.responses[-1]["text"]
    (refresh,) = [one for one in buttons(slack) if one["action_id"] == "refresh"]
    await person.presses("refresh", refresh["value"])
    assert "MARA" in slack.responses[-1]["text"]
    await person.types("chart mara 20d")
    assert "MARA" in slack.responses[-1]["text"]
    await person.types("wgmi")
    assert "WGMI" in slack.responses[-1]["text"]

"""What people do from the list of rules and from the replies to changes: menus, confirmation and Undo."""

from typing import Any

import pytest

from services.channels.permissions import Permissions
from tests.fakes.harness import CHANNEL, OPEN, OTHER_CHANNEL, Harness
from tests.fakes.slack import FakeSlack, Person


def button(message: dict[str, Any], label: str) -> tuple[str, str]:
    """Return the action and the value of the button with this label."""
    elements = [one for block in message["blocks"] if block["type"] == "actions" for one in block["elements"]]
    (found,) = [one for one in elements if one["text"]["text"] == label]
    return found["action_id"], found["value"]


async def rules(harness: Harness) -> list[str]:
    return [str(one.rule) for one in await harness.commands.rules(CHANNEL)]


async def press(person: Person, slack: FakeSlack, label: str) -> dict[str, Any]:
    """Press a button of the last reply; return the reply to that."""
    await person.presses(*button(slack.responses[-1], label))
    return slack.responses[-1]


async def test_an_added_rule_says_how_often_it_would_have_fired_and_undo_removes_it(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await person.types("rule add 1d 2pp")
    added = slack.responses[-1]["shown"]
    undone = await press(person, slack, "Undo")

    assert "Rule 1 added: `1d 2pp`\n±2 pp · hold 5 min · clear 1.2 pp\nWould have fired *" in added
    assert " a year), median " in added
    assert "warning" not in added
    assert "Undone: rule 1 `1d 2pp` removed." in undone["shown"]
    assert undone["replace_original"] is True
    assert [] == await rules(harness)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        pytest.param("1d 80pp", ":warning: This rule may never fire.", id="never"),
        pytest.param("1d 0.2pp", ":warning: That is more than 100 alerts a year.", id="very often"),
        pytest.param("gap 5%", "No backtest: a gap exists only while", id="unknown"),
    ],
)
async def test_an_added_rule_with_an_unusual_record_says_so(
    person: Person, slack: FakeSlack, typed: str, expected: str
) -> None:
    await person.types(f"rule add {typed}")

    assert expected in slack.responses[-1]["shown"]


@pytest.mark.parametrize("change", ["rule edit 1 1d 4pp", "rule pause 1", "rule remove 1"])
@pytest.mark.parametrize("steps", [["rule add 1d 2pp"], ["rule add 1d 2pp", "rule edit 1 1d 3pp"]], ids=["add", "edit"])
async def test_a_rule_that_was_changed_again_is_not_undone(
    person: Person, slack: FakeSlack, harness: Harness, steps: list[str], change: str
) -> None:
    for step in steps:
        await person.types(step)
    undo = button(slack.responses[-1], "Undo")
    await person.types(change)
    before = await rules(harness)
    await person.presses(*undo)

    assert slack.responses[-1]["text"].startswith("Rule 1 has since been changed or removed, so nothing was undone.")
    assert before == await rules(harness)


async def test_undo_restores_an_edited_rule_whose_alert_stays_open(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.ticks(OPEN, [0.09])
    await person.types("rule edit 1 1d 8.5pp for 0s")
    undone = await press(person, slack, "Undo")

    assert "Rule 1 changed: `1d 8pp for 0s`, was `1d 8.5pp for 0s`" in undone["shown"]
    assert undone["replace_original"] is True
    assert ["1d 8pp for 0s"] == await rules(harness)
    assert [None] == [one.closed_at for one in await harness.open_alerts()]


async def test_undo_acts_in_its_own_channel_only(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await harness.commands.add_rule(OTHER_CHANNEL, "1d 2pp", "U1")
    for action_id in ("undo_add", "undo_edit", "undo_remove", "remove_rule"):
        await person.presses(action_id, "1:1d 2pp")

        assert "rule 1 " in slack.responses[-1]["text"].lower()
    assert ([], 1) == (await rules(harness), len(await harness.commands.rules(OTHER_CHANNEL)))


async def test_a_rule_is_removed_after_a_question_and_undo_adds_it_again(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.ticks(OPEN, [0.09])
    await person.chooses("rule_menu:1", "remove:1")
    question, before = slack.responses[-1]["shown"], await rules(harness)
    removed = await press(person, slack, "Remove Rule")
    after = await rules(harness)
    await press(person, slack, "Undo")

    assert "Remove rule 1 `1d 8pp for 0s`?\nAlert #1 resolves unless another rule keeps it open." in question
    assert (["1d 8pp for 0s"], []) == (before, after)
    assert "Rule 1 `1d 8pp for 0s` removed." in removed["shown"]
    assert removed["replace_original"] is True
    assert ["1d 8pp for 0s"] == await rules(harness)
    assert "added: `1d 8pp for 0s`" in slack.responses[-1]["shown"]


async def test_a_rule_that_was_edited_after_the_question_is_not_removed(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await person.chooses("rule_menu:1", "remove:1")
    question = slack.responses[-1]
    await harness.commands.edit_rule(CHANNEL, 1, "1d 9pp", "U2")
    await person.presses(*button(question, "Remove Rule"))

    assert slack.responses[-1]["text"].startswith("Rule 1 has since been changed, so it wasn't removed.")
    assert ["1d 9pp"] == await rules(harness)


async def test_a_removal_is_undone_once_and_only_as_it_was(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await person.types("rule remove 1")
    undo = button(slack.responses[-1], "Undo")
    await person.presses(undo[0], "1:1d 9pp")
    refused = slack.responses[-1]["text"]
    await person.presses(*undo)
    await person.presses(*undo)

    assert refused.startswith("The removal of rule 1 can no longer be undone.")
    assert "Not added: rule 2 is already 1d 8pp." == slack.responses[-1]["text"]
    assert ["1d 8pp"] == await rules(harness)


async def test_the_menu_pauses_and_resumes_and_each_reply_offers_undo(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")

    async def is_paused() -> bool:
        (rule,) = await harness.commands.rules(CHANNEL)
        return rule.paused_at is not None

    await person.chooses("rule_menu:1", "pause:1")
    paused = await is_paused()
    await press(person, slack, "Undo")
    undone = await is_paused()
    await harness.commands.pause_rule(CHANNEL, 1, "U1")
    await person.chooses("rule_menu:1", "resume:1")
    resumed = await is_paused()
    await press(person, slack, "Undo")

    assert (True, False, False, True) == (paused, undone, resumed, await is_paused())


async def test_the_menu_opens_the_editor_and_backtests(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 3pp", "U1")
    await person.chooses("rule_menu:1", "edit:1")
    await person.chooses("rule_menu:1", "backtest:1")

    assert "Edit rule 1" in str(slack.views("views.open")[-1]["title"])
    assert "1d 3pp: fired" in slack.responses[-1]["shown"]


@pytest.mark.parametrize("option", ["edit:9", "backtest:9", "pause:9", "resume:9", "remove:9", "remove:x", "burn:1"])
async def test_an_option_for_no_rule_of_the_channel_is_refused(
    person: Person, slack: FakeSlack, harness: Harness, option: str
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await person.chooses("rule_menu:1", option)

    text = slack.responses[-1]["text"]
    assert "rule 9 " in text.lower() or "out of date" in text
    assert ["1d 8pp"] == await rules(harness)


async def test_the_list_shows_values_and_records_of_rules(person: Person, slack: FakeSlack, harness: Harness) -> None:
    for text in ("1d 2pp", "gap 5%", "20d hashprice 15% below"):
        await harness.commands.add_rule(CHANNEL, text, "U1")
    await person.types("rules")
    shown = slack.responses[-1]["shown"]

    assert "*1*  `1d 2pp` – OK, " in shown
    assert " alerts in 2 years" in shown
    assert "*2*  `gap 5%` – OK" in shown
    assert "*3*  `20d hashprice 15% below` – OK" in shown
    assert "quiet hours off · mentions off" in shown


async def test_a_person_without_permission_sees_whom_to_ask(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U7")
    harness.commands.permissions = Permissions(people=("U7",))
    for action_id in ("undo_add", "undo_edit", "undo_remove", "remove_rule"):
        await person.presses(action_id, "1:1d 8pp")
        assert "<@U7>" in slack.responses[-1]["shown"]
    for option in ("edit:1", "pause:1", "resume:1", "remove:1"):
        await person.chooses("rule_menu:1", option)
        assert "<@U7>" in slack.responses[-1]["shown"]

    assert ["1d 8pp"] == await rules(harness)

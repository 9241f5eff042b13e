"""Answers from history in Slack: over another window, shared with the channel, and as a rule."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.harness import CHANNEL, Harness
from tests.fakes.slack import FakeSlack, Person


def controls(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the buttons and menus of an answer by action."""
    rows = [block["elements"] for block in answer["blocks"] if block["type"] == "actions"]
    return {element["action_id"]: element for row in rows for element in row}


async def press(person: Person, action_id: str) -> None:
    """Press a button of the last answer."""
    await person.presses(action_id, controls(person.server.responses[-1])[action_id]["value"])


@pytest.mark.parametrize(
    "typed", ["explain 20d", "drawdown", pytest.param("backtest 1d 1pp below on MARA/BTC", id="backtest")]
)
async def test_a_shared_study_is_what_was_asked_with_the_name_of_who_shared_it(
    person: Person, slack: FakeSlack, typed: str
) -> None:
    ann = replace(person, name="ann")
    await ann.types(typed)
    await press(ann, "share")
    asked, shared = slack.responses

    assert ("ephemeral", "in_channel") == (asked["response_type"], shared["response_type"])
    assert asked["text"] == shared["text"]
    assert [block for block in asked["blocks"] if block["type"] != "actions"] == shared["blocks"][:-1]
    assert "Shared by @ann, <!date" in str(shared["blocks"][-1])


async def test_people_of_another_organization_do_not_share(person: Person, slack: FakeSlack) -> None:
    outsider = replace(person, user="U4", own_team="T9")
    await outsider.types("explain 5d")
    await press(outsider, "share")

    assert "ephemeral" == slack.responses[-1]["response_type"]
    assert "share the board or a study" in slack.responses[-1]["text"]


@pytest.mark.parametrize(
    "value",
    ["explain:5days!", "tune:1d 10/year", "rules:", "rule add:5d 15pp", ":ytd", "explain:ytd\nrules", "x:" * 99],
)
async def test_only_studies_are_shared(person: Person, slack: FakeSlack, harness: Harness, value: str) -> None:
    await person.presses("share", value)

    (answer,) = slack.responses
    assert ("ephemeral", "This button is out of date.") == (answer["response_type"], answer["text"][:27])
    assert () == tuple(await harness.commands.rules(CHANNEL))


async def test_the_menu_shows_the_study_over_another_window_in_its_place(person: Person, slack: FakeSlack) -> None:
    await person.types("explain")
    menu = controls(slack.responses[-1])["explain_window"]
    await person.chooses("explain_window", "20d")
    await press(person, "share")
    replaced, shared = slack.responses[1:]

    assert ["1d", "5d", "20d", "60d", "252d", "ytd"] == [option["value"] for option in menu["options"]]
    assert replaced["replace_original"] is True
    assert " over 20 sessions: " in replaced["shown"].splitlines()[0]
    assert replaced["text"] == shared["text"]


@pytest.mark.parametrize("action_id", ["explain_window", "miners_window"])
async def test_a_window_that_does_not_exist_is_refused(person: Person, slack: FakeSlack, action_id: str) -> None:
    await person.chooses(action_id, "7d")
    assert slack.responses[-1]["text"].startswith("This button is out of date.")


async def test_a_backtest_offers_to_add_its_rule(person: Person, harness: Harness) -> None:
    await person.types("backtest 5d 15pp above")
    await press(person, "run_command")
    assert ["5d 15pp above"] == [str(rule.rule) for rule in await harness.commands.rules(CHANNEL)]


async def test_a_study_names_the_command_that_explains_its_method(person: Person, slack: FakeSlack) -> None:
    await person.types("drawdown")
    assert "Method: `/minerpulse help drawdown`" in slack.responses[-1]["shown"]
    assert "midnight UTC" in await help_on(person, "drawdown")
    assert "HC3" in await help_on(person, "explain")
    assert "Chance is how often" in await help_on(person, "backtest")
    assert "Cariño" in await help_on(person, "miners")
    assert "86,400 s" in await help_on(person, "network")
    assert "half-year to half-year" in await help_on(person, "tune")


async def help_on(person: Person, name: str) -> str:
    acknowledged = await person.types(f"help {name}")
    return str(json.loads(acknowledged.body)["blocks"])

"""*Use this rule*: what tuning found goes into the channel as its preview said, once, or not at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from services.alerting.records import RuleAuditKind
from services.channels.permissions import RulePermissions
from tests.fakes.floor import DESK, OPEN, Floor
from tests.fakes.slack import Person, SlackServer

LATER = OPEN + timedelta(minutes=30)


def button_of(answer: dict[str, Any]) -> str:
    (value,) = [
        element["value"]
        for block in answer["blocks"]
        if block["type"] == "actions"
        for element in block["elements"]
        if element["action_id"] == "use_rule"
    ]
    return str(value)


async def previewed(person: Person, slack: SlackServer, wish: str = "1d 10/year") -> str:
    await person.types(f"tune {wish}")
    return button_of(slack.answers[-1])


async def rules(floor: Floor) -> list[str]:
    return [str(watch.rule) for watch in await floor.desk.rules(DESK)]


async def test_the_rule_takes_the_place_of_the_one_that_watches_the_same_and_its_alert_goes_on(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    for text in ("5d 15pp", "1d 8pp for 10m repeat 1h"):
        await floor.desk.add_rule(DESK, text, "U1")
    await floor.ticks(LATER, [0.09, 0.10, 0.10])
    button = await previewed(person, slack)
    told = slack.answers[-1]["text"]
    found = told.split(":")[0].split()[1]
    before = await rules(floor)
    await person.presses("use_rule", button)
    done = slack.answers[-1]

    assert f"makes rule 2, `1d 8pp for 10m repeat 1h` now, read so, as does `/minerpulse rule edit 2 1d {found}" in told
    assert ["5d 15pp", "1d 8pp for 10m repeat 1h"] == before
    assert ["5d 15pp", f"1d {found} for 10m repeat 1h"] == await rules(floor)
    assert done["text"].startswith(f"Rule 2 is `1d {found} for 10m repeat 1h` now, and was `1d 8pp for 10m repeat 1h`")
    assert done["replace_original"] is True
    assert 1 == len(await floor.open_alerts(DESK))


async def test_a_rule_that_nothing_else_is_like_is_added_and_a_second_press_changes_nothing(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await floor.desk.add_rule(DESK, "5d 15pp", "U1")
    button = await previewed(person, slack)
    await person.presses("use_rule", button)
    once = await rules(floor)
    await person.presses("use_rule", button)

    assert 2 == len(once)
    assert once == await rules(floor)
    assert "stands here already; nothing was changed." in slack.answers[-1]["text"]
    assert [RuleAuditKind.ADDED, RuleAuditKind.ADDED] == [act.kind for act in (await floor.desk.listing(DESK)).acts]


async def test_a_preview_that_somebody_elses_change_put_out_of_date_is_shown_anew(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")
    button = await previewed(person, slack)
    await floor.desk.edit_rule(DESK, 1, "1d 4pp", "U2")
    await person.presses("use_rule", button)
    anew = slack.answers[-1]
    untouched = await rules(floor)
    await person.presses("use_rule", button_of(anew))

    assert anew["text"].startswith("The rules here have changed since; nothing was done.")
    assert "makes rule 1, `1d 4pp` now, read so" in anew["text"]
    assert anew["replace_original"] is True
    assert ["1d 4pp"] == untouched
    assert ["1d 4pp"] != await rules(floor)


async def test_who_may_not_change_rules_is_told_whom_to_ask(person: Person, slack: SlackServer, floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")
    button = await previewed(person, slack)
    floor.desk.editors = RulePermissions(people=("U7",))
    await person.presses("use_rule", button)

    assert "<@U7>" in slack.answers[-1]["text"]
    assert ["1d 8pp"] == await rules(floor)


async def test_a_paused_rule_is_left_as_it_is(person: Person, slack: SlackServer, floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")
    await floor.desk.pause_rule(DESK, 1, "U1")
    await person.presses("use_rule", await previewed(person, slack))

    assert "1d 8pp" == (await rules(floor))[0]
    assert 2 == len(await rules(floor))


async def test_a_rule_that_reads_so_already_has_no_button_and_one_of_another_time_is_out_of_use(
    person: Person, slack: SlackServer
) -> None:
    await person.presses("use_rule", await previewed(person, slack))
    await person.types("tune 1d 10/year")
    again = slack.answers[-1]
    await person.presses("use_rule", "of another version")

    assert "Rule 1 reads so already. Nothing is changed." in again["text"]
    assert "use_rule" not in str(again["blocks"])
    assert slack.answers[-1]["text"].startswith("This button is no longer in use.")

"""*Use This Rule* applies a tuned rule as previewed, once or not at all."""

from datetime import timedelta
from typing import Any

from services.alerting.ports import RuleAuditKind
from services.channels.permissions import Permissions
from tests.fakes.harness import CHANNEL, OPEN, Harness
from tests.fakes.slack import FakeSlack, Person

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


async def preview_button(person: Person, slack: FakeSlack, rate: str = "1d 10/year") -> str:
    await person.types(f"tune {rate}")
    return button_of(slack.responses[-1])


async def rules(harness: Harness) -> list[str]:
    return [str(rule.rule) for rule in await harness.commands.rules(CHANNEL)]


async def test_the_tuned_rule_replaces_the_similar_rule_and_keeps_its_alert(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    for text in ("5d 15pp", "1d 8pp for 10m repeat 1h"):
        await harness.commands.add_rule(CHANNEL, text, "U1")
    await harness.ticks(LATER, [0.09, 0.10, 0.10])
    button = await preview_button(person, slack)
    text = slack.responses[-1]["shown"]
    threshold = text.split(":")[0].split()[1]
    before = await rules(harness)
    await person.presses("use_rule", button)
    confirmation = slack.responses[-1]

    assert f"replaces rule 2 (`1d 8pp for 10m repeat 1h`) with `1d {threshold} for 10m repeat 1h`." in text
    assert ["5d 15pp", "1d 8pp for 10m repeat 1h"] == before
    assert ["5d 15pp", f"1d {threshold} for 10m repeat 1h"] == await rules(harness)
    assert confirmation["text"].startswith(
        f"Rule 2 changed: 1d {threshold} for 10m repeat 1h, was 1d 8pp for 10m repeat 1h."
    )
    assert confirmation["replace_original"] is True
    assert 1 == len(await harness.open_alerts(CHANNEL))


async def test_a_tuned_rule_without_a_similar_rule_is_added_once(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await harness.commands.add_rule(CHANNEL, "5d 15pp", "U1")
    button = await preview_button(person, slack)
    await person.presses("use_rule", button)
    once = await rules(harness)
    await person.presses("use_rule", button)

    assert 2 == len(once)
    assert once == await rules(harness)
    assert slack.responses[-1]["shown"].endswith(f"No change: rule 2 is already `{once[1]}`.")
    assert [RuleAuditKind.ADDED, RuleAuditKind.ADDED] == [
        act.kind for act in (await harness.commands.rule_list(CHANNEL)).audits
    ]


async def test_an_outdated_preview_is_shown_again(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    button = await preview_button(person, slack)
    await harness.commands.edit_rule(CHANNEL, 1, "1d 4pp", "U2")
    await person.presses("use_rule", button)
    preview = slack.responses[-1]
    untouched = await rules(harness)
    await person.presses("use_rule", button_of(preview))

    assert preview["text"].startswith("No change: this channel's rules have changed since.")
    assert "replaces rule 1 (`1d 4pp`)" in preview["shown"]
    assert preview["replace_original"] is True
    assert ["1d 4pp"] == untouched
    assert ["1d 4pp"] != await rules(harness)


async def test_a_person_without_permission_sees_whom_to_ask(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    button = await preview_button(person, slack)
    harness.commands.permissions = Permissions(people=("U7",))
    await person.presses("use_rule", button)

    assert "<@U7>" in slack.responses[-1]["text"]
    assert ["1d 8pp"] == await rules(harness)


async def test_a_paused_rule_is_not_replaced(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await harness.commands.pause_rule(CHANNEL, 1, "U1")
    await person.presses("use_rule", await preview_button(person, slack))

    assert "1d 8pp" == (await rules(harness))[0]
    assert 2 == len(await rules(harness))


async def test_an_existing_rule_has_no_button_and_a_stale_button_is_explained(person: Person, slack: FakeSlack) -> None:
    await person.presses("use_rule", await preview_button(person, slack))
    await person.types("tune 1d 10/year")
    repeated = slack.responses[-1]
    await person.presses("use_rule", "of another version")

    assert "No change: rule 1 is already `1d " in repeated["shown"]
    assert "use_rule" not in str(repeated["blocks"])
    assert slack.responses[-1]["text"].startswith("This button is out of date.")

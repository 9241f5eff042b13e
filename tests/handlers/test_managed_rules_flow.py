"""What people can do in Slack with rules that a rules file manages."""

import pytest

from handlers.addressees import parse_addressee
from services.channels.rules_file import FileChannel, FileRule, RulesFile
from services.channels.rules_file_commands import RulesFiles
from services.delivery.outbox import Outbox
from services.rules.grammar import parse_rule
from tests.fakes.harness import CHANNEL, OPEN, Harness
from tests.fakes.slack import FakeSlack, Person
from tests.handlers.conftest import reply_to

REFUSED = (
    "Nothing was changed: rule 1 is managed by rules.yaml/day, so it can't be edited or removed here. Change it in "
    "rules.yaml, which your MinerPulse administrator applies."
)


async def apply(harness: Harness, *texts: str) -> None:
    """Apply a file with these rules, the first of which has the key `day`."""
    files = RulesFiles(store=harness.store, commands=harness.commands, resolve=parse_addressee)
    rules = tuple(
        FileRule(key=key, rule=parse_rule(text)) for key, text in zip(("day", "week", "month"), texts, strict=False)
    )
    file = RulesFile(name="rules.yaml", team=CHANNEL.team, channels=(FileChannel(id=CHANNEL.id, rules=rules),))
    await files.apply(file, (await files.plan(file)).revision)


async def rules(harness: Harness) -> list[str]:
    return [str(one.rule) for one in await harness.commands.rules(CHANNEL)]


@pytest.mark.parametrize("typed", ["rule edit 1 1d 9pp", "rule remove 1", "rule move WGMI WGMX"])
async def test_a_managed_rule_is_not_changed_in_slack(person: Person, harness: Harness, typed: str) -> None:
    await apply(harness, "1d 8pp")

    assert REFUSED in await reply_to(person, typed)
    assert ["1d 8pp"] == await rules(harness)


async def test_a_managed_rule_is_paused_and_resumed_in_slack(person: Person, harness: Harness) -> None:
    await apply(harness, "1d 8pp")

    assert "paused" in await reply_to(person, "rule pause 1")
    assert "resumed" in await reply_to(person, "rule resume 1")


async def test_the_list_says_which_file_manages_a_rule_and_offers_neither_edit_nor_removal(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await harness.commands.add_rule(CHANNEL, "5d 15pp", "U1")
    await apply(harness, "1d 8pp", "5d 15pp")
    await harness.commands.add_rule(CHANNEL, "20d 30pp", "U1")
    shown = await reply_to(person, "rules")
    menus = [one["accessory"]["options"] for one in slack.responses[-1]["blocks"] if "accessory" in one]

    assert "Managed by rules.yaml/week" in shown
    assert "Managed by rules.yaml/day" in shown
    labels = [[option["text"]["text"] for option in menu] for menu in menus]
    assert [["Backtest", "Pause"], ["Backtest", "Pause"], ["Edit…", "Backtest", "Pause", "Remove…"]] == labels


async def test_what_a_file_changes_is_posted_in_the_channel(slack: FakeSlack, harness: Harness, outbox: Outbox) -> None:
    await apply(harness, "1d 8pp for 0s")
    await harness.ticks(OPEN, [0.09])
    await apply(harness, "1d 8.5pp for 0s", "5d 15pp")
    await outbox.deliver(harness.clock.at)
    texts = [str(one.arguments["text"]) for one in slack.messages[CHANNEL.id]]

    change = "The rules file rules.yaml changed 1d 8pp for 0s to 1d 8.5pp for 0s, added the rule 5d 15pp."
    assert "The rules file rules.yaml added the rule 1d 8pp for 0s." in texts
    assert change in texts
    assert [True] == [hit.active for alert in await harness.open_alerts() for hit in alert.hits]


async def test_a_removed_rule_ends_its_alert(harness: Harness) -> None:
    await apply(harness, "1d 8pp for 0s")
    await harness.ticks(OPEN, [0.09])
    before = len(await harness.open_alerts())
    await apply(harness)

    assert (1, []) == (before, await harness.open_alerts())

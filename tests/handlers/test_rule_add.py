"""What `rule add` checks before it saves a rule, and what it says about the rules that are there."""

import json
from typing import Any

import httpx
import pytest

from handlers.rule_form import RuleForm
from services.core.errors import NoHistoryError, RuleError
from services.core.prices import WGMI_BTC
from tests.fakes.harness import CHANNEL, Harness
from tests.fakes.slack import FakeSlack, Person
from tests.handlers.conftest import reply_to


@pytest.mark.parametrize(
    ("typed", "vendor", "expected"),
    [
        pytest.param("5d 15pp on NOPE/BTC", "yahoo", "doesn't know the symbol", id="an ETF"),
        pytest.param("5d 15pp on WGMI/NOPE", "yahoo", "doesn't know the symbol", id="the other leg"),
        pytest.param("5d 15pp on WGMI/ETH", "coinbase", "doesn't trade ETH", id="a coin"),
        pytest.param("1d hashprice 10% on NOPE/BTC", "yahoo", "doesn't know the symbol", id="a rule on the network"),
    ],
)
async def test_a_rule_on_an_unknown_symbol_is_not_saved(
    person: Person, harness: Harness, typed: str, vendor: str, expected: str
) -> None:
    harness.vendors.faults = {vendor: [httpx.Response(404)] * 9}
    answer = await reply_to(person, f"rule add {typed}")

    assert expected in answer
    assert "check the symbols" in answer
    assert [] == await harness.commands.rules(CHANNEL)


async def test_an_edit_to_an_unknown_symbol_is_not_saved(person: Person, harness: Harness) -> None:
    await person.types("rule add 5d 15pp")
    harness.vendors.faults = {"yahoo": [httpx.Response(404)] * 9}

    assert "check the symbols" in await reply_to(person, "rule edit 1 5d 15pp on NOPE/BTC")
    assert ["5d 15pp"] == [str(one.rule) for one in await harness.commands.rules(CHANNEL)]
    with pytest.raises(NoHistoryError):
        await harness.commands.add_rule(CHANNEL, "5d 15pp on NOPE/BTC", "U1")


async def test_rules_are_not_moved_to_an_unknown_symbol(person: Person, harness: Harness) -> None:
    await person.types("rule add 5d 15pp")
    harness.vendors.faults = {"yahoo": [httpx.Response(404)] * 9}

    assert "check the symbols" in await reply_to(person, "rule move WGMI NOPE")
    assert ["5d 15pp"] == [str(one.rule) for one in await harness.commands.rules(CHANNEL)]


async def test_a_rule_that_is_no_longer_offered_is_not_saved(person: Person, harness: Harness) -> None:
    await person.types("rule add 5d 15pp")

    for typed in ("rule add 60d z3.5", "rule edit 1 60d z3.5"):
        answer = json.loads((await person.types(typed)).body)["text"]
        assert "The closest rule is “60d 2sigma”" in answer
    for work in (
        harness.commands.add_rule(CHANNEL, "60d z3.5", "U1"),
        harness.commands.edit_rule(CHANNEL, 1, "ytd z2", "U1"),
    ):
        with pytest.raises(RuleError, match="The closest rule is"):
            await work

    assert ["5d 15pp"] == [str(one.rule) for one in await harness.commands.rules(CHANNEL)]


def test_the_editor_refuses_a_rule_that_is_no_longer_offered() -> None:
    errors = RuleForm.from_values({"window": "60d", "metric": "z", "threshold": "3.5"}).errors(WGMI_BTC)

    assert "The closest rule is “60d 2sigma”" in errors["threshold"]


SHARED = "if they fire together, they share one alert."
OVERLAPS = [
    pytest.param(["5d 15pp"], "5d 20pp", ["rule 1 `5d 15pp`"], id="another threshold"),
    pytest.param(["5d 15pp above"], "5d 20pp", ["rule 1 `5d 15pp above`"], id="a common side"),
    pytest.param(["5d 15pp"], "5d 15pp at close", ["rule 1 `5d 15pp`"], id="another time"),
    pytest.param(["5d 15pp above"], "5d 15pp below", [], id="no common side"),
    pytest.param(["5d 15pp"], "20d 15pp", [], id="another window"),
    pytest.param(["5d 15pp"], "5d residual 15pp", [], id="another metric"),
    pytest.param(["5d 15pp"], "5d 15pp on MARA/BTC", [], id="another pair"),
    pytest.param(["5d 15pp", "5d 20pp"], "5d 18pp", ["rule 1 `5d 15pp`", "rule 2 `5d 20pp`"], id="two"),
]


def overlap_lines(overlaps: list[str], subject: str = "It") -> list[str]:
    if not overlaps:
        return []
    remove = " and ".join(f"`/minerpulse rule remove {one.split()[1]}`" for one in overlaps)
    return [f"{subject} overlaps {' and '.join(overlaps)}: {SHARED} To keep only this rule, type {remove}."]


def section_text(message: dict[str, Any]) -> str:
    """Return what the first section of a message says, with ordinary spaces."""
    return str(message["blocks"][0]["text"]["text"]).replace("\u00a0", " ")


async def blocks_of_reply(person: Person, text: str) -> str:
    """Type /minerpulse and `text`; return what the last reply says."""
    await person.types(text)
    return section_text(person.server.responses[-1])


async def add_rules(harness: Harness, texts: list[str]) -> None:
    for text in texts:
        await harness.commands.add_rule(CHANNEL, text, "U1")


@pytest.mark.parametrize(("existing", "added", "overlaps"), OVERLAPS)
async def test_a_rule_that_overlaps_others_says_so(
    person: Person, harness: Harness, existing: list[str], added: str, overlaps: list[str]
) -> None:
    await add_rules(harness, existing)
    answer = (await blocks_of_reply(person, f"rule add {added}")).splitlines()

    assert f"Rule {len(existing) + 1} added: `{added}`" == answer[0]
    assert overlap_lines(overlaps) == [line for line in answer if "overlap" in line]


@pytest.mark.parametrize(("existing", "edited", "overlaps"), OVERLAPS)
async def test_an_edited_rule_that_overlaps_others_says_so(
    person: Person, harness: Harness, existing: list[str], edited: str, overlaps: list[str]
) -> None:
    await add_rules(harness, [*existing, "252d 90pp"])
    number = len(existing) + 1
    first, _, _, *rest = (await blocks_of_reply(person, f"rule edit {number} {edited}")).splitlines()

    assert f"Rule {number} changed: `{edited}`, was `252d 90pp`" == first
    assert overlap_lines(overlaps) == rest


async def test_a_rule_does_not_overlap_itself_or_a_paused_rule(person: Person, harness: Harness) -> None:
    await add_rules(harness, ["5d 15pp", "5d 18pp"])
    await person.types("rule pause 2")

    assert "overlap" not in await reply_to(person, "rule edit 1 5d 16pp")


async def test_a_resumed_rule_that_overlaps_others_says_so(person: Person, harness: Harness) -> None:
    await add_rules(harness, ["5d 15pp"])
    await person.types("rule pause 1")
    await add_rules(harness, ["5d 18pp"])

    assert overlap_lines(["rule 2 `5d 18pp`"]) == (await blocks_of_reply(person, "rule resume 1")).splitlines()[2:]


async def test_a_moved_rule_that_overlaps_others_says_so(person: Person, harness: Harness) -> None:
    await add_rules(harness, ["5d 15pp", "20d 15pp", "5d 18pp on MARA/BTC"])
    answer = await blocks_of_reply(person, "rule move WGMI MARA")

    assert overlap_lines(["rule 3 `5d 18pp on MARA/BTC`"], "Rule 1") == answer.splitlines()[2:]


async def test_the_editor_names_overlaps_before_and_after_it_saves(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await add_rules(harness, ["5d 15pp", "5d 20pp"])
    await person.presses("edit_rule", "2:5d 20pp")
    preview = json.dumps(slack.views()[-1], ensure_ascii=False)
    await person.submits({**slack.views("views.open")[-1], "id": "V1"}, {"threshold": "18"})

    assert f"It overlaps rule 1 `5d 15pp`: {SHARED}" in preview
    assert overlap_lines(["rule 1 `5d 15pp`"]) == section_text(slack.responses[-1]).splitlines()[3:]

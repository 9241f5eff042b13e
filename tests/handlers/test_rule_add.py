"""What `rule add` checks before it saves a rule, and what it says about the rules that are there."""

import httpx
import pytest

from services.core.errors import NoHistoryError
from tests.fakes.harness import CHANNEL, Harness
from tests.fakes.slack import Person
from tests.handlers.conftest import reply_to


@pytest.mark.parametrize(
    ("typed", "vendor", "expected"),
    [
        pytest.param("5d 15pp on NOPE/BTC", "yahoo", "knows no symbol", id="an ETF"),
        pytest.param("5d 15pp on WGMI/NOPE", "yahoo", "knows no symbol", id="the other leg"),
        pytest.param("5d 15pp on WGMI/ETH", "coinbase", "trades no ETH", id="a coin"),
        pytest.param("1d hashprice 10% on NOPE/BTC", "yahoo", "knows no symbol", id="a rule on the network"),
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


@pytest.mark.parametrize(
    ("existing", "added", "overlaps"),
    [
        pytest.param(["5d 15pp"], "5d 20pp", ["rule 1 `5d 15pp`"], id="another threshold"),
        pytest.param(["5d 15pp above"], "5d 20pp", ["rule 1 `5d 15pp above`"], id="a common side"),
        pytest.param(["5d 15pp"], "5d 15pp at close", ["rule 1 `5d 15pp`"], id="another time"),
        pytest.param(["5d 15pp above"], "5d 15pp below", [], id="no common side"),
        pytest.param(["5d 15pp"], "20d 15pp", [], id="another window"),
        pytest.param(["5d 15pp"], "5d residual 15pp", [], id="another metric"),
        pytest.param(["5d 15pp"], "5d 15pp on MARA/BTC", [], id="another pair"),
        pytest.param(["5d 15pp", "5d 20pp"], "5d 18pp", ["rule 1 `5d 15pp`", "rule 2 `5d 20pp`"], id="two"),
    ],
)
async def test_a_rule_that_overlaps_others_says_so(
    person: Person, harness: Harness, existing: list[str], added: str, overlaps: list[str]
) -> None:
    for text in existing:
        await harness.commands.add_rule(CHANNEL, text, "U1")
    answer = await reply_to(person, f"rule add {added}")

    first, *rest = answer.splitlines()
    assert f"Rule {len(existing) + 1} `{added}` is added: " in first
    expected = (
        [f"It overlaps {' and '.join(overlaps)}: if they fire together, they share one alert. To keep only the new "]
        if overlaps
        else []
    )
    assert expected == [line.partition("rule, type")[0] for line in rest]

"""`minerpulse tune` on price files, as text and JSON."""

import json
from pathlib import Path

import pytest

from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.bot.conftest import RunCli
from tests.bot.files import price_options
from tests.fakes.market import random_market

MARKET, FIRST = random_market(400), "2022-02-08"


@pytest.fixture
def files(clean: Path) -> list[str | Path]:
    """The options for both files."""
    return price_options(clean, MARKET.etf.tolist(), MARKET.crypto.tolist(), FIRST)


def test_the_document_has_the_rule_its_rate_and_its_changes(minerpulse: RunCli, files: list[str | Path]) -> None:
    result = minerpulse("tune", "5d", "1/month", *files, "--against", "5d 15pp", "--against", "1d 8pp", "--json")
    assert (result.code, result.err) == (0, "")
    document = json.loads(result.out)
    assert replay(MARKET, [parse_rule(document["rule"])]).rules[0].episodes == document["episodes"]
    assert (12.0, "5d") == (document["wanted_per_year"], document["rule"].split()[0])
    assert ["5d 15pp"] == [one["rule"] for one in document["against"]]
    assert (3, None, None) == (document["half_years"], document["next_12_months"], document["check"]["promised"])
    assert [] == document["calendar_years"]


def test_a_rule_is_found_as_in_slack(minerpulse: RunCli, files: list[str | Path]) -> None:
    result = minerpulse("tune", "5d 1/month", *files)
    assert result.code == 0
    assert result.out.splitlines()[0].endswith(" alerts a year, target 12")
    assert "Compared with 5d 15pp: " in result.out


def test_an_invalid_target_is_an_error_with_a_marked_word(minerpulse: RunCli, files: list[str | Path]) -> None:
    result = minerpulse("tune", "5d", "often", *files)
    assert result.code == 2
    assert "5d often\n   ^^^^^" in result.err

"""`minerpulse tune` finds a rule for a rate from price files, in the words of Slack and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.bot.conftest import Ran
from tests.bot.files import btc_file, etf_file
from tests.fakes.market import random_market

MARKET, FIRST = random_market(400), "2022-02-08"


@pytest.fixture
def files(clean: Path) -> list[str | Path]:
    """The options that name both files."""
    etf, btc = etf_file(clean, MARKET.etf.tolist(), FIRST), btc_file(clean, MARKET.crypto.tolist(), FIRST)
    return ["--etf", etf, "--btc", btc]


def test_the_document_holds_the_rule_its_rate_and_what_it_would_change(
    minerpulse: Callable[..., Ran], files: list[str | Path]
) -> None:
    ran = minerpulse("tune", "5d", "1/month", *files, "--against", "5d 15pp", "--against", "1d 8pp", "--json")
    assert (ran.code, ran.err) == (0, "")
    document = json.loads(ran.out)
    assert replay(MARKET, [parse_rule(document["rule"])]).rules[0].episodes == document["episodes"]
    assert (12.0, "5d") == (document["wanted_per_year"], document["rule"].split()[0])
    assert ["5d 15pp"] == [one["rule"] for one in document["against"]]
    assert document["check"]["low"] < document["check"]["per_year"] < document["check"]["high"]


def test_a_rule_is_found_as_in_slack(minerpulse: Callable[..., Ran], files: list[str | Path]) -> None:
    ran = minerpulse("tune", "5d 1/month", *files)
    assert ran.code == 0
    assert ran.out.splitlines()[0].endswith(" alerts a year, 12 wanted")
    assert "Against 5d 15pp: " in ran.out


def test_what_is_no_wish_is_shown_with_the_word_marked(minerpulse: Callable[..., Ran], files: list[str | Path]) -> None:
    ran = minerpulse("tune", "5d", "often", *files)
    assert ran.code == 2
    assert "5d often\n   ^^^^^" in ran.err

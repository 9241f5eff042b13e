from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from handlers.render.message import Message
from handlers.render.tune import Using, tune_message
from services.alerting.records import ChannelRule
from services.channels.rule_placement import find_placement
from services.research.rate_target import parse_target
from services.research.results import Provenance, TuneResult
from services.research.tune import calibrated
from services.rules.decide import RuleState
from services.rules.grammar import parse_rule
from tests.fakes.alerts import AT, DESK
from tests.fakes.market import random_market

Golden = Callable[[str, "Message"], None]
MARKET = random_market(1000)
RULES = [parse_rule(text) for text in ("5d 15pp", "1d 8pp", "5d 8pp")]


def told(wish: str = "5d 2/month", basis: Provenance | None = None) -> TuneResult:
    found, shifts = calibrated(MARKET, parse_target(wish, RULES[0]), RULES)
    return TuneResult(tuned=found, shifts=shifts, basis=basis or Provenance())


def test_a_rule_for_a_wanted_rate(golden: Golden) -> None:
    golden("tune", tune_message(told()))


def test_a_rule_for_a_wanted_rate_with_the_place_that_it_would_take(golden: Golden) -> None:
    found = told()
    watch = ChannelRule(id=3, channel=DESK, rule=RULES[0], state=RuleState(), created_by="U1", created_at=AT)
    using = Using(slot=find_placement([watch], found.tuned.rule), wish="5d 2/month")
    golden("tune_to_use", tune_message(found, using))


def test_only_rules_that_watch_the_same_are_compared() -> None:
    text = tune_message(told()).text
    assert ["5d 15pp", "5d 8pp"] == [str(one.against) for one in told().shifts]
    assert "*Against `1d 8pp`*" not in text


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        pytest.param(20.0, 30.0, "The 24 wanted lie within it: nothing here speaks against them.", id="held"),
        pytest.param(26.0, 40.0, "The 24 wanted lie below it: it fired more often since", id="too many"),
        pytest.param(2.0, 9.0, "The 24 wanted lie above it: it fired less often since", id="too few"),
    ],
)
def test_the_check_says_what_speaks_against_the_rate(low: float, high: float, verdict: str) -> None:
    found = told()
    assert found.tuned.check is not None
    check = replace(found.tuned.check, low=low, high=high)
    assert verdict in tune_message(replace(found, tuned=replace(found.tuned, check=check))).text


def test_a_rule_that_never_fired_again_is_not_said_to_have_kept_its_rate() -> None:
    """No alert in two years can be chance where one a year was wanted, and is no proof that one a year came."""
    found = told()
    assert found.tuned.check is not None
    check = replace(found.tuned.check, episodes=0, per_year=0.0, low=0.0, high=1.4)
    tuned = replace(found.tuned, check=check, wish=replace(found.tuned.wish, per_year=1))
    text = tune_message(replace(found, tuned=tuned)).text
    assert "fired 0 times, 0.0 a year; 90% interval 0.0 to 1.4.\nThe 1 wanted lie within it: nothing here" in text
    assert "carried over" not in text


def test_a_history_too_short_for_a_check_says_so_and_simulated_prices_are_named() -> None:
    text = tune_message(told("60d 0.3/year", Provenance(simulated=True))).text
    assert text.startswith("SIMULATED: 60d ")
    assert "*Out of sample*: half of the history is too short for a check." in text

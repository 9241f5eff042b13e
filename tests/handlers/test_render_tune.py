from dataclasses import replace

import pytest

from handlers.render.tune import TuneOffer, tune_message
from services.alerting.ports import ChannelRule
from services.channels.rule_placement import find_placement
from services.research.service import Provenance, TuneResult
from services.research.tune import parse_target, tune_with_diffs
from services.rules.decide import RuleState
from services.rules.grammar import parse_rule
from tests.fakes.alerts import AT, CHANNEL
from tests.fakes.market import random_market
from tests.handlers.conftest import Golden

MARKET = random_market(1000)
RULES = [parse_rule(text) for text in ("5d 15pp", "1d 8pp", "5d 8pp")]


def a_result(target: str = "5d 2/month", provenance: Provenance | None = None) -> TuneResult:
    tuned, diffs = tune_with_diffs(MARKET, parse_target(target, RULES[0]), RULES)
    return TuneResult(tuned=tuned, diffs=diffs, provenance=provenance or Provenance())


def test_a_tuned_rule(golden: Golden) -> None:
    golden("tune", tune_message(a_result()))


def test_a_tuned_rule_with_an_offer_to_use_it(golden: Golden) -> None:
    result = a_result()
    channel_rule = ChannelRule(id=3, channel=CHANNEL, rule=RULES[0], state=RuleState(), created_by="U1", created_at=AT)
    offer = TuneOffer(placement=find_placement([channel_rule], result.tuned.rule), target="5d 2/month")
    golden("tune_to_use", tune_message(result, offer))


def test_only_rules_on_the_same_metric_and_window_are_compared() -> None:
    text = tune_message(a_result()).text
    assert ["5d 15pp", "5d 8pp"] == [str(diff.against) for diff in a_result().diffs]
    assert "*Against `1d 8pp`*" not in text


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        pytest.param(20.0, 30.0, "The 24 wanted lie within it: nothing here speaks against them.", id="held"),
        pytest.param(26.0, 40.0, "The 24 wanted lie below it: it fired more often since", id="too many"),
        pytest.param(2.0, 9.0, "The 24 wanted lie above it: it fired less often since", id="too few"),
    ],
)
def test_the_out_of_sample_check_compares_the_target_with_its_interval(low: float, high: float, verdict: str) -> None:
    result = a_result()
    assert result.tuned.check is not None
    check = replace(result.tuned.check, low=low, high=high)
    assert verdict in tune_message(replace(result, tuned=replace(result.tuned, check=check))).text


def test_a_rule_that_never_fired_again_does_not_confirm_its_rate() -> None:
    """No alert in two years can be chance at a target of one a year, and doesn't confirm that rate."""
    result = a_result()
    assert result.tuned.check is not None
    check = replace(result.tuned.check, episodes=0, per_year=0.0, low=0.0, high=1.4)
    tuned = replace(result.tuned, check=check, target=replace(result.tuned.target, per_year=1))
    text = tune_message(replace(result, tuned=tuned)).text
    assert "fired 0 times, 0.0 a year; 90% interval 0.0 to 1.4.\nThe 1 wanted lie within it: nothing here" in text
    assert "carried over" not in text


def test_a_history_too_short_for_a_check_says_so_and_simulated_prices_are_marked() -> None:
    text = tune_message(a_result("60d 0.3/year", Provenance(simulated=True))).text
    assert text.startswith("SIMULATED: 60d ")
    assert "*Out of sample*: half of the history is too short for a check." in text

from dataclasses import replace

import pytest

from handlers.render.tune import TuneOffer, tune_message
from services.alerting.ports import ChannelRule
from services.channels.rule_placement import find_placement
from services.core.intervals import CountRange, Dispersion
from services.research.service import Provenance, TuneResult
from services.research.tune import YearCount, parse_target, tune_with_diffs
from services.rules.decide import RuleState
from services.rules.grammar import parse_rule
from tests.fakes.alerts import AT, CHANNEL
from tests.fakes.blockkit import shown
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
    text = shown(tune_message(a_result()))
    assert ["5d 15pp", "5d 8pp"] == [str(diff.against) for diff in a_result().diffs]
    assert "Compared with `5d 15pp`: 62 added (latest Dec 4, 2025; Nov 14, 2025; Oct 30, 2025), none dropped." in text
    assert "Compared with `1d 8pp`" not in text


def test_a_tuned_level_clears_behind_it_and_has_no_hold_time() -> None:
    """Levels are decided at closes, and clear 0.1 past the threshold."""
    lines = shown(tune_message(a_result("60d correlation 2/year"))).splitlines()
    rule = parse_rule(lines[0].split(":")[0])

    assert f"Threshold *{rule.threshold:.2f}*, clear *{rule.threshold + 0.1:.2f}*" == lines[2]
    assert lines[-1].startswith("Based on session closes · clear level 0.1 above the threshold · ")


def text_with(promised: CountRange | None, episodes: int) -> str:
    result = a_result()
    assert result.tuned.check is not None
    check = replace(result.tuned.check, promised=promised, episodes=episodes)
    return shown(tune_message(replace(result, tuned=replace(result.tuned, check=check))))


@pytest.mark.parametrize(
    ("promised", "episodes", "verdict"),
    [
        pytest.param(CountRange(20, 60), 47, "Expected 20 to 60 alerts in the 2.0 years since; 47 fired.", id="held"),
        pytest.param(CountRange(20, 40), 47, "; 47 fired, more than expected.", id="too many"),
        pytest.param(CountRange(20, 40), 0, "; 0 fired, fewer than expected.", id="none came"),
        pytest.param(
            None, 1, "The first half is too short for an interval; 1 alert fired in the 2.0 years since.", id="no range"
        ),
    ],
)
def test_the_out_of_sample_check_says_what_was_promised_and_what_came(
    promised: CountRange | None, episodes: int, verdict: str
) -> None:
    assert verdict in text_with(promised, episodes)


def test_the_rate_has_a_range_and_the_extreme_calendar_years() -> None:
    result = a_result()
    years = (YearCount(2023, 30), YearCount(2024, 18), YearCount(2025, 25))
    tuned = replace(result.tuned, next_year=CountRange(13, 38), calendar_years=years)

    text = shown(tune_message(replace(result, tuned=tuned)))

    assert "a year on average* (96 in 3.9 years); expect 13 to 38 in the next 12 months (90% interval)." in text
    assert "By calendar year, 18 (2024) to 30 (2023)." in text


def test_a_short_history_has_no_range() -> None:
    result = a_result()
    tuned = replace(result.tuned, next_year=None, calendar_years=(YearCount(2023, 30),), scaled=None)

    text = shown(tune_message(replace(result, tuned=tuned)))

    assert "; no range: it needs 4 half-years of history.\n" in text
    assert "By calendar year" not in text
    assert "Scaled by volatility" not in text


def test_the_scaled_rule_is_shown_with_how_evenly_both_fired() -> None:
    text = shown(tune_message(a_result()))

    assert "*Scaled by volatility:* `5d 1.1sigma`. *" in text
    assert "Alerts per half-year, variance ÷ mean (1 if random): 0.5 for `5d 8.8pp`, 0.5 for `5d 1.1sigma`." in text


def test_three_half_years_say_nothing_about_evenness() -> None:
    result = a_result()
    tuned = replace(result.tuned, dispersion=Dispersion(0.5, 3))

    assert "Variance over mean" not in shown(tune_message(replace(result, tuned=tuned)))


def test_a_history_too_short_for_a_check_says_so_and_simulated_prices_are_marked() -> None:
    text = shown(tune_message(a_result("60d 0.3/year", Provenance(simulated=True))))
    assert text.startswith("SIMULATED · 60d ")
    assert "*Out-of-sample check:* not possible, half of the history is too short" in text

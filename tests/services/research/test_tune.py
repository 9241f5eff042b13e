from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from services.core.errors import ReplayError
from services.research.rate_target import parse_target, print_target
from services.research.track_record import backtest
from services.research.tune import TunedRule, diff_rules, half_rate_rule, tune, tune_with_diffs
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.fakes.market import aligned_market, random_market

MARKET = random_market(1000)
TEMPLATE = parse_rule("1d 8pp")


def tuned(text: str) -> TunedRule:
    return tune(MARKET, parse_target(text, TEMPLATE))


@pytest.mark.parametrize(
    "target", ["1d 1/month", "5d 2/month", "20d 4/year", "1d z 10/year", "20d residual below 1/quarter", "60d 3/year"]
)
def test_the_tuned_rule_fires_at_the_target_rate(target: str) -> None:
    result = tuned(target)
    replayed = replay(MARKET, [result.rule]).rules[0]
    assert replayed.episodes == result.episodes
    assert replayed.per_year == pytest.approx(result.per_year)
    assert result.target.per_year == pytest.approx(result.per_year, rel=0.15)
    assert result.rule == parse_rule(str(result.rule))


def test_the_search_equals_a_full_scan() -> None:
    result = tuned("5d 2/month")
    wanted = 24 * result.years
    candidates = [parse_rule(f"5d {step / 10}pp") for step in range(60, 140)]
    counts = {rule_result.rule: rule_result.episodes for rule_result in replay(MARKET, candidates).rules}
    assert min(abs(rule_result - wanted) for rule_result in counts.values()) == abs(counts[result.rule] - wanted)


def test_the_check_tunes_on_the_first_half_and_counts_in_the_second() -> None:
    result = tuned("5d 2/month").check
    assert result is not None
    row = int(np.searchsorted(MARKET.sessions, np.datetime64(result.since)))
    after = replay(MARKET, [result.rule], first=result.since).rules[0]
    assert (502, after.episodes) == (row, result.episodes)  # of 995 sessions with a 5-session spread
    assert result.low < result.per_year < result.high


def test_the_check_does_not_see_the_second_half() -> None:
    changed = replace(MARKET, etf=np.append(MARKET.etf[:502], np.geomspace(MARKET.etf[502], 1e6, 498)))
    expected, actual = tuned("5d 2/month").check, tune(changed, parse_target("5d 2/month", TEMPLATE)).check
    assert expected is not None
    assert actual is not None
    assert expected.rule == actual.rule
    assert expected.episodes != actual.episodes


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        pytest.param("5d 40/month", "No threshold fires 480 times a year; the nearest, 5d 0", id="too often"),
        pytest.param("5d 0.2/year", "3.9 years of history are too short for 0.2 alerts a year", id="too seldom"),
    ],
)
def test_an_unreachable_rate_raises(target: str, reason: str) -> None:
    with pytest.raises(ReplayError, match=reason):
        tuned(target)


def test_a_history_too_short_for_a_check_has_none() -> None:
    assert tuned("60d 0.3/year").check is None


def test_a_gap_rule_cannot_be_tuned() -> None:
    with pytest.raises(ReplayError, match="only while the ETF is shut"):
        tune(MARKET, replace(parse_target("5d 2/month", TEMPLATE), rule=parse_rule("gap 5%")))


def test_a_lower_threshold_only_adds_alerts() -> None:
    old, new = parse_rule("5d 15pp"), parse_rule("5d 12pp")
    diff, reverse = diff_rules(MARKET, old, new), diff_rules(MARKET, new, old)
    assert diff.added == reverse.removed
    assert () == diff.removed == reverse.added
    fired = {rule_result.fired_on for rule_result in backtest(MARKET, new).episodes}
    assert diff.added
    assert set(diff.added) < fired


def test_an_alert_of_both_rules_counts_in_neither() -> None:
    """Both rules fire on the two rises; only the new one fires on the fall after them."""
    market = aligned_market([100, 109, 109, 109, 109, 120, 120, 120, 120, 120, 111, 111], [100.0] * 12)
    diff = diff_rules(market, parse_rule("1d 8pp above"), parse_rule("1d 7pp either clear 1pp"))
    assert (0, 1) == (len(diff.removed), len(diff.added))
    assert "2024-01-17" == f"{diff.added[0]}"


def test_a_tuned_rule_is_compared_with_rules_on_the_same_metric() -> None:
    same, other = parse_rule("5d 15pp"), parse_rule("1d 8pp")

    result, shifts = tune_with_diffs(MARKET, parse_target("5d 2/month", TEMPLATE), [other, same])

    assert tuned("5d 2/month") == result
    assert (diff_rules(MARKET, same, result.rule),) == shifts


def test_the_half_rate_rule_has_a_larger_threshold() -> None:
    result = half_rate_rule(MARKET, parse_rule("1d 5pp for 10m"))
    assert result is not None
    assert result.tuned.rule.threshold > 0.05
    assert result.per_year_before / 2 == pytest.approx(result.tuned.per_year, rel=0.15)
    assert timedelta(minutes=10) == result.tuned.rule.hold
    assert result.tuned.target == parse_target(print_target(result.tuned.target), parse_rule("1d 5pp for 10m"))


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("1d 90pp", id="never fired"),
        pytest.param("drawdown 1%", id="a larger threshold fires more often"),
    ],
)
def test_a_rule_without_a_half_rate_has_none(rule: str) -> None:
    assert half_rate_rule(MARKET, parse_rule(rule)) is None

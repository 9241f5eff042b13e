from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from services.core.errors import ReplayError, RuleError
from services.core.intervals import count_range, dispersion_of
from services.market.measure import Window, spread_series
from services.market.metrics import DRAWDOWN, RESIDUAL, SPREAD, Direction, Metric, Z
from services.research.track_record import backtest
from services.research.tune import (
    TunedRule,
    count_firings,
    diff_rules,
    firings,
    half_rate_rule,
    parse_target,
    print_target,
    tune,
    tune_with_diffs,
)
from services.rules.decide import Change
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.fakes.market import aligned_market, random_market
from tests.fakes.price_files import needs_data, real_pair

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
    assert (None, 498 / 252) == (result.promised, result.years)
    assert after.per_year == pytest.approx(result.per_year)


def test_the_first_half_promises_a_range_for_the_second() -> None:
    market = random_market(1300)
    result = tune(market, parse_target("5d 2/month", TEMPLATE))
    assert result.check is not None
    values = spread_series(market, Window.D5)
    first = values[np.isfinite(values)][:647]
    fired = firings(first, result.check.rule)
    promised = count_range(len(fired), 647 / 252, dispersion_of(fired, 647), ahead=648 / 252)
    assert promised == result.check.promised
    assert promised is not None
    assert result.check.episodes in promised


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
        pytest.param("5d 40/month", "No threshold fires 480 times a year. The nearest, 5d 0", id="too often"),
        pytest.param("5d 0.2/year", "3.9 years of history is too short for 0.2 alerts a year", id="too seldom"),
    ],
)
def test_an_unreachable_rate_raises(target: str, reason: str) -> None:
    with pytest.raises(ReplayError, match=reason):
        tuned(target)


def test_a_history_too_short_for_a_check_has_none() -> None:
    assert tuned("60d 0.3/year").check is None


def test_a_gap_rule_cannot_be_tuned() -> None:
    with pytest.raises(ReplayError, match="only while the market is closed"):
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

    assert replace(result, scaled=None) == tuned("5d 2/month")
    assert result.scaled is not None
    assert tuned("5d sigma 2/month") == replace(result.scaled, target=tuned("5d sigma 2/month").target)
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


OTHER_PAIR = parse_rule("1d 8pp on MARA/BTC")


@pytest.mark.parametrize(
    ("text", "window", "metric", "direction", "per_year"),
    [
        pytest.param("5d 2/month", Window.D5, SPREAD, Direction.EITHER, 24, id="a window and a rate"),
        pytest.param("20D Residual below 1/quarter", Window.D20, RESIDUAL, Direction.BELOW, 4, id="all"),
        pytest.param("0.5/week 1d z", Window.D1, Z, Direction.EITHER, 26, id="in any order"),
        pytest.param("drawdown 1/year", None, DRAWDOWN, Direction.EITHER, 1, id="no window"),
        pytest.param("5 days, 2 per month.", Window.D5, SPREAD, Direction.EITHER, 24, id="in words"),
        pytest.param("twice a month 5d", Window.D5, SPREAD, Direction.EITHER, 24, id="a count in words"),
        pytest.param("5d 2 alerts per mo", Window.D5, SPREAD, Direction.EITHER, 24, id="a noun and a short month"),
        pytest.param("5d drawdown 1/year", None, DRAWDOWN, Direction.EITHER, 1, id="an unused window"),
    ],
)
def test_a_target_is_parsed(text: str, window: Window, metric: Metric, direction: Direction, per_year: float) -> None:
    target = parse_target(text, OTHER_PAIR)
    rule = target.rule
    assert (window, metric, direction, per_year) == (rule.window, rule.metric, rule.direction, target.per_year)
    assert OTHER_PAIR.pair == rule.pair


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        pytest.param("5d 2/fortnight", "2/fortnight", "a window, a metric or a rate", id="invalid rate"),
        pytest.param("5d 0/month", "0/month", "a window, a metric or a rate", id="zero rate"),
        pytest.param("gap 2/month", "gap", "a window, a metric or a rate", id="metric without closes"),
        pytest.param("5d", "", "a number of alerts", id="rate missing"),
        pytest.param(
            "60d correlation either 2/year", "", "“above” or “below”, because a correlation", id="both sides of a level"
        ),
        pytest.param("60d z 2/year", "", "1d, 5d or 20d", id="a window that is no longer offered"),
        pytest.param("2/month", "", "a window (1d 5d 20d 60d 252d ytd)", id="window missing"),
        pytest.param("", "", "a number of alerts", id="empty text"),
    ],
)
def test_an_invalid_target_names_the_word(text: str, word: str, expected: str) -> None:
    with pytest.raises(RuleError) as raised:
        parse_target(text, OTHER_PAIR)
    assert word == raised.value.word
    assert raised.value.expected.startswith(expected)


@pytest.mark.parametrize("text", ["5d 9/year", "20d residual below 4/year", "drawdown above 1.5/year"])
def test_a_target_prints_as_it_was_parsed(text: str) -> None:
    assert text == print_target(parse_target(text, parse_rule("1d 8pp")))


SHORT_MARKET = random_market(600)


@pytest.mark.parametrize("direction", ["", " above", " below"], ids=["either", "above", "below"])
@pytest.mark.parametrize("threshold", ["1pp", "4pp", "8pp", "8pp clear 8pp", "8pp clear 0.5pp", "20pp"])
@pytest.mark.parametrize("window", ["1d", "5d", "20d"])
def test_firings_equal_those_of_a_replay(window: str, threshold: str, direction: str) -> None:
    words = threshold.split(" ", 1)
    rule = parse_rule(f"{window} {words[0]}{direction} {' '.join(words[1:])}")
    replayed = replay(SHORT_MARKET, [rule]).rules[0]
    values = spread_series(SHORT_MARKET, Window(window))
    known = np.flatnonzero(np.isfinite(values))
    days = SHORT_MARKET.sessions[known[firings(values[known], rule)]].tolist()
    assert [step.session for step in replayed.steps if step.change is Change.FIRING] == days
    assert replayed.episodes == count_firings(values[known], rule)


@needs_data
@pytest.mark.parametrize(
    ("symbol", "target", "threshold", "episodes", "years", "blocks", "dispersion", "next_year"),
    [
        ("WGMI", "1d 12/year", 0.077, 49, 4.15079, 8, 1.55977, (4, 23)),
        ("WGMI", "5d 12/year", 0.128, 51, 4.13492, 8, 1.0, (6, 21)),
        ("MARA", "1d 12/year", 0.117, 76, 6.25397, 12, 4.42424, (2, 31)),
        ("CLSK", "1d 12/year", 0.127, 76, 6.25397, 12, 6.82078, (1, 36)),
        ("SMH", "1d 12/year", 0.073, 76, 6.25397, 12, 3.17926, (3, 27)),
    ],
)
def test_tuning_on_real_prices_equals_an_independent_computation(
    symbol: str,
    target: str,
    threshold: float,
    episodes: int,
    years: float,
    blocks: int,
    dispersion: float,
    next_year: tuple[int, int],
) -> None:
    market = real_pair(symbol)

    result = tune(market, parse_target(target, parse_rule("1d 8pp", market.pair)))

    assert (threshold, episodes, blocks, next_year) == (
        result.rule.threshold,
        result.episodes,
        result.dispersion.blocks,
        result.next_year,
    )
    assert (years, dispersion) == tuple(float(f"{value:.6g}") for value in (result.years, result.dispersion.ratio))


@needs_data
def test_a_scaled_rule_stands_beside_the_fixed_threshold_and_fires_more_evenly() -> None:
    result, _ = tune_with_diffs(real_pair(), parse_target("1d 12/year", TEMPLATE), [])
    scaled = result.scaled
    assert scaled is not None
    assert ("1d 2.2sigma", 45, 7, (5, 20)) == (
        str(scaled.rule),
        scaled.episodes,
        scaled.dispersion.blocks,
        scaled.next_year,
    )
    assert 3.9127 == round(scaled.years, 4)
    assert scaled.dispersion.variance_to_mean < result.dispersion.variance_to_mean


def test_a_metric_without_a_scaled_one_and_a_history_too_short_for_it_have_none() -> None:
    residual, _ = tune_with_diffs(MARKET, parse_target("5d residual 2/month", TEMPLATE), [])
    short, _ = tune_with_diffs(MARKET.head(62), parse_target("1d 3/month", TEMPLATE), [])

    assert (None, None) == (residual.scaled, short.scaled)


def test_calendar_years_are_complete_ones() -> None:
    """The simulated history begins in February 2022 and ends in January 2026."""
    result = tuned("1d 1/month")

    assert [2023, 2024, 2025] == [year for year, _ in result.calendar_years]
    fired = [episode.fired_on.year for episode in backtest(MARKET, result.rule).episodes]
    assert [(year, fired.count(year)) for year in (2023, 2024, 2025)] == [tuple(one) for one in result.calendar_years]


def test_the_range_of_a_short_history_is_unknown() -> None:
    short = tune(MARKET.head(500), parse_target("1d 1/month", TEMPLATE))

    assert (3, None) == (short.dispersion.blocks, short.next_year)

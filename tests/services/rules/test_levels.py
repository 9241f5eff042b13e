"""Rules on levels, which are compared as they are, and on moves scaled by volatility."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from services.core.reason import Code
from services.market.measure import Window, sigma_series, spread_series
from services.market.metrics import MOVE, SIGMA_FLOOR
from services.research.track_record import backtest
from services.research.tune import count_firings, firings, half_rate_rule, parse_target, tune
from services.rules.decide import Change, Observation, RuleState, Side, decide
from services.rules.grammar import parse_rule
from services.rules.prefilter import RulePrefilter
from services.rules.replay import replay
from services.rules.rule import levels_of
from tests.fakes.market import random_market
from tests.fakes.price_files import needs_data, real_pair

AT = datetime(2026, 3, 4, 21, tzinfo=UTC)
BELOW, ABOVE = parse_rule("60d correlation 0.4 below"), parse_rule("60d beta 1.5 above clear 1.2")
MARKET = random_market(700)


def decided(text: str, values: list[float]) -> list[tuple[int, str, str]]:
    """Return the number of each close at which a rule changes, how, and on which side."""
    state, changes = RuleState(), []
    for day, value in enumerate(values):
        at = AT + day * timedelta(days=1)
        decision = decide(state, Observation(at=at, value=value, at_close=True), parse_rule(text), at)
        state = decision.state
        changes += [(day, one.change.value, one.side.value) for one in decision.transitions]
    return changes


def test_a_level_below_fires_at_it_and_resolves_above_its_clear_level() -> None:
    values = [0.7, 0.41, 0.4, 0.2, -0.3, 0.45, 0.5, 0.51, 0.45]

    assert [(2, "firing", "below"), (7, "resolved", "below")] == decided("60d correlation 0.4", values)


def test_a_level_above_fires_at_it_and_resolves_below_its_clear_level() -> None:
    values = [1.0, 1.49, 1.5, 2.0, 1.3, 1.2, 1.19, -2.0, 1.6]

    assert [(2, "firing", "above"), (6, "resolved", "above"), (8, "firing", "above")] == decided(str(ABOVE), values)


@pytest.mark.parametrize("rule", [BELOW, ABOVE], ids=str)
def test_the_prefilter_finds_every_close_that_changes_a_level(rule: object) -> None:
    values = np.round(np.random.default_rng(2).normal(0.8, 0.7, 300), 2).tolist()
    parsed, state = parse_rule(str(rule)), RuleState()
    found = RulePrefilter.from_rules([parsed], [state], [0])
    for day, value in enumerate(values):
        at = AT + day * timedelta(days=1)
        decision = decide(state, Observation(at=at, value=value, at_close=True), parsed, at)
        if decision.transitions:
            assert [0] == found.may_change(np.array([value]), at).tolist()
        state = decision.state
        found.update(0, parsed, state)


@pytest.mark.parametrize("text", ["60d correlation 0.6", "60d beta 0.9 above", "60d beta 0.95 below clear 1.1"])
def test_the_firings_of_a_level_in_a_series_are_those_of_a_replay(text: str) -> None:
    rule = parse_rule(text)
    series = rule.metric.series
    assert series is not None
    values = series(MARKET, Window.D60)
    known = np.flatnonzero(np.isfinite(values))

    replayed = replay(MARKET, [rule]).rules[0]

    fired = [step.session for step in replayed.steps if step.change is Change.FIRING]
    assert fired
    assert MARKET.sessions[known[firings(values[known], rule)]].tolist() == fired
    assert count_firings(values[known], rule) == replayed.episodes


def test_the_worst_value_of_a_level_below_is_its_lowest() -> None:
    (episode, *_) = backtest(MARKET, parse_rule("60d correlation 0.6")).episodes

    assert episode.side is Side.BELOW
    assert episode.peak <= episode.value <= 0.6


@pytest.mark.parametrize("target", ["60d correlation 2/year", "60d beta above 2/year", "60d btc 4/year"])
def test_levels_and_legs_are_tuned(target: str) -> None:
    result = tune(MARKET, parse_target(target, parse_rule("1d 8pp")))

    assert result.target.per_year == pytest.approx(result.per_year, rel=0.4)
    assert result.rule == parse_rule(str(result.rule))


def test_a_level_that_fires_half_as_often_is_further_out() -> None:
    rule = parse_rule("60d correlation 0.6")

    result = half_rate_rule(MARKET, rule)

    assert result is not None
    assert result.tuned.rule.threshold < rule.threshold


@needs_data
def test_the_correlation_of_real_prices_falls_below_its_level_in_september_2025() -> None:
    steps = replay(real_pair(), [parse_rule("60d correlation below 0.4 clear 0.5")]).rules[0].steps

    found = [(step.session, step.change, round(step.value, 3)) for step in steps if step.session >= date(2025, 7, 1)]
    assert (date(2025, 9, 9), Change.FIRING, 0.359) == found[0]
    assert (date(2025, 11, 24), Change.RESOLVED) == found[1][:2]


@needs_data
@pytest.mark.parametrize(("text", "per_year"), [("1d 2.2sigma", 11.50), ("5d 1.6sigma", 12.32), ("20d 1.4sigma", 6.51)])
def test_sigma_rules_fire_as_often_as_an_independent_computation_says(text: str, per_year: float) -> None:
    rule = parse_rule(text)
    values = sigma_series(real_pair(), rule.window or Window.D1)
    values = values[np.isfinite(values)]

    assert per_year == round(count_firings(values, rule) / len(values) * 252, 2)


@needs_data
@pytest.mark.parametrize(("symbol", "without_floor", "with_floor"), [("IBIT", 21, 0), ("WGMI", 45, 45)])
def test_a_sigma_rule_needs_a_spread_of_1_pp(symbol: str, without_floor: int, with_floor: int) -> None:
    market = real_pair(symbol)
    rule = parse_rule("1d 2.2sigma", market.pair)
    values = sigma_series(market, Window.D1)

    assert without_floor == count_firings(values[np.isfinite(values)], rule)
    assert with_floor == replay(market, [rule]).rules[0].episodes


@pytest.mark.parametrize("window", Window, ids=lambda window: window.value)
def test_a_move_below_1_pp_counts_as_no_move(window: Window) -> None:
    assert MOVE.series is not None
    watched, moves = MOVE.series(MARKET, window), sigma_series(MARKET, window)
    small = np.abs(spread_series(MARKET, window)) < SIGMA_FLOOR

    np.testing.assert_array_equal(np.where(small & np.isfinite(moves), 0.0, moves), watched)


def test_the_levels_of_a_level_are_not_mirrored() -> None:
    assert (np.inf, 0.4, np.inf, -np.inf) == tuple(levels_of(BELOW))
    assert (1.5, -np.inf, np.inf, -np.inf) == tuple(levels_of(ABOVE))


def test_a_cleared_level_says_that_it_is_past_its_clear_level() -> None:
    state = RuleState(firing=Side.BELOW, fired_at=AT)

    decision = decide(state, Observation(at=AT, value=0.52, at_close=True), replace(BELOW), AT)

    assert decision.reason.code is Code.RULE_CLEARED

from dataclasses import replace
from math import log

import numpy as np
import pytest

from services.core.volatility import ewma_volatility
from services.market.align import Aligned
from services.market.measure import daily_relative_returns
from services.research.follow_up import FollowUp, Outcome, summarize_outcomes
from services.research.track_record import Backtest, backtest
from services.rules.grammar import parse_rule
from tests.fakes.market import aligned_market, random_market
from tests.fakes.price_files import needs_data, real_pair

FLAT = [100.0] * 9


def followed(result: Backtest) -> FollowUp:
    follow_up = result.follow_up
    assert follow_up is not None
    return follow_up


@pytest.mark.parametrize(
    ("later", "closed"),
    [pytest.param(104.0, True, id="below the clear level"), pytest.param(110.0, False, id="still above")],
)
def test_a_gap_has_closed_if_it_is_inside_the_clear_level_5_sessions_later(later: float, closed: bool) -> None:
    market = aligned_market([*FLAT, 112.0, *[112.0] * 4, later], [100.0] * 15)

    follow_up = followed(backtest(market, parse_rule("1d 10pp")))

    assert (1, closed, 1, closed) == (
        follow_up.alerts,
        bool(follow_up.alerts_closed),
        follow_up.cases,
        bool(follow_up.closed),
    )
    assert (None, None, False) == (follow_up.interval, follow_up.chance, follow_up.is_like_chance)


def test_the_gap_of_a_residual_uses_its_beta() -> None:
    """At a beta of 2, +25% with bitcoin at +10% is a residual of 5 pp, below the rule's clear level of 6 pp."""
    moves = np.random.default_rng(2).normal(0, 0.02, 70)
    crypto = 100 * np.cumprod(1 + moves)
    etf = 100 * np.cumprod(1 + 2 * moves)
    after = [*etf, *[etf[-1] * 1.12] * 5, etf[-1] * 1.25], [*crypto, *[crypto[-1]] * 5, crypto[-1] * 1.1]

    follow_up = followed(backtest(aligned_market(*after), parse_rule("1d residual 10pp above")))

    assert (1, 1) == (follow_up.alerts, follow_up.alerts_closed)


@pytest.mark.parametrize("rule", ["drawdown 50%", "1d z3.5"])
def test_rules_that_are_not_on_the_gap_itself_follow_no_gap(rule: str) -> None:
    crypto = [100.0 * 0.995**row for row in range(300)]

    assert backtest(aligned_market([100.0] * 300, crypto), parse_rule(rule)).follow_up is None


def test_chance_is_the_share_of_moves_that_bring_the_gap_to_its_clear_level() -> None:
    market = random_market(400)
    rule = parse_rule("1d 8pp")
    episode = next(one for one in backtest(market, rule).episodes if one.outcome and one.outcome.chance is not None)
    row = int(np.searchsorted(market.sessions, np.datetime64(episode.fired_on)))
    logs = np.log(market.etf / market.crypto)
    volatility = ewma_volatility(daily_relative_returns(market))
    scaled = (logs[5:] - logs[:-5]) / volatility[:-5]
    sign = episode.side.sign
    etf, crypto = (prices[row] / prices[row - 1] for prices in (market.etf, market.crypto))
    need = sign * log(etf / (sign * rule.clear + crypto))

    assert episode.outcome is not None
    expected = np.mean(-sign * scaled[np.isfinite(scaled)] * volatility[row] > need)
    assert expected == pytest.approx(episode.outcome.chance)


def test_a_gap_that_no_price_can_close_has_no_chance() -> None:
    """At a beta of 2, bitcoin's -60% would put the fund below zero before the residual is inside 6 pp."""
    moves = np.random.default_rng(2).normal(0, 0.02, 90)
    crypto, etf = 100 * np.cumprod(1 + moves), 100 * np.cumprod(1 + 2.1 * moves)
    fallen = [*crypto, *[crypto[-1] * 0.4] * 7]

    result = backtest(aligned_market([*etf, *[etf[-1]] * 7], fallen), parse_rule("1d residual 10pp above"))

    assert [0.0] == [episode.outcome.chance for episode in result.episodes if episode.outcome]


def test_outcomes_of_overlapping_alerts_are_one_case() -> None:
    """Two alerts of a 5-session window fire four sessions apart; a third follows long after."""
    etf = [100.0] * 6 + [120, 101, 101, 101, 122, 122, 101] + [101.0] * 8 + [130.0] * 8
    follow_up = followed(backtest(aligned_market(etf, [100.0] * len(etf)), parse_rule("5d 15pp above")))

    assert (3, 2) == (follow_up.alerts, follow_up.cases)


def test_no_outcomes_have_no_summary() -> None:
    assert summarize_outcomes([]) is None


def outcomes(closed: int, cases: int, chance: float | None) -> FollowUp:
    summary = summarize_outcomes(
        [Outcome(closed=case < closed, chance=chance, non_overlapping=True) for case in range(cases)]
    )
    assert summary is not None
    return summary


@pytest.mark.parametrize(
    ("closed", "cases", "chance", "is_like_chance"),
    [
        pytest.param(16, 36, 0.318, True, id="chance inside the interval"),
        pytest.param(22, 62, 0.246, False, id="chance below it"),
        pytest.param(5, 9, 0.5, False, id="too few cases for an interval"),
        pytest.param(16, 36, None, False, id="chance unknown"),
    ],
)
def test_a_share_is_like_chance_if_chance_lies_in_its_interval(
    closed: int, cases: int, chance: float | None, is_like_chance: bool
) -> None:
    assert is_like_chance is outcomes(closed, cases, chance).is_like_chance


@needs_data
@pytest.mark.parametrize(
    ("symbol", "rule", "alerts", "cases", "interval", "chance"),
    [
        ("WGMI", "1d 8pp", (44, 18), (36, 16), (31.7, 58.0), 31.8),
        ("WGMI", "5d 15pp", (35, 5), (30, 4), (6.1, 26.6), 18.8),
        ("WGMI", "20d 30pp", (16, 3), (13, 2), (5.2, 37.5), 7.9),
        ("MARA", "1d 8pp", (188, 68), (110, 38), (27.5, 42.3), 32.6),
        ("IREN", "5d 15pp", (96, 28), (62, 22), (26.3, 45.9), 24.6),
    ],
)
def test_gaps_of_real_prices_close_as_often_as_an_independent_computation_says(
    symbol: str,
    rule: str,
    alerts: tuple[int, int],
    cases: tuple[int, int],
    interval: tuple[float, float],
    chance: float,
) -> None:
    market = real_pair(symbol)

    follow_up = followed(backtest(market, parse_rule(rule, market.pair)))

    assert alerts == (follow_up.alerts, follow_up.alerts_closed)
    assert cases == (follow_up.cases, follow_up.closed)
    assert follow_up.interval is not None
    assert interval == tuple(round(100 * end, 1) for end in follow_up.interval)
    assert follow_up.chance is not None
    assert chance == round(100 * follow_up.chance, 1)


def _with_other_future(market: Aligned, row: int) -> Aligned:
    return replace(market, etf=np.append(market.etf[:row], market.etf[row:] * 3))


def test_what_is_known_at_a_close_does_not_change_with_the_future() -> None:
    market, rule = random_market(700), parse_rule("5d 15pp")

    before = backtest(market.head(500), rule).follow_up

    assert before == backtest(_with_other_future(market, 500).head(500), rule).follow_up
    assert before is not None

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from services.core.errors import ReplayError
from services.research.rate_target import parse_target, print_target
from services.research.track_record import backtest
from services.research.tune import TunedRule, calibrated, half_as_often, shift, tune
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.fakes.market import aligned_market, random_market

MARKET = random_market(1000)
LIKE = parse_rule("1d 8pp")


def tuned(text: str) -> TunedRule:
    return tune(MARKET, parse_target(text, LIKE))


@pytest.mark.parametrize(
    "wish", ["1d 1/month", "5d 2/month", "20d 4/year", "1d z 10/year", "20d residual below 1/quarter", "60d 3/year"]
)
def test_the_rule_that_is_found_fires_as_often_as_is_wished(wish: str) -> None:
    found = tuned(wish)
    replayed = replay(MARKET, [found.rule]).rules[0]
    assert replayed.episodes == found.episodes
    assert replayed.per_year == pytest.approx(found.per_year)
    assert found.wish.per_year == pytest.approx(found.per_year, rel=0.15)
    assert found.rule == parse_rule(str(found.rule))


def test_the_search_finds_what_trying_every_threshold_finds() -> None:
    found = tuned("5d 2/month")
    wanted = 24 * found.years
    tried = [parse_rule(f"5d {step / 10}pp") for step in range(60, 140)]
    counts = {one.rule: one.episodes for one in replay(MARKET, tried).rules}
    assert min(abs(one - wanted) for one in counts.values()) == abs(counts[found.rule] - wanted)


def test_the_check_tunes_on_the_first_half_and_counts_on_the_second() -> None:
    found = tuned("5d 2/month").check
    assert found is not None
    row = int(np.searchsorted(MARKET.sessions, np.datetime64(found.since)))
    after = replay(MARKET, [found.rule], first=found.since).rules[0]
    assert (502, after.episodes) == (row, found.episodes)  # of 995 sessions with a 5-day spread
    assert found.low < found.per_year < found.high


def test_the_check_does_not_see_the_second_half() -> None:
    bent = replace(MARKET, etf=np.append(MARKET.etf[:502], np.geomspace(MARKET.etf[502], 1e6, 498)))
    mine, theirs = tuned("5d 2/month").check, tune(bent, parse_target("5d 2/month", LIKE)).check
    assert mine is not None
    assert theirs is not None
    assert mine.rule == theirs.rule
    assert mine.episodes != theirs.episodes


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        pytest.param("5d 40/month", "No threshold fires 480 times a year; the nearest, 5d 0", id="too often"),
        pytest.param("5d 0.2/year", "3.9 years of history are too short for 0.2 alerts a year", id="too seldom"),
    ],
)
def test_a_rate_that_no_threshold_gives_is_refused(wish: str, told: str) -> None:
    with pytest.raises(ReplayError, match=told):
        tuned(wish)


def test_half_a_history_without_an_alert_to_go_by_is_not_checked() -> None:
    assert tuned("60d 0.3/year").check is None


def test_the_gap_cannot_be_tuned_at_closes() -> None:
    with pytest.raises(ReplayError, match="only while the ETF is shut"):
        tune(MARKET, replace(parse_target("5d 2/month", LIKE), rule=parse_rule("gap 5%")))


def test_a_lower_threshold_gains_alerts_and_keeps_those_there_were() -> None:
    old, new = parse_rule("5d 15pp"), parse_rule("5d 12pp")
    moved, back = shift(MARKET, old, new), shift(MARKET, new, old)
    assert moved.gained == back.lost
    assert () == moved.lost == back.gained
    fired = {one.fired for one in backtest(MARKET, new).episodes}
    assert moved.gained
    assert set(moved.gained) < fired


def test_an_alert_that_both_rules_have_counts_in_neither() -> None:
    """Both fire on the two rises; the new one alone on the fall after them."""
    market = aligned_market([100, 109, 109, 109, 109, 120, 120, 120, 120, 120, 111, 111], [100.0] * 12)
    moved = shift(market, parse_rule("1d 8pp above"), parse_rule("1d 7pp either clear 1pp"))
    assert (0, 1) == (len(moved.lost), len(moved.gained))
    assert "2024-01-17" == f"{moved.gained[0]}"


def test_a_found_rule_is_held_against_those_that_watch_the_same() -> None:
    same, other = parse_rule("5d 15pp"), parse_rule("1d 8pp")

    found, shifts = calibrated(MARKET, parse_target("5d 2/month", LIKE), [other, same])

    assert tuned("5d 2/month") == found
    assert (shift(MARKET, same, found.rule),) == shifts


def test_half_as_often_is_a_larger_threshold_with_half_the_alerts() -> None:
    found = half_as_often(MARKET, parse_rule("1d 5pp for 10m"))
    assert found is not None
    assert found.tuned.rule.threshold > 0.05
    assert found.before / 2 == pytest.approx(found.tuned.per_year, rel=0.15)
    assert timedelta(minutes=10) == found.tuned.rule.hold
    assert found.tuned.wish == parse_target(print_target(found.tuned.wish), parse_rule("1d 5pp for 10m"))


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("1d 90pp", id="that never fired"),
        pytest.param("drawdown 1%", id="that a larger threshold would make fire more often"),
    ],
)
def test_there_is_no_half_of_a_rule(rule: str) -> None:
    assert half_as_often(MARKET, parse_rule(rule)) is None

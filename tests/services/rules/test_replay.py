from datetime import date

import pytest

from services.core.errors import ReplayError
from services.core.reason import Code
from services.rules.decide import Change, Side
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.fakes.market import aligned_market, random_market
from tests.fakes.price_files import needs_data, real_pair
from tests.fakes.reasons import reason

# Spreads of +10, +6, 0, −9, and −1 pp on five consecutive sessions.
MARKET = aligned_market([100.0, 110.0, 116.6, 116.6, 106.106, 105.04494], [100.0] * 6)


def test_each_step_has_its_session_legs_and_reason() -> None:
    run = replay(MARKET, [parse_rule("1d 8pp")])

    steps = [(step.session.day, step.change, step.side, round(step.spread, 6)) for step in run.rules[0].steps]
    assert [
        (3, Change.FIRING, Side.ABOVE, 0.1),
        (5, Change.RESOLVED, Side.ABOVE, 0.0),
        (8, Change.FIRING, Side.BELOW, -0.09),
        (9, Change.RESOLVED, Side.BELOW, -0.01),
    ] == steps
    assert (
        reason(Code.RULE_PAST_THRESHOLD, at_close=True, held_s=0.0, threshold=0.08, unit="pp", value=0.09997)
        == run.rules[0].steps[0].reason
    )
    assert ((2, 1), 2, 1.5) == (run.rules[0].episode_lengths, run.rules[0].episodes, run.rules[0].median_length)


def test_an_episode_that_is_open_at_the_end_counts() -> None:
    run = replay(MARKET, [parse_rule("1d 8pp")], last=date(2024, 1, 8))

    assert (2, (2, 1)) == (run.rules[0].episodes, run.rules[0].episode_lengths)


def test_episodes_a_year_are_scaled_by_measured_sessions() -> None:
    run = replay(MARKET, [parse_rule("1d 8pp"), parse_rule("1d 50pp")])

    assert [2 * 252 / 5, 0.0] == [one.per_year for one in run.rules]
    assert run.rules[1].median_length is None


def test_a_rule_counts_from_its_first_measurable_session() -> None:
    market = random_market(400)

    run = replay(market, [parse_rule("1d z2.5"), parse_rule("252d 8pp"), parse_rule("1d 8pp")])
    short = replay(market, [parse_rule("1d z2.5")], last=market.sessions[100].astype(object))

    days = market.sessions.tolist()
    assert [(days[190], days[399]), (days[252], days[399]), (days[1], days[399])] == [
        one.measured_range for one in run.rules
    ]
    assert [210, 148, 399] == pytest.approx([252 * one.episodes / one.per_year for one in run.rules if one.per_year])
    assert (None, 0.0) == (short.rules[0].measured_range, short.rules[0].per_year)
    assert all(abs(step.value) >= 2.5 for step in run.rules[0].steps if step.change is Change.FIRING)


def test_a_period_starts_ok_and_looks_back_before_its_start() -> None:
    run = replay(MARKET, [parse_rule("1d 8pp")], first=date(2024, 1, 4))

    assert (date(2024, 1, 4), date(2024, 1, 9), 4) == (run.first, run.last, run.sessions)
    assert [(date(2024, 1, 8), Change.FIRING)] == [(step.session, step.change) for step in run.rules[0].steps[:1]]


def test_a_session_without_a_price_changes_nothing_and_is_listed() -> None:
    market = aligned_market([100.0, 110.0, None, 110.0, 110.0], [100.0] * 5)

    run = replay(market, [parse_rule("1d 8pp")])

    assert [4] == [out.session.day for out in run.left_out]
    assert [3, 8] == [
        step.session.day for step in run.rules[0].steps
    ]  # the 5th has no previous session to compare with
    assert 4 == run.sessions


def test_a_period_without_sessions_names_the_available_range() -> None:
    with pytest.raises(ReplayError, match="the prices run from 2024-01-02 to 2024-01-09"):
        replay(MARKET, [parse_rule("1d 8pp")], first=date(2025, 1, 1))


def test_a_period_without_common_prices_gives_the_reason() -> None:
    market = aligned_market([100.0, None, 100.0], [1.0, 1.0, 1.0])

    with pytest.raises(ReplayError) as error:
        replay(market, [parse_rule("1d 8pp")], first=date(2024, 1, 3), last=date(2024, 1, 3))

    no_close = reason(Code.NO_CLOSE, source="hand", symbol="WGMI")
    missing = reason(Code.MISSING_PRICE, session="2024-01-03", reasons=(no_close,))
    expected = reason(Code.NO_COMPLETE_SESSION, first="2024-01-03", last="2024-01-03", reason=missing)
    assert expected == error.value.reason


def test_a_rule_on_another_pair_is_rejected() -> None:
    with pytest.raises(ReplayError, match="is on MARA/ETH, but the prices are for WGMI/BTC"):
        replay(MARKET, [parse_rule("1d 8pp on MARA/ETH")])


def test_an_episode_does_not_grow_without_prices() -> None:
    market = aligned_market([100.0, 110.0, 116.6, None, None, None], [100.0] * 6)

    assert (2,) == replay(market, [parse_rule("1d 8pp")]).rules[0].episode_lengths


def test_the_gap_rule_cannot_be_replayed_at_closes() -> None:
    with pytest.raises(ReplayError, match="only while the market is closed"):
        replay(MARKET, [parse_rule("gap 5%")])


def test_a_drawdown_rule_fires_on_the_session_that_crossed_it() -> None:
    market = aligned_market([20.0, 20.0, 20.0], [100.0, 80.0, 40.0])

    run = replay(market, [parse_rule("drawdown 60%")])

    assert [(Change.FIRING, Side.ABOVE, 0.5)] == [(step.change, step.side, step.spread) for step in run.rules[0].steps]


def test_the_future_does_not_change_the_past() -> None:
    market = random_market(600)
    rules = [parse_rule(text) for text in ("1d 8pp", "5d z2", "20d residual 10pp")]

    whole, part = replay(market, rules), replay(market.head(450), rules)

    for mine, theirs in zip(part.rules, whole.rules, strict=True):
        assert mine.steps == tuple(step for step in theirs.steps if step.session <= part.last)
        assert mine.steps


@needs_data
def test_a_real_episode_above_resolves_when_the_fund_falls_behind_and_not_only_near_zero() -> None:
    run = replay(real_pair(), [parse_rule("5d 15pp")], first=date(2024, 11, 1), last=date(2024, 11, 30))

    november = [(step.session, step.change, step.side, round(100 * step.value, 1)) for step in run.rules[0].steps]
    assert (date(2024, 11, 8), Change.FIRING, Side.ABOVE) == november[0][:3]
    assert (date(2024, 11, 13), Change.RESOLVED, Side.ABOVE, -10.7) == november[1]


@needs_data
def test_the_default_rules_fire_44_36_and_16_times_on_real_prices() -> None:
    run = replay(real_pair(), [parse_rule(text) for text in ("1d 8pp", "5d 15pp", "20d 30pp")])

    assert [44, 36, 16] == [one.episodes for one in run.rules]
    assert 1047 == run.sessions

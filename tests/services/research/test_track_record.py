from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from bot.price_files import align_files, read_price_files
from services.market.align import Aligned
from services.research.track_record import ClosedBy, TrackRecord, backtest, compute_track_record
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from tests.fakes.market import aligned_market, random_market
from tests.fakes.price_files import DATA, needs_data

FLAT = [100.0] * 9


@pytest.mark.parametrize(
    ("etf", "crypto", "closed_by"),
    [
        pytest.param([100, 120, 120, 101, 101], [100, 100, 100, 100, 100], ClosedBy.ETF, id="the ETF came back"),
        pytest.param([100, 120, 120, 120, 120], [100, 100, 100, 118, 118], ClosedBy.CRYPTO, id="bitcoin caught up"),
        pytest.param([100, 80, 80, 80, 80], [100, 100, 100, 82, 82], ClosedBy.CRYPTO, id="bitcoin fell too"),
        pytest.param([100, 120, 114, 114, 114], [100, 100, 109, 109, 109], ClosedBy.CRYPTO, id="more by bitcoin"),
    ],
)
def test_the_leg_that_narrowed_the_gap_most_closes_an_episode(
    etf: list[float], crypto: list[float], closed_by: ClosedBy
) -> None:
    market = aligned_market([100.0] * 6 + etf, [100.0] * 6 + crypto)
    (episode,) = backtest(market, parse_rule("5d 15pp")).episodes
    assert closed_by is episode.closed_by


def test_a_move_that_rolls_out_of_the_window_is_closed_by_neither_leg() -> None:
    market = aligned_market([*FLAT, 120.0, 120.0, 121.0, 120.0, 120.0, 120.0, 120.0], [100.0] * 16)
    (episode,) = backtest(market, parse_rule("5d 15pp")).episodes
    assert (ClosedBy.ROLLED_OFF, 5) == (episode.closed_by, episode.length)
    assert 0.21 == pytest.approx(episode.peak)


def test_an_episode_has_forward_returns() -> None:
    after = [120.0, 118.0, 116.0, 114.0, 113.0, 112.0, *[126.0] * 15]
    market = aligned_market([*FLAT, *after], [*FLAT, *[100.0] * 5, *[110.0] * 16])
    result = backtest(market, parse_rule("1d 15pp above"))
    week, month = result.episodes[0].forward_returns
    assert [(Side.ABOVE, month)] == result.forward_returns(20)
    assert (5, 112 / 120 - 1, 0.1) == pytest.approx((week.sessions, week.etf, week.crypto))
    assert (20, 126 / 120 - 1, 0.1) == pytest.approx((month.sessions, month.etf, month.crypto))
    assert (
        month.etf - month.crypto == pytest.approx(month.spread_change(Side.ABOVE)) == -month.spread_change(Side.BELOW)
    )


@pytest.mark.parametrize(
    ("later", "false_alarm"),
    [
        pytest.param(104.0, True, id="below the clear level"),
        pytest.param(110.0, False, id="still above"),
    ],
)
def test_a_false_alarm_clears_within_five_sessions(later: float, false_alarm: bool) -> None:
    market = aligned_market([*FLAT, 112.0, *[112.0] * 4, later], [100.0] * 15)
    result = backtest(market, parse_rule("1d 10pp"))
    assert false_alarm is result.episodes[0].false_alarm
    assert (int(false_alarm), 1) == result.false_alarms


def test_a_false_alarm_of_a_residual_uses_its_beta() -> None:
    """At a beta of 2, +25% with bitcoin at +10% is a residual of 5 pp, below the rule's clear level of 6 pp."""
    moves = np.random.default_rng(2).normal(0, 0.02, 70)
    crypto = 100 * np.cumprod(1 + moves)
    etf = 100 * np.cumprod(1 + 2 * moves)
    after = [*etf, *[etf[-1] * 1.12] * 5, etf[-1] * 1.25], [*crypto, *[crypto[-1]] * 5, crypto[-1] * 1.1]
    result = backtest(aligned_market(*after), parse_rule("1d residual 10pp above"))
    assert (1, 1) == result.false_alarms


def test_forward_returns_are_missing_near_the_end_and_without_prices() -> None:
    late = backtest(aligned_market([*FLAT, 112.0, 112.0], [100.0] * 11), parse_rule("1d 10pp")).episodes[0]
    incomplete = backtest(
        aligned_market([*FLAT, 112.0, *[112.0] * 4, None, 112.0], [100.0] * 16), parse_rule("1d 10pp")
    ).episodes[0]
    assert ((), None) == (late.forward_returns, late.false_alarm)
    assert ((), None) == (incomplete.forward_returns, incomplete.false_alarm)


def test_episodes_with_overlapping_windows_count_once() -> None:
    """Two episodes of a 5-session window start four sessions apart, the third long after."""
    etf = [100.0] * 6 + [120, 101, 101, 101, 122, 122, 101] + [101.0] * 8 + [130.0, 130.0]
    result = backtest(aligned_market(etf, [100.0] * len(etf)), parse_rule("5d 15pp above"))
    assert [True, False, True] == [episode.non_overlapping for episode in result.episodes]
    assert (3, 2) == (len(result.episodes), result.non_overlapping)


def test_episodes_with_overlapping_forward_spans_count_once() -> None:
    """No windows of a 1-session rule overlap. Three episodes start eight sessions apart, the last one 30 later."""
    etf = [*FLAT, *[112.0] * 8, *[126.0] * 8, *[142.0] * 30, *[160.0] * 22]
    result = backtest(aligned_market(etf, [100.0] * len(etf)), parse_rule("1d 10pp"))
    assert (4, 4) == (len(result.episodes), result.non_overlapping)
    assert [True] * 4 == [episode.non_overlapping for _, episode in result.forward_returns(5)]
    assert [True, False, False, True] == [episode.non_overlapping for _, episode in result.forward_returns(20)]


def test_a_change_of_side_ends_one_episode_and_starts_another() -> None:
    market = aligned_market([*FLAT, 112.0, 98.0, 98.0], [100.0] * 12)
    result = backtest(market, parse_rule("1d 10pp"))
    assert [Side.ABOVE, Side.BELOW] == [episode.side for episode in result.episodes]
    assert [episode.ended_on for episode in result.episodes][:1] == [result.episodes[1].fired_on]


def test_a_drawdown_is_closed_by_no_leg() -> None:
    market = aligned_market([100.0] * 8, [100.0, 100.0, 40.0, 40.0, 90.0, 90.0, 90.0, 90.0])
    result = backtest(market, parse_rule("drawdown 50%"))
    assert [None] == [episode.closed_by for episode in result.episodes]
    assert (None, (0, 0)) == (result.closings, result.false_alarms)


def test_a_track_record_counts_closed_episodes() -> None:
    """The ETF closed one episode; another is open, and belongs to the alert itself."""
    market = aligned_market([*FLAT, 112.0, 98.0, 98.0, 98.0, 110.0], [100.0] * 14)
    expected = TrackRecord(
        since=date(2024, 1, 3), sessions=13, episodes=1, median_length=1, closings=(0, 1, 0), open_side=Side.ABOVE
    )
    assert expected == compute_track_record(market, parse_rule("1d 10pp above"))


def test_a_rule_that_never_fired_has_an_empty_track_record() -> None:
    expected = TrackRecord(since=date(2024, 1, 3), sessions=8, episodes=0, median_length=None, closings=None)
    assert expected == compute_track_record(aligned_market(list(FLAT), FLAT), parse_rule("1d 10pp"))


def test_a_rule_without_measurements_has_no_track_record() -> None:
    assert compute_track_record(aligned_market(list(FLAT), FLAT), parse_rule("252d 10pp")) is None


def _changed_from(market: Aligned, row: int) -> Aligned:
    """Return the market with different prices from a row on."""
    return replace(market, etf=np.append(market.etf[:row], market.etf[row:] * 3))


def test_a_track_record_covers_the_last_two_years_only() -> None:
    market = random_market(900)
    result = compute_track_record(market.head(700), parse_rule("1d 8pp"))
    assert result is not None
    assert (504, market.sessions[196].astype(object)) == (result.sessions, result.since)
    assert result == compute_track_record(_changed_from(market, 700).head(700), parse_rule("1d 8pp"))


@needs_data
def test_episodes_of_real_prices() -> None:
    market = align_files(read_price_files(DATA / "equities/WGMI.csv", DATA / "btc/btcusdt_binance_1h.csv"))
    result = backtest(market.head(1047), parse_rule("5d 15pp"))
    assert (36, 35, (5, 35), (1, 8, 26)) == (
        len(result.episodes),
        result.non_overlapping,
        result.false_alarms,
        result.closings,
    )
    assert 3.0 == result.replay.median_length

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from services.market.align import Aligned
from services.research.track_record import TrackRecord, backtest, compute_track_record
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from tests.fakes.market import aligned_market, random_market
from tests.fakes.price_files import needs_data, real_pair, row_of

FLAT = [100.0] * 9


def test_an_episode_knows_its_peak_and_length() -> None:
    market = aligned_market([*FLAT, 120.0, 120.0, 121.0, 120.0, 120.0, 120.0, 120.0], [100.0] * 16)
    (episode,) = backtest(market, parse_rule("5d 15pp")).episodes
    assert 5 == episode.length
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


def test_forward_returns_are_missing_near_the_end_and_without_prices() -> None:
    late = backtest(aligned_market([*FLAT, 112.0, 112.0], [100.0] * 11), parse_rule("1d 10pp")).episodes[0]
    incomplete = backtest(
        aligned_market([*FLAT, 112.0, *[112.0] * 4, None, 112.0], [100.0] * 16), parse_rule("1d 10pp")
    ).episodes[0]
    assert ((), None) == (late.forward_returns, late.outcome)
    assert ((), None) == (incomplete.forward_returns, incomplete.outcome)


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


def test_a_forward_return_stands_beside_that_of_any_sessions() -> None:
    """The gap of an alert grows by 2 pp in 5 sessions; any 5 sessions have no change at the median."""
    market = aligned_market([*[100.0] * 30, *[112.0] * 5, *[114.24] * 11], [100.0] * 46)
    result = backtest(market, parse_rule("1d 10pp"))
    benchmark = result.benchmark(5)
    assert benchmark is not None
    assert [0.02] == [pytest.approx(forward.spread_change(side)) for side, forward in result.forward_returns(5)]
    assert (0.0, 0.0, 0.0) == (benchmark.spread_change, benchmark.etf, benchmark.crypto)
    assert 10 / 41 == benchmark.grew  # the 5 windows that hold the first rise, and the 5 that hold the second
    assert result.benchmark(20) is not None
    assert result.benchmark(7) is None


def test_the_benchmark_has_the_episodes_proportion_of_sides() -> None:
    """Alerts below count a fall of the ETF as a growing gap."""
    falling = [100 * 0.99**row for row in range(30)]
    market = aligned_market([100.0, 88.0, *[0.88 * price for price in falling]], [100.0] * 32)
    benchmark = backtest(market, parse_rule("1d 10pp below")).benchmark(5)
    assert benchmark is not None
    assert 1 - 0.99**5 == pytest.approx(benchmark.spread_change)
    assert 1.0 == benchmark.grew


def test_a_history_shorter_than_the_horizon_has_no_benchmark() -> None:
    assert () == backtest(aligned_market([100.0, 100.0, 112.0], [100.0] * 3), parse_rule("1d 10pp")).benchmarks


def test_a_track_record_counts_ended_episodes() -> None:
    """One episode ended; another is open, and belongs to the alert itself."""
    market = aligned_market([*FLAT, 112.0, 98.0, 98.0, 98.0, 110.0], [100.0] * 14)
    expected = TrackRecord(since=date(2024, 1, 3), sessions=13, episodes=1, median_length=1, open_side=Side.ABOVE)
    assert expected == compute_track_record(market, parse_rule("1d 10pp above"))
    assert 252 / 13 == pytest.approx(expected.per_year)


def test_a_rule_that_never_fired_has_an_empty_track_record() -> None:
    expected = TrackRecord(since=date(2024, 1, 3), sessions=8, episodes=0, median_length=None)
    assert expected == compute_track_record(aligned_market(list(FLAT), FLAT), parse_rule("1d 10pp"))


def test_a_rule_without_measurements_has_no_track_record() -> None:
    assert compute_track_record(aligned_market(list(FLAT), FLAT), parse_rule("252d 10pp")) is None


def test_a_history_that_begins_past_the_threshold_does_not_count_its_first_episode() -> None:
    """On the first session that can be measured, the fund is 12 pp above already."""
    market = aligned_market([100.0, 112.0, 112.0, 112.0, 125.0, 125.0], [100.0] * 6)
    record = compute_track_record(market, parse_rule("1d 10pp"))
    assert record is not None
    assert (1, 1) == (record.episodes, record.median_length)


def test_an_episode_that_lasts_into_the_last_two_years_is_named_and_not_counted() -> None:
    market = aligned_market([*[100.0] * 40, *[130.0] * 514], [100.0] * 554)  # fired 10 sessions before them
    record = compute_track_record(market, parse_rule("20d 20pp"))
    assert record is not None
    assert (0, True, 504) == (record.episodes, record.was_open, record.sessions)


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
@pytest.mark.parametrize(
    ("symbol", "text", "expected"),
    [
        ("WGMI", "1d 8pp", (22, 1, False, None)),
        ("WGMI", "5d 15pp", (18, 3, True, Side.ABOVE)),
        ("WGMI", "20d 30pp", (7, 3, False, None)),
        ("WGMI", "60d 40pp", (5, 30, True, None)),
        ("IREN", "5d 15pp", (37, 3, True, Side.ABOVE)),
        ("IREN", "20d 30pp", (9, 16, False, None)),
    ],
)
def test_track_records_of_real_prices_are_those_of_an_independent_computation(
    symbol: str, text: str, expected: tuple[int, float | None, bool, Side | None]
) -> None:
    market = real_pair(symbol)
    until = market.head(row_of(market, "2026-04-13") + 1)

    record = compute_track_record(until, parse_rule(text, market.pair))

    assert record is not None
    assert expected == (record.episodes, record.median_length, record.was_open, record.open_side)
    assert 504 == record.sessions
    measured = backtest(until, parse_rule(text, market.pair)).replay.measured_range
    assert measured is not None
    assert measured[0] == record.follow_up_since


@needs_data
def test_episodes_of_real_prices() -> None:
    result = backtest(real_pair(), parse_rule("5d 15pp"))
    assert (36, 35) == (len(result.episodes), result.non_overlapping)
    assert 3.0 == result.replay.median_length

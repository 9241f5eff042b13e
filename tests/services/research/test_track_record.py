from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from bot.price_files import aligned, read_files
from services.market.align import Aligned
from services.research.track_record import ClosedBy, Record, backtest, record
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from tests.fakes.market import aligned_market, random_market

DATA = Path("../shared/data")
STILL = [100.0] * 9


@pytest.mark.parametrize(
    ("etf", "crypto", "closing"),
    [
        pytest.param([100, 120, 120, 101, 101], [100, 100, 100, 100, 100], ClosedBy.ETF, id="the ETF came back"),
        pytest.param([100, 120, 120, 120, 120], [100, 100, 100, 118, 118], ClosedBy.CRYPTO, id="bitcoin went after it"),
        pytest.param([100, 80, 80, 80, 80], [100, 100, 100, 82, 82], ClosedBy.CRYPTO, id="bitcoin fell after it"),
        pytest.param([100, 120, 114, 114, 114], [100, 100, 109, 109, 109], ClosedBy.CRYPTO, id="more by bitcoin"),
    ],
)
def test_the_leg_that_narrowed_the_gap_most_closed_it(etf: list[float], crypto: list[float], closing: ClosedBy) -> None:
    market = aligned_market([100.0] * 6 + etf, [100.0] * 6 + crypto)
    (one,) = backtest(market, parse_rule("5d 15pp")).episodes
    assert closing is one.closing


def test_a_move_that_leaves_the_window_was_closed_by_neither_leg() -> None:
    market = aligned_market([*STILL, 120.0, 120.0, 121.0, 120.0, 120.0, 120.0, 120.0], [100.0] * 16)
    (one,) = backtest(market, parse_rule("5d 15pp")).episodes
    assert (ClosedBy.AGED, 5) == (one.closing, one.length)
    assert 0.21 == pytest.approx(one.peak)


def test_an_episode_tells_what_followed_it() -> None:
    after = [120.0, 118.0, 116.0, 114.0, 113.0, 112.0, *[126.0] * 15]
    market = aligned_market([*STILL, *after], [*STILL, *[100.0] * 5, *[110.0] * 16])
    found = backtest(market, parse_rule("1d 15pp above"))
    week, month = found.episodes[0].followed
    assert [(Side.ABOVE, month)] == found.followed(20)
    assert (5, 112 / 120 - 1, 0.1) == pytest.approx((week.sessions, week.etf, week.crypto))
    assert (20, 126 / 120 - 1, 0.1) == pytest.approx((month.sessions, month.etf, month.crypto))
    assert month.etf - month.crypto == pytest.approx(month.gap(Side.ABOVE)) == -month.gap(Side.BELOW)


@pytest.mark.parametrize(
    ("later", "given_back"),
    [
        pytest.param(104.0, True, id="below the clear level"),
        pytest.param(110.0, False, id="still there"),
    ],
)
def test_a_false_start_is_given_back_within_five_sessions(later: float, given_back: bool) -> None:
    market = aligned_market([*STILL, 112.0, *[112.0] * 4, later], [100.0] * 15)
    found = backtest(market, parse_rule("1d 10pp"))
    assert given_back is found.episodes[0].given_back
    assert (int(given_back), 1) == found.false_starts


def test_a_false_start_of_a_residual_is_measured_with_its_beta() -> None:
    """At a beta of 2, +25% with bitcoin at +10% is 5 pp of residual, below the 6 pp at which the rule clears."""
    moves = np.random.default_rng(2).normal(0, 0.02, 70)
    crypto = 100 * np.cumprod(1 + moves)
    etf = 100 * np.cumprod(1 + 2 * moves)
    after = [*etf, *[etf[-1] * 1.12] * 5, etf[-1] * 1.25], [*crypto, *[crypto[-1]] * 5, crypto[-1] * 1.1]
    found = backtest(aligned_market(*after), parse_rule("1d residual 10pp above"))
    assert (1, 1) == found.false_starts


def test_what_followed_is_unknown_near_the_end_and_where_prices_are_missing() -> None:
    late = backtest(aligned_market([*STILL, 112.0, 112.0], [100.0] * 11), parse_rule("1d 10pp")).episodes[0]
    holed = backtest(
        aligned_market([*STILL, 112.0, *[112.0] * 4, None, 112.0], [100.0] * 16), parse_rule("1d 10pp")
    ).episodes[0]
    assert ((), None) == (late.followed, late.given_back)
    assert ((), None) == (holed.followed, holed.given_back)


def test_episodes_whose_windows_share_sessions_count_once_among_those_apart() -> None:
    """Two episodes of a 5-session window begin four sessions apart, the third long after."""
    etf = [100.0] * 6 + [120, 101, 101, 101, 122, 122, 101] + [101.0] * 8 + [130.0, 130.0]
    found = backtest(aligned_market(etf, [100.0] * len(etf)), parse_rule("5d 15pp above"))
    assert [True, False, True] == [one.apart for one in found.episodes]
    assert (3, 2) == (len(found.episodes), found.apart)


def test_episodes_whose_sessions_after_overlap_count_once_among_those_apart() -> None:
    """Of a 1-day rule no two windows share a session; three begin eight sessions apart, and a last one 30 later."""
    etf = [*STILL, *[112.0] * 8, *[126.0] * 8, *[142.0] * 30, *[160.0] * 22]
    found = backtest(aligned_market(etf, [100.0] * len(etf)), parse_rule("1d 10pp"))
    assert (4, 4) == (len(found.episodes), found.apart)
    assert [True] * 4 == [one.apart for _, one in found.followed(5)]
    assert [True, False, False, True] == [one.apart for _, one in found.followed(20)]


def test_a_flip_ends_one_episode_and_begins_the_other() -> None:
    market = aligned_market([*STILL, 112.0, 98.0, 98.0], [100.0] * 12)
    found = backtest(market, parse_rule("1d 10pp"))
    assert [Side.ABOVE, Side.BELOW] == [one.side for one in found.episodes]
    assert [one.ended for one in found.episodes][:1] == [found.episodes[1].fired]


def test_a_drawdown_is_closed_by_no_leg() -> None:
    market = aligned_market([100.0] * 8, [100.0, 100.0, 40.0, 40.0, 90.0, 90.0, 90.0, 90.0])
    found = backtest(market, parse_rule("drawdown 50%"))
    assert [None] == [one.closing for one in found.episodes]
    assert (None, (0, 0)) == (found.closings, found.false_starts)


def test_a_record_counts_the_episodes_that_ended() -> None:
    """One ended, by the ETF coming back; another lasts, which is the alert's own."""
    market = aligned_market([*STILL, 112.0, 98.0, 98.0, 98.0, 110.0], [100.0] * 14)
    expected = Record(
        since=date(2024, 1, 3), sessions=13, episodes=1, median_length=1, closings=(0, 1, 0), lasts=Side.ABOVE
    )
    assert expected == record(market, parse_rule("1d 10pp above"))


def test_a_rule_that_never_fired_has_an_empty_record() -> None:
    expected = Record(since=date(2024, 1, 3), sessions=8, episodes=0, median_length=None, closings=None)
    assert expected == record(aligned_market(list(STILL), STILL), parse_rule("1d 10pp"))


def test_a_rule_that_cannot_be_measured_yet_has_no_record() -> None:
    assert record(aligned_market(list(STILL), STILL), parse_rule("252d 10pp")) is None


def _bent(market: Aligned, row: int) -> Aligned:
    """The same market, with another future from a row on."""
    return replace(market, etf=np.append(market.etf[:row], market.etf[row:] * 3))


def test_a_record_goes_back_two_years_and_not_into_the_future() -> None:
    market = random_market(900)
    found = record(market.head(700), parse_rule("1d 8pp"))
    assert found is not None
    assert (504, market.sessions[196].astype(object)) == (found.sessions, found.since)
    assert found == record(_bent(market, 700).head(700), parse_rule("1d 8pp"))


@pytest.mark.skipif(not DATA.exists(), reason="the vendor price files in ../shared/data are not here")
def test_what_ended_the_episodes_of_real_prices() -> None:
    market = aligned(read_files(DATA / "equities/WGMI.csv", DATA / "btc/btcusdt_binance_1h.csv"))
    found = backtest(market.head(1047), parse_rule("5d 15pp"))
    assert (36, 35, (5, 35), (1, 8, 26)) == (len(found.episodes), found.apart, found.false_starts, found.closings)
    assert 4.0 == found.found.median_length

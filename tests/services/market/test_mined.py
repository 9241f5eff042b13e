from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.core.errors import ReplayError
from services.market.measure import METRICS, Measurement, Metric, Window, measure, reading
from services.market.mining_economics import difficulties, hashprices, standing
from services.market.network_history import NOTHING
from services.research.rate_target import parse_target
from services.research.track_record import backtest, record
from services.research.tune import tune
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.fakes.market import aligned_market, random_market
from tests.fakes.network import PAST

# Three closes around the retarget of 10 April 2024, before the halving.
APRIL = replace(aligned_market([20.0, 20.0, 21.0], [70_000.0, 70_000.0, 63_000.0], first="2024-04-08"), network=PAST)
YEARS = random_market(700)
EVERY = 9  # sessions between two retargets that nobody could foresee
NETWORK = replace(
    PAST,
    retargets_at=YEARS.at[::EVERY],
    difficulties=100e12 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.05, len(YEARS.at[::EVERY])))),
    heights=840_672 + 2016 * np.arange(len(YEARS.at[::EVERY])),
)
MINING = replace(YEARS, network=NETWORK)


def of_day(window: Window = Window.D1) -> Measurement:
    found = measure(APRIL, window)
    assert isinstance(found, Measurement)
    return found


def test_a_window_tells_what_it_was_to_mine_at_either_end() -> None:
    assert [83.13e12, 83.13e12, 86.39e12] == difficulties(APRIL).tolist()
    mined = of_day().mined
    assert mined is not None
    assert ("mempool.space", 86.39e12, 83.13e12) == (mined.source, mined.difficulty, mined.difficulty_before)
    assert 86.39 / 83.13 - 1 == pytest.approx(mined.difficulty_change)
    assert 0.9 * 83.13 / 86.39 - 1 == pytest.approx(mined.hashprice_change)
    assert (None, None) == (mined.difficulty_percentile, mined.hashprice_percentile)


def test_where_nobody_looks_at_the_network_or_its_past_begins_later_nothing_is_told() -> None:
    unseen = replace(APRIL, network=None)
    later = replace(APRIL, network=replace(PAST, retargets_at=PAST.retargets_at + np.timedelta64(90, "D")))
    for aligned in (unseen, later, replace(APRIL, network=NOTHING)):
        assert np.isnan(difficulties(aligned)).all()
        assert np.isnan(hashprices(aligned)).all()
        found = measure(aligned, Window.D1)
        assert isinstance(found, Measurement)
        assert (None, None, None) == (found.mined, reading(found, Metric.HASHPRICE), reading(found, Metric.DIFFICULTY))


@pytest.mark.parametrize("metric", [Metric.HASHPRICE, Metric.DIFFICULTY], ids=lambda metric: metric.value)
@pytest.mark.parametrize("window", list(Window), ids=lambda window: window.value)
def test_what_is_measured_last_is_the_last_of_the_series_whatever_comes_later(window: Window, metric: Metric) -> None:
    series = METRICS[metric].series
    assert series is not None
    whole = series(MINING, window)
    for rows in (300, 500, 700):
        known = NETWORK.retargets_at <= MINING.at[rows - 1]
        until = replace(
            MINING.head(rows),
            network=replace(
                NETWORK,
                retargets_at=NETWORK.retargets_at[known],
                difficulties=NETWORK.difficulties[known],
                heights=NETWORK.heights[known],
            ),
        )
        found = measure(until, window)
        assert isinstance(found, Measurement)
        assert reading(found, metric) == pytest.approx(whole[rows - 1], abs=1e-12)


def test_an_unusual_change_is_placed_among_the_year_before() -> None:
    found = measure(MINING, Window.D20)
    assert isinstance(found, Measurement)
    assert found.mined is not None
    series = METRICS[Metric.HASHPRICE].series
    assert series is not None
    values = series(MINING, Window.D20)
    assert 100 * (values[-253:-1] < values[-1]).mean() == pytest.approx(found.mined.hashprice_percentile)


def test_a_rule_on_the_network_is_put_to_the_past_as_any_other() -> None:
    rule = parse_rule("20d hashprice 15%")
    found = backtest(MINING, rule)
    before = record(MINING, rule)
    tuned = tune(MINING, parse_target("20d hashprice 6/year", rule))

    assert found.episodes
    assert found.closings is None  # nothing closes a gap that is none
    assert (0, 0) == found.false_starts
    assert before is not None
    assert before.episodes <= len(found.episodes)
    assert 6 == pytest.approx(tuned.per_year, abs=1.5)


def test_without_the_networks_past_a_rule_on_it_cannot_be_replayed_or_tuned() -> None:
    rule = parse_rule("20d hashprice 15%")
    with pytest.raises(ReplayError, match="“20d hashprice 15%” needs the past of the bitcoin network"):
        replay(YEARS, [rule])
    with pytest.raises(ReplayError, match="needs the past of the bitcoin network"):
        tune(YEARS, parse_target("20d hashprice 6/year", rule))


def test_the_etf_stands_at_its_last_price_where_it_has_none_and_has_none_before_the_first() -> None:
    rows = standing(aligned_market([None, 20.0, None, None, 21.0], [50_000.0] * 5))

    assert [20.0, 20.0, 20.0, 21.0] == rows.etf[-4:].tolist()
    assert np.isnan(standing(replace(rows, etf=np.array([np.nan, *rows.etf[1:]]))).etf[0])

from dataclasses import replace

import numpy as np
import pytest

from services.core.errors import ReplayError
from services.market.measure import Measurement, Window, difficulties, hashprices, measure
from services.market.metrics import DIFFICULTY, HASHPRICE, Metric
from services.market.network_history import EMPTY_HISTORY
from services.research.track_record import backtest, compute_track_record
from services.research.tune import parse_target, tune
from services.rules.grammar import parse_rule
from services.rules.network_view import forward_fill_etf
from services.rules.replay import replay
from tests.fakes.market import aligned_market, random_market
from tests.fakes.mempool import PAST

# Three closes around the retarget of 10 April 2024, before the halving.
APRIL = replace(aligned_market([20.0, 20.0, 21.0], [70_000.0, 70_000.0, 63_000.0], first="2024-04-08"), network=PAST)
YEARS = random_market(700)
RETARGET_EVERY = 9  # sessions between two random retargets
NETWORK = replace(
    PAST,
    retargets_at=YEARS.at[::RETARGET_EVERY],
    difficulties=100e12 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.05, len(YEARS.at[::RETARGET_EVERY])))),
    heights=840_672 + 2016 * np.arange(len(YEARS.at[::RETARGET_EVERY])),
)
MINING = replace(YEARS, network=NETWORK)


def april_measurement(window: Window = Window.D1) -> Measurement:
    measurement = measure(APRIL, window)
    assert isinstance(measurement, Measurement)
    return measurement


def test_a_measurement_has_mining_economics_at_both_ends() -> None:
    assert [83.13e12, 83.13e12, 86.39e12] == difficulties(APRIL).tolist()
    mining = april_measurement().mining
    assert mining is not None
    assert ("mempool.space", 86.39e12, 83.13e12) == (mining.source, mining.difficulty, mining.difficulty_before)
    assert 86.39 / 83.13 - 1 == pytest.approx(mining.difficulty_change)
    assert 0.9 * 83.13 / 86.39 - 1 == pytest.approx(mining.hashprice_change)
    assert (None, None) == (mining.difficulty_percentile, mining.hashprice_percentile)


def test_mining_economics_are_missing_without_network_history() -> None:
    without_network = replace(APRIL, network=None)
    later = replace(APRIL, network=replace(PAST, retargets_at=PAST.retargets_at + np.timedelta64(90, "D")))
    for aligned in (without_network, later, replace(APRIL, network=EMPTY_HISTORY)):
        assert np.isnan(difficulties(aligned)).all()
        assert np.isnan(hashprices(aligned)).all()
        measurement = measure(aligned, Window.D1)
        assert isinstance(measurement, Measurement)
        assert (None, None, None) == (
            measurement.mining,
            HASHPRICE.value(aligned, measurement),
            DIFFICULTY.value(aligned, measurement),
        )


@pytest.mark.parametrize("metric", [HASHPRICE, DIFFICULTY], ids=lambda metric: metric.name)
@pytest.mark.parametrize("window", list(Window), ids=lambda window: window.value)
def test_a_mining_measurement_equals_the_last_value_of_its_series(window: Window, metric: Metric) -> None:
    series = metric.series
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
        measurement = measure(until, window)
        assert isinstance(measurement, Measurement)
        assert metric.value(until, measurement) == pytest.approx(whole[rows - 1], abs=1e-12)


def test_a_hashprice_change_is_ranked_among_the_year_before() -> None:
    measurement = measure(MINING, Window.D20)
    assert isinstance(measurement, Measurement)
    assert measurement.mining is not None
    series = HASHPRICE.series
    assert series is not None
    values = series(MINING, Window.D20)
    assert 100 * (values[-253:-1] < values[-1]).mean() == pytest.approx(measurement.mining.hashprice_percentile)


def test_a_network_rule_can_be_backtested_and_tuned() -> None:
    rule = parse_rule("20d hashprice 15%")
    measurement = backtest(MINING, rule)
    track_record = compute_track_record(MINING, rule)
    tuned = tune(MINING, parse_target("20d hashprice 6/year", rule))

    assert measurement.episodes
    assert measurement.follow_up is None  # the metric has no gap that could close
    assert track_record is not None
    assert track_record.episodes <= len(measurement.episodes)
    assert 6 == pytest.approx(tuned.per_year, abs=1.5)


def test_a_network_rule_cannot_be_replayed_or_tuned_without_network_history() -> None:
    rule = parse_rule("20d hashprice 15%")
    with pytest.raises(ReplayError, match="“20d hashprice 15%” needs past bitcoin network data"):
        replay(YEARS, [rule])
    with pytest.raises(ReplayError, match="needs past bitcoin network data"):
        tune(YEARS, parse_target("20d hashprice 6/year", rule))


def test_missing_etf_prices_are_forward_filled() -> None:
    rows = forward_fill_etf(aligned_market([None, 20.0, None, None, 21.0], [50_000.0] * 5))

    assert [20.0, 20.0, 20.0, 21.0] == rows.etf[-4:].tolist()
    assert np.isnan(forward_fill_etf(replace(rows, etf=np.array([np.nan, *rows.etf[1:]]))).etf[0])

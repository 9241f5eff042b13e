import csv
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from services.market.mining_power import (
    Machine,
    PowerModel,
    PowerRows,
    Pue,
    break_even,
    estimate_power,
    power_mw,
    power_rows,
)
from services.market.network_history import NetworkHistory
from services.market.sources.files.machines import read_machines
from tests.fakes.legs import random_legs
from tests.fakes.mempool import PAST
from tests.fakes.price_files import DATA, needs_data, real_pair

EH = 1e18


def a_machine(name: str, efficiency: float, released: date = date(2020, 1, 1)) -> Machine:
    return Machine(name=name, released=released, efficiency=efficiency, as_of=date(2026, 8, 20), source="test")


MACHINES = (
    a_machine("old", 98.0),
    a_machine("used", 30.0),
    a_machine("new", 20.0, date(2024, 2, 1)),
    a_machine("newest", 10.0, date(2026, 1, 1)),
)
MODEL = PowerModel(machines=MACHINES)


def some_rows(
    count: int, *, first: str = "2026-02-02", hashrate: float = 1_000 * EH, hashprice: float = 48.44
) -> PowerRows:
    days = np.arange(np.datetime64(first), np.datetime64(first) + np.timedelta64(count, "D"))
    return PowerRows(days=days, hashrates=np.full(count, hashrate), hashprices=np.full(count, hashprice))


def test_the_break_even_is_the_hashprice_over_the_days_electricity() -> None:
    assert 40.4 == pytest.approx(break_even(48.44, 0.05), abs=0.05)
    assert 48.44 / 1.2 == pytest.approx(break_even(48.44, 0.05), rel=1e-12)


def test_an_exahash_per_second_at_one_joule_per_terahash_draws_a_megawatt() -> None:
    assert 1.0 == power_mw(EH, 1.0, 1.0)
    assert 9_595.0 == pytest.approx(power_mw(1_000 * EH, 9.5, 1.01))


def test_the_bounds_match_values_computed_by_hand() -> None:
    """At $48.44 and $0.05 machines below 40.4 J/TH earn: 30, 20 and 10, and 98 does not."""
    found = estimate_power(MODEL, some_rows(1))
    assert found is not None
    assert found.best is not None
    assert found.upper is not None
    assert (10.0, 20.0, 30.0) == (found.lower.efficiency, found.best.efficiency, found.upper.efficiency)
    assert (10_100.0, 22_000.0, 36_000.0) == pytest.approx([bound.power_mw for bound in found.bounds], rel=1e-12)
    assert (88.476, 192.72, 315.36) == pytest.approx([bound.energy_twh for bound in found.bounds], rel=1e-12)
    assert ("newest", "", "used") == (found.lower.machine, found.best.machine, found.upper.machine)
    assert (4, 3, date(2026, 8, 20)) == (found.machines, found.profitable, found.table_as_of)
    assert 48.44 == pytest.approx(found.hashprice)


def test_electricity_and_pue_change_the_estimate() -> None:
    found = estimate_power(replace(MODEL, electricity=0.08, pue=Pue(1.0, 1.0, 1.5)), some_rows(1))
    assert found is not None
    assert 48.44 / 1.92 == pytest.approx(found.break_even)  # 25.2: 30 J/TH no longer earns its electricity
    assert (10_000.0, 15_000.0, 30_000.0) == pytest.approx([bound.power_mw for bound in found.bounds])


def test_a_machine_at_the_break_even_earns_nothing() -> None:
    found = estimate_power(replace(MODEL, electricity=0.0625), some_rows(1, hashprice=45.0))
    assert found is not None
    assert found.upper is not None
    assert (30.0, 2, "new") == (found.break_even, found.profitable, found.upper.machine)


def test_a_machine_counts_from_its_release() -> None:
    before, after = (estimate_power(MODEL, some_rows(1, first=day)) for day in ("2025-12-31", "2026-01-01"))
    assert before is not None
    assert after is not None
    assert ("new", "newest") == (before.lower.machine, after.lower.machine)


@pytest.mark.parametrize("hashprice", [pytest.param(11.0, id="too low"), pytest.param(np.nan, id="unknown")])
def test_without_a_profitable_machine_only_the_lower_bound_is_known(hashprice: float) -> None:
    found = estimate_power(MODEL, some_rows(3, hashprice=hashprice))
    assert found is not None
    assert (None, None, 0) == (found.best, found.upper, found.profitable)
    assert [10_100.0] == [bound.power_mw for bound in found.bounds]
    if np.isnan(hashprice):
        assert (None, None, None) == (found.hashprice, found.break_even, found.break_even_electricity)
    else:
        assert 11.0 / 240 == pytest.approx(found.break_even_electricity)


@pytest.mark.parametrize(
    ("model", "rows"),
    [
        pytest.param(MODEL, some_rows(0), id="no rows"),
        pytest.param(MODEL, some_rows(2, hashrate=np.nan), id="no hash rate"),
        pytest.param(MODEL, some_rows(2, first="2019-12-01"), id="before the first machine"),
        pytest.param(PowerModel(), some_rows(2), id="no machines"),
    ],
)
def test_without_a_hash_rate_or_a_machine_nothing_is_estimated(model: PowerModel, rows: PowerRows) -> None:
    assert estimate_power(model, rows) is None


def test_each_figure_is_ranked_among_its_own_past() -> None:
    rows = some_rows(5)
    rows.hashrates[:] = [900 * EH, 1_100 * EH, np.nan, 950 * EH, 1_000 * EH]
    found = estimate_power(MODEL, rows)
    assert found is not None
    for bound in found.bounds:
        assert bound.rank is not None
        assert (3, date(2026, 2, 2)) == (bound.rank.count, bound.rank.since)
        assert 200 / 3 == pytest.approx(bound.rank.rank)
        assert bound.power_mw * 1.1 == pytest.approx(bound.rank.high)


def test_days_before_the_first_machine_are_left_out_of_the_rank() -> None:
    found = estimate_power(MODEL, some_rows(10, first="2019-12-28"))
    assert found is not None
    assert found.lower.rank is not None
    assert (5, date(2020, 1, 1)) == (found.lower.rank.count, found.lower.rank.since)


def test_the_break_even_uses_the_mean_of_fourteen_days() -> None:
    rows = some_rows(20)
    rows.hashprices[:] = np.arange(20.0)
    rows.hashprices[10] = np.nan
    found = estimate_power(MODEL, rows)
    assert found is not None
    assert found.hashprice == pytest.approx(np.delete(np.arange(6.0, 20.0), 4).mean())


def test_the_future_changes_nothing_before_it() -> None:
    rows, rng = some_rows(60), np.random.default_rng(7)
    rows.hashrates[:] *= rng.uniform(0.8, 1.2, 60)
    rows.hashprices[:] *= rng.uniform(0.5, 1.5, 60)
    expected = estimate_power(MODEL, head(rows, 40))
    rows.hashrates[40:] *= 3
    rows.hashprices[40:] /= 3
    assert expected == estimate_power(MODEL, head(rows, 40))
    later = (a_machine("future", 1.0, date(2026, 3, 20)),)
    assert expected == estimate_power(replace(MODEL, machines=(*MACHINES, *later)), head(rows, 40))
    last = estimate_power(MODEL, rows)
    assert last is not None
    assert last.lower.rank is not None
    assert expected is not None
    assert last.lower.rank.high_on >= date(2026, 2, 2)


def head(rows: PowerRows, count: int) -> PowerRows:
    return PowerRows(days=rows.days[:count], hashrates=rows.hashrates[:count], hashprices=rows.hashprices[:count])


def test_the_rows_join_the_sessions_with_the_networks_history() -> None:
    aligned = random_legs(30).aligned
    days: NDArray[np.datetime64] = aligned.sessions[[3, 4]]
    history = replace(PAST, days=days, hashrates=np.array([5e20, 6e20]))
    rows = power_rows(aligned, history)
    assert [5e20, 5.5e20] == rows.hashrates[np.isfinite(rows.hashrates)].tolist()
    assert (5, 5.5e20) == (len(rows.until_known().days), rows.until_known().hashrates[-1])
    assert 0 == len(power_rows(aligned, replace(history, days=days[:0], hashrates=np.empty(0))).until_known().days)


def test_past_hash_rates_are_means_of_seven_days() -> None:
    aligned = random_legs(30).aligned
    days = np.arange(aligned.sessions[0], aligned.sessions[-1] + np.timedelta64(1, "D"))
    history = replace(PAST, days=days, hashrates=np.arange(len(days), dtype=np.float64) * np.float64(1e18))
    rows = power_rows(aligned, history)
    last = float(len(days) - 1)
    assert np.arange(last - 6, last + 1).mean() * 1e18 == pytest.approx(rows.hashrates[-1])
    assert 0.0 == rows.hashrates[0]


CAMBRIDGE = [  # power in GW that Cambridge published for these days of 2022 at $0.05/kWh: MIN, GUESS, MAX
    ("2022-03-14", 5.998376, 14.045160, 32.947483),
    ("2022-04-22", 6.097696, 13.995561, 33.493019),
    ("2022-06-01", 5.967824, 13.635148, 25.783577),
    ("2022-07-29", 4.548002, 10.332905, 20.083408),
]


@needs_data
@pytest.mark.parametrize(("session", "lower", "best", "upper"), CAMBRIDGE)
def test_the_estimate_is_close_to_what_cambridge_published(
    session: str, lower: float, best: float, upper: float
) -> None:
    """The lower bound is the same. The others depend on which machines a table lists."""
    day = date.fromisoformat(session)
    rows = power_rows(real_pair().before(day + timedelta(days=1)), cambridge_days())
    found = estimate_power(PowerModel(machines=read_machines()), rows)
    assert found is not None
    assert found.best is not None
    assert found.upper is not None
    assert day == found.day
    assert lower == pytest.approx(found.lower.power_gw, rel=1e-3)
    assert best == pytest.approx(found.best.power_gw, rel=0.07)
    assert upper == pytest.approx(found.upper.power_gw, rel=0.07)


def cambridge_days() -> NetworkHistory:
    """Return the hash rates and difficulties of 2022, by day."""
    days, hashrates = daily_column("hashrate_blockchaincom_daily.csv", "hash-rate")
    _, difficulties = daily_column("difficulty_blockchaincom_daily.csv", "difficulty")
    return NetworkHistory(
        source="Blockchain.com",
        days=days,
        hashrates=hashrates * 1e12,
        retargets_at=days.astype("datetime64[s]"),
        difficulties=difficulties,
        heights=np.full(len(days), 740_000),  # between the halvings of 2020 and 2024
    )


def daily_column(name: str, column: str) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    with (DATA / "network" / name).open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["Date"].startswith("2022")]
    return np.array([row["Date"] for row in rows], "datetime64[D]"), np.array([float(row[column]) for row in rows])


def test_today_replaces_todays_close() -> None:
    rows = some_rows(5).with_now(date(2026, 2, 6), 2_000 * EH, None)
    assert (5, 2_000 * EH, 1_000 * EH) == (len(rows.days), rows.hashrates[-1], rows.hashrates[-2])
    assert np.isnan(rows.hashprices[-1])
    unknown = some_rows(5).with_now(date(2026, 2, 7), None, 40.0)
    assert (6, 40.0, True) == (len(unknown.days), unknown.hashprices[-1], np.isnan(unknown.hashrates[-1]))


def test_the_packaged_table_gives_a_range_around_a_plausible_mix() -> None:
    found = estimate_power(PowerModel(machines=read_machines()), some_rows(1, first="2026-11-20", hashprice=38.0))
    assert found is not None
    assert found.best is not None
    assert found.upper is not None
    assert found.lower.power_mw < found.best.power_mw < found.upper.power_mw
    assert ("Antminer S23 Hyd (580 TH/s)", 9.5) == (found.lower.machine, found.lower.efficiency)
    assert found.upper.efficiency < 38.0 / 1.2

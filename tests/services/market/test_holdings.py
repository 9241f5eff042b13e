from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from services.core.errors import HoldingsConflictError
from services.core.prices import Symbol
from services.market.holdings import TOP_TEN, Holding, HoldingKind, Holdings, held_at, keep_whole

WGMI = Symbol("WGMI")
APRIL, MAY = date(2026, 4, 1), date(2026, 5, 1)


def of(day: date, *weights: float, kind: HoldingKind = HoldingKind.SHARE) -> Holdings:
    positions = tuple(Holding(ticker=f"T{index}", weight=weight, kind=kind) for index, weight in enumerate(weights))
    return Holdings(fund=WGMI, as_of=day, source="holdings.csv", positions=positions)


def test_weights_add_up_exactly_and_what_they_lack_is_unexplained() -> None:
    holdings = of(APRIL, *[0.1] * 9)

    assert 0.9 == holdings.total
    assert pytest.approx(0.1) == holdings.unexplained


def test_weights_above_the_whole_leave_less_than_nothing_unexplained() -> None:
    assert pytest.approx(-0.02) == of(APRIL, 0.5, 0.52).unexplained


def test_cash_is_told_apart_and_counts_in_the_total() -> None:
    shares, cash = of(APRIL, 0.9).positions, of(APRIL, 0.05, -0.01, kind=HoldingKind.CASH).positions
    holdings = Holdings(fund=WGMI, as_of=APRIL, source="x", positions=(*shares, *cash))

    assert pytest.approx((0.04, 0.94)) == (holdings.cash, holdings.total)
    assert of(APRIL, 0.9).cash == 0


@pytest.mark.parametrize("weights", [pytest.param([], id="none"), pytest.param([0.5, float("nan")], id="no number")])
def test_holdings_without_finite_weights_are_a_mistake(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="no finite weights of WGMI on 2026-04-01"):
        of(APRIL, *weights)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        pytest.param(date(2026, 3, 31), None, id="before the first there is none"),
        pytest.param(APRIL, APRIL, id="on its own day"),
        pytest.param(date(2026, 4, 30), APRIL, id="until the next one"),
        pytest.param(MAY, MAY, id="the next one"),
        pytest.param(date(2027, 1, 1), MAY, id="and on from there"),
    ],
)
def test_holdings_hold_until_the_next_ones(day: date, expected: date | None) -> None:
    found = held_at([of(MAY, 1.0), of(APRIL, 1.0)], day)

    assert expected == (found and found.as_of)


def test_the_largest_alone_are_not_the_whole_and_do_not_take_its_place() -> None:
    whole, part = of(MAY, 1.0), replace(of(MAY, 0.6), source=f"Nasdaq ({TOP_TEN})")

    assert (True, False) == (whole.whole, part.whole)
    with pytest.raises(HoldingsConflictError) as refused:
        keep_whole([of(APRIL, 1.0), whole], part)
    assert (
        "The holdings of WGMI on 2026-05-01 are known in full, from holdings.csv. The top 10 would take their place "
        "and were not stored; nothing is to be done." == str(refused.value)
    )


def test_the_largest_take_the_place_of_the_largest_and_leave_other_days_and_funds_alone() -> None:
    part = replace(of(MAY, 0.6), source=f"Nasdaq ({TOP_TEN})")

    keep_whole([of(APRIL, 1.0), replace(of(MAY, 1.0), fund=Symbol("BITQ")), part], part)

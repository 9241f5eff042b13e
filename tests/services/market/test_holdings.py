from dataclasses import replace
from datetime import date

import pytest

from services.core.errors import HoldingsConflictError
from services.core.prices import Symbol
from services.market.holdings import TOP_TEN, Holding, HoldingKind, Holdings, holdings_on, reject_partial_overwrite

WGMI = Symbol("WGMI")
APRIL, MAY = date(2026, 4, 1), date(2026, 5, 1)


def holdings_of(day: date, *weights: float, kind: HoldingKind = HoldingKind.SHARE) -> Holdings:
    positions = tuple(Holding(ticker=f"T{index}", weight=weight, kind=kind) for index, weight in enumerate(weights))
    return Holdings(fund=WGMI, as_of=day, source="holdings.csv", positions=positions)


def test_weights_sum_exactly_and_the_remainder_is_unexplained() -> None:
    holdings = holdings_of(APRIL, *[0.1] * 9)

    assert 0.9 == holdings.total
    assert pytest.approx(0.1) == holdings.unexplained


def test_weights_above_one_leave_a_negative_remainder() -> None:
    assert pytest.approx(-0.02) == holdings_of(APRIL, 0.5, 0.52).unexplained


def test_cash_is_listed_separately_and_counts_in_the_total() -> None:
    shares, cash = holdings_of(APRIL, 0.9).positions, holdings_of(APRIL, 0.05, -0.01, kind=HoldingKind.CASH).positions
    holdings = Holdings(fund=WGMI, as_of=APRIL, source="x", positions=(*shares, *cash))

    assert pytest.approx((0.04, 0.94)) == (holdings.cash, holdings.total)
    assert holdings_of(APRIL, 0.9).cash == 0


@pytest.mark.parametrize("weights", [pytest.param([], id="none"), pytest.param([0.5, float("nan")], id="not a number")])
def test_holdings_without_finite_weights_raise(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="no finite weights of WGMI on 2026-04-01"):
        holdings_of(APRIL, *weights)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        pytest.param(date(2026, 3, 31), None, id="before the first"),
        pytest.param(APRIL, APRIL, id="on its own day"),
        pytest.param(date(2026, 4, 30), APRIL, id="until the next one"),
        pytest.param(MAY, MAY, id="the next one"),
        pytest.param(date(2027, 1, 1), MAY, id="after the last"),
    ],
)
def test_holdings_are_valid_until_the_next_ones(day: date, expected: date | None) -> None:
    found = holdings_on([holdings_of(MAY, 1.0), holdings_of(APRIL, 1.0)], day)

    assert expected == (found and found.as_of)


def test_partial_holdings_do_not_replace_complete_ones() -> None:
    complete, partial = holdings_of(MAY, 1.0), replace(holdings_of(MAY, 0.6), source=f"Nasdaq ({TOP_TEN})")

    assert (True, False) == (complete.is_complete, partial.is_complete)
    with pytest.raises(HoldingsConflictError) as error:
        reject_partial_overwrite([holdings_of(APRIL, 1.0), complete], partial)
    assert (
        "The holdings of WGMI on 2026-05-01 are known in full, from holdings.csv. The top 10 would overwrite them "
        "and weren't saved. You don't need to do anything." == str(error.value)
    )


def test_partial_holdings_replace_partial_ones_of_the_same_day_and_fund() -> None:
    partial = replace(holdings_of(MAY, 0.6), source=f"Nasdaq ({TOP_TEN})")

    reject_partial_overwrite(
        [holdings_of(APRIL, 1.0), replace(holdings_of(MAY, 1.0), fund=Symbol("BITQ")), partial], partial
    )

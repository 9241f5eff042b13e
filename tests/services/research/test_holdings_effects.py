from __future__ import annotations

import pytest

from services.market.holdings import Cohort
from services.research.holdings_effects import Contributor, effects

COHORTS = {"IREN": Cohort.CONTRACTED, "WULF": Cohort.CONTRACTED, "CANG": Cohort.PURE}


def share(ticker: str, weight: float, moved: float | None) -> Contributor:
    return Contributor(ticker=ticker, weight=weight, moved=moved, added=0.0)


NAMES = [share("IREN", 0.4, 0.5), share("WULF", 0.1, 0.1), share("CANG", 0.2, -0.2), share("NVDA", 0.1, 0.2)]


def test_allocation_and_selection_are_what_the_weights_did_beyond_equal_ones() -> None:
    found = effects(NAMES, COHORTS)
    fund = (0.4 * 0.5 + 0.1 * 0.1 - 0.2 * 0.2 + 0.1 * 0.2) / 0.8
    equal = (0.5 + 0.1 - 0.2 + 0.2) / 4
    assert fund - equal == pytest.approx(sum(one.allocation + one.selection for one in found))
    assert [Cohort.CONTRACTED, Cohort.PURE, Cohort.OTHER] == [one.cohort for one in found]


def test_each_cohort_has_its_own_allocation_and_selection() -> None:
    ai = effects(NAMES, COHORTS)[0]
    assert (2, 0.625, 0.5) == pytest.approx((ai.names, ai.weight, ai.equal_weight))
    assert (0.42, 0.3) == pytest.approx((ai.moved, ai.equal_moved))
    assert (0.625 - 0.5) * (0.3 - 0.15) == pytest.approx(ai.allocation)
    assert 0.625 * (0.42 - 0.3) == pytest.approx(ai.selection)


def test_shares_without_a_return_or_a_weight_are_left_out() -> None:
    assert effects([*NAMES, share("HUT", 0.3, None), share("CORZ", 0.0, 0.9)], COHORTS) == effects(NAMES, COHORTS)
    assert () == effects([share("HUT", 0.3, None)], COHORTS)

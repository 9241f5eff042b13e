import pytest

from services.market.holdings import Cohort
from services.research.holdings_effects import HoldingContribution, brinson_effects

COHORTS = {"IREN": Cohort.CONTRACTED, "WULF": Cohort.CONTRACTED, "CANG": Cohort.PURE}


def share(ticker: str, weight: float, own_return: float | None) -> HoldingContribution:
    return HoldingContribution(ticker=ticker, weight=weight, own_return=own_return, contribution=0.0)


NAMES = [share("IREN", 0.4, 0.5), share("WULF", 0.1, 0.1), share("CANG", 0.2, -0.2), share("NVDA", 0.1, 0.2)]


def test_allocation_and_selection_add_up_to_the_excess_over_equal_weights() -> None:
    result = brinson_effects(NAMES, COHORTS)
    fund = (0.4 * 0.5 + 0.1 * 0.1 - 0.2 * 0.2 + 0.1 * 0.2) / 0.8
    equal = (0.5 + 0.1 - 0.2 + 0.2) / 4
    assert fund - equal == pytest.approx(sum(effect.allocation + effect.selection for effect in result))
    assert [Cohort.CONTRACTED, Cohort.PURE, Cohort.OTHER] == [effect.cohort for effect in result]


def test_each_cohort_has_its_own_allocation_and_selection() -> None:
    ai = brinson_effects(NAMES, COHORTS)[0]
    assert (2, 0.625, 0.5) == pytest.approx((ai.name_count, ai.weight, ai.equal_weight))
    assert (0.42, 0.3) == pytest.approx((ai.fund_return, ai.equal_weight_return))
    assert (0.625 - 0.5) * (0.3 - 0.15) == pytest.approx(ai.allocation)
    assert 0.625 * (0.42 - 0.3) == pytest.approx(ai.selection)


def test_shares_without_a_return_or_a_weight_are_left_out() -> None:
    assert brinson_effects([*NAMES, share("HUT", 0.3, None), share("CORZ", 0.0, 0.9)], COHORTS) == brinson_effects(
        NAMES, COHORTS
    )
    assert () == brinson_effects([share("HUT", 0.3, None)], COHORTS)

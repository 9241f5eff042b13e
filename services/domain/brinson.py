"""Brinson: was it the cohorts that the fund weights more, or the names that it holds within them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from services.domain.cohort import Cohort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.domain.contribution import Contributor


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One cohort: the fund's weight in it and return from it, those of equal weights, and what the differences added.

    Weights are of the shares whose return is known, and sum to 1 over all cohorts.
    """

    cohort: Cohort
    names: int
    weight: float
    equal_weight: float
    moved: float
    equal_moved: float
    allocation: float
    selection: float


def effects(contributors: Sequence[Contributor], cohorts: Mapping[str, Cohort]) -> tuple[Effect, ...]:
    """Hold the fund's names, bought when the window began, against the same names in equal weights.

    Allocation is the weight in a cohort beyond equal weights, times what the cohort did beyond all; selection is the
    weight times what the fund's names did beyond the cohort's average, the interaction included. Together they are
    what the fund's names did beyond equal weights, exactly. Empty where no return is known.
    Source: Brinson, Hood and Beebower, Determinants of Portfolio Performance, 1986.
    """
    known = [one for one in contributors if one.moved is not None and one.weight > 0]
    total = sum(one.weight for one in known)
    every = float(np.mean([one.moved for one in known])) if known else 0.0
    found = []
    for cohort in Cohort:
        names = [one for one in known if cohorts.get(one.ticker, Cohort.OTHER) is cohort]
        if not names:
            continue
        weight, equal = sum(one.weight for one in names) / total, len(names) / len(known)
        moved = sum(one.weight * (one.moved or 0.0) for one in names) / (weight * total)
        average = float(np.mean([one.moved for one in names]))
        found.append(
            Effect(
                cohort=cohort,
                names=len(names),
                weight=weight,
                equal_weight=equal,
                moved=moved,
                equal_moved=average,
                allocation=(weight - equal) * (average - every),
                selection=weight * (moved - average),
            )
        )
    return tuple(found)

"""One row of the study: a claim, its nominal value, and what was measured."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.statistics import LOOKBACK_SESSIONS
from services.market.align import Aligned
from services.research.tune import firings
from services.rules.grammar import parse_rule
from services.rules.rule import Rule, with_threshold
from tests.fakes.price_files import real_pair

SYMBOLS = (
    "WGMI", "BITQ", "BKCH", "MARA", "RIOT", "CLSK", "IREN", "CIFR",
    "WULF", "CORZ", "HUT", "IBIT", "COIN", "MSTR", "SMH", "NVDA",
)  # fmt: skip  # they move together: 16 symbols are not 16 independent tests


class Claim(NamedTuple):
    """A claim, its nominal value, and the measured one, as text."""

    claim: str
    nominal: str
    measured: str


def real_pairs() -> dict[str, Aligned]:
    """Return 16 shares against bitcoin on real prices, each since its listing."""
    return {symbol: real_pair(symbol) for symbol in SYMBOLS}


def rule_at_rate(values: NDArray[np.float64], per_year: float) -> Rule:
    """Return a rule whose threshold fires at most `per_year` times a year in a series without NaN."""
    template, low, high = parse_rule("1d 8pp"), 0.0, 20.0
    for _ in range(40):
        rule = with_threshold(template, (low + high) / 2)
        if len(firings(values, rule)) / len(values) * LOOKBACK_SESSIONS > per_year:
            low = rule.threshold
        else:
            high = rule.threshold
    return with_threshold(template, high)

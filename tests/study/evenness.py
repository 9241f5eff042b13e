"""How evenly alerts come: a fixed threshold against one scaled by volatility, on the same sessions of 16 symbols."""

from collections.abc import Iterator
from statistics import median

import numpy as np
from numpy.typing import NDArray

from services.core.intervals import dispersion_of
from services.market.measure import Window, sigma_series, spread_series
from services.research.tune import firings
from tests.study.claim import Claim, real_pairs, rule_at_rate

RATES = {Window.D1: 12, Window.D5: 12, Window.D20: 6}


def run() -> Iterator[Claim]:
    """Yield the median ratio of variance to mean of half-yearly counts; independent alerts have 1."""
    for window, rate in RATES.items():
        fixed, scaled = list[float](), list[float]()
        for market in real_pairs().values():
            spread, sigma = spread_series(market, window), sigma_series(market, window)
            known = np.isfinite(spread) & np.isfinite(sigma)
            fixed.append(_unevenness(spread[known], rate))
            scaled.append(_unevenness(sigma[known], rate))
        measured = f"{median(fixed):.2f} fixed, {median(scaled):.2f} scaled"
        yield Claim(f"Variance over mean of half-yearly alerts, {window.value}, {rate} a year", "1 by chance", measured)


def _unevenness(values: NDArray[np.float64], per_year: float) -> float:
    fired = firings(values, rule_at_rate(values, per_year))
    return dispersion_of(fired, len(values)).variance_to_mean

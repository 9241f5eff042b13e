"""How often a spread is called unusual, by window, over all sessions of 16 symbols."""

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

from services.market.measure import UNUSUAL_TAIL, Window, percentile_series, sigma_series
from tests.study.claim import Claim, real_pairs


def run() -> Iterator[Claim]:
    """Yield the share for each window; nominal for ranks, while the normal curve is only a yardstick for σ."""
    limit = NormalDist().inv_cdf(1 - UNUSUAL_TAIL)
    for window in Window:
        unusual = known = 0
        for market in real_pairs().values():
            values = (percentile_series if window.is_short else sigma_series)(market, window)
            values = values[np.isfinite(values)]
            far = np.abs(values - 50) >= 50 - 100 * UNUSUAL_TAIL if window.is_short else np.abs(values) >= limit
            unusual, known = unusual + int(far.sum()), known + len(values)
        yield Claim(f"A {window.value} spread is called unusual, 16 symbols", "10%", f"{unusual / known:.1%}")

"""90% intervals: of a proportion, of a correlation and of a count, and the quantile of Student's t."""

import math
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.90
NORMAL_QUANTILE = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)  # 1.645
BLOCK_SESSIONS = 126  # half a year
MIN_BLOCKS = 4  # fewer half-years say too little about how unevenly alerts come
BISECTIONS = 60  # of an angle in radians: to the last bit


@lru_cache
def student_t_quantile(degrees_of_freedom: int) -> float:
    """Return the 95% quantile of Student's t, which bounds a two-sided 90% interval; at least 1 degree of freedom.

    Bisects the angle atan(t / √degrees), of which the distribution is a finite series.
    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(BISECTIONS):
        angle = (low + high) / 2
        if _central_probability(angle, degrees_of_freedom) < CONFIDENCE:
            low = angle
        else:
            high = angle
    return math.sqrt(degrees_of_freedom) * math.tan((low + high) / 2)


def _central_probability(angle: float, degrees_of_freedom: int) -> float:
    """Return the probability that |t| is below √degrees × tan(angle)."""
    is_odd = degrees_of_freedom % 2
    term = math.cos(angle) if is_odd else 1.0
    total = 0.0
    for power in range(2 + is_odd, degrees_of_freedom + 1, 2):
        total += term
        term *= math.cos(angle) ** 2 * (power - 1) / power
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if is_odd else total


class Interval(NamedTuple):
    """The ends of a 90% interval."""

    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, float) and self.low <= value <= self.high


def wilson_interval(successes: int, trials: int) -> Interval:
    """Return Wilson's interval of a proportion, as fractions; `trials` must be above 0.

    Source: Wilson 1927; Brown, Cai and DasGupta 2001.
    """
    z2 = NORMAL_QUANTILE**2
    center = (successes + z2 / 2) / (trials + z2)
    margin = NORMAL_QUANTILE / (trials + z2) * math.sqrt(successes * (trials - successes) / trials + z2 / 4)
    return Interval(max(0.0, center - margin), min(1.0, center + margin))


def correlation_interval(correlation: float, count: int) -> Interval:
    """Return the interval of a correlation over `count` pairs, at least 4. Source: Fisher 1921.

    That of an exact correlation, 1 or -1, is the correlation itself.
    """
    if abs(correlation) >= 1:
        return Interval(correlation, correlation)
    center, margin = math.atanh(correlation), NORMAL_QUANTILE / math.sqrt(count - 3)
    return Interval(math.tanh(center - margin), math.tanh(center + margin))


class Dispersion(NamedTuple):
    """How unevenly events come, from `blocks` half-years; independent events have 1 on average.

    Attributes:
        variance_to_mean: Of the half-yearly counts, as measured.
    """

    variance_to_mean: float
    blocks: int

    @property
    def ratio(self) -> float:
        """The ratio, at least 1: a few half-years cannot show that events come more evenly than by chance."""
        return max(1.0, self.variance_to_mean)


def dispersion_of(events: NDArray[np.intp], sessions: int) -> Dispersion:
    """Return the dispersion of events, given the index of each among `sessions` measured ones.

    Half-years are counted back from the last session; what remains at the start is left out.
    Source: McCullagh and Nelder, Generalized Linear Models, 1989 (quasi-Poisson).
    """
    blocks = sessions // BLOCK_SESSIONS
    remainder = sessions - blocks * BLOCK_SESSIONS
    counts = np.bincount((events[events >= remainder] - remainder) // BLOCK_SESSIONS, minlength=blocks)
    mean = counts.mean() if blocks > 1 else 0.0
    return Dispersion(float(counts.var(ddof=1) / mean) if mean > 0 else 1.0, blocks)


class CountRange(NamedTuple):
    """The ends of a 90% range of a count; both belong to it."""

    low: int
    high: int

    def __contains__(self, count: object) -> bool:
        return isinstance(count, int) and self.low <= count <= self.high


def count_range(events: int, years: float, dispersion: Dispersion, *, ahead: float = 1.0) -> CountRange | None:
    """Return the range of the count in the next `ahead` years, after `events` in `years`.

    None with fewer than 4 complete half-years. The square root of a count has nearly the same variance at every rate;
    Student's t allows for the few half-years that the dispersion comes from.
    Source: Anscombe 1948 (square root of a count).
    """
    if dispersion.blocks < MIN_BLOCKS:
        return None
    root = math.sqrt((events + 3 / 8) / years)
    spread = math.sqrt(dispersion.ratio * (1 / years + 1 / ahead)) / 2
    margin = student_t_quantile(dispersion.blocks - 1) * spread
    low = math.floor(ahead * max(0.0, root - margin) ** 2 + 1 / 8)
    return CountRange(max(0, low), math.ceil(ahead * (root + margin) ** 2 - 1 / 4))

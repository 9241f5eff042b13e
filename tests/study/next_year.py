"""How often the range of the next 12 months holds: on simulated prices and on the halves of real ones."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from services.core.errors import ReplayError
from services.core.intervals import count_range, dispersion_of
from services.core.statistics import LOOKBACK_SESSIONS
from services.research.tune import firings, parse_target, tune
from services.rules.grammar import parse_rule
from tests.study.claim import Claim, real_pairs, rule_at_rate

HALF = 520  # sessions: 4.1 years in two halves
DRAWS = 1_000
SESSIONS = 300_000
WORLDS = {"GARCH 0.10/0.88": (0.10, 0.88), "GARCH 0.05/0.945, near a unit root": (0.05, 0.945)}
RATES = ((1, 12), (1, 52), (5, 12), (20, 4))  # sessions of a window, alerts a year
TARGETS = ("1d 12/year", "1d 52/year", "5d 12/year", "5d 24/year", "20d 4/year", "60d 4/year")


def run() -> Iterator[Claim]:
    """Yield the coverage on each simulated world and rate, and on real halves."""
    rng = np.random.default_rng(7)
    for name, (news, memory) in WORLDS.items():
        prices = np.cumsum(np.append(0, garch(rng, news, memory)))
        for window, rate in RATES:
            share = _coverage(rng, prices[window:] - prices[:-window], rate)
            yield Claim(f"The next year's count is in the range ({name}, {window}d, {rate} a year)", "90%", share)
    for target in TARGETS:
        held, known = _real_halves(target)
        yield Claim(
            f"The second half's count is in the range that the first promises ({target})", "90%", f"{held} of {known}"
        )


def garch(rng: np.random.Generator, news: float, memory: float) -> NDArray[np.float64]:
    """Return daily returns with Student's t of 4 degrees and a volatility that persists."""
    shocks = rng.standard_t(4, SESSIONS) / np.sqrt(2)
    usual = variance = 0.045**2
    returns = np.empty(SESSIONS)
    for row, shock in enumerate(shocks.tolist()):
        returns[row] = variance**0.5 * shock
        variance = usual * (1 - news - memory) + news * returns[row] ** 2 + memory * variance
    return returns


def _coverage(rng: np.random.Generator, values: NDArray[np.float64], rate: float) -> str:
    fired = firings(values, rule_at_rate(values, rate))
    held = 0
    for start in rng.integers(0, len(values) - 2 * HALF - LOOKBACK_SESSIONS, DRAWS).tolist():
        end = start + 2 * HALF
        seen = fired[(fired >= start) & (fired < end)] - start
        later = int(((fired >= end) & (fired < end + LOOKBACK_SESSIONS)).sum())
        promised = count_range(len(seen), 2 * HALF / LOOKBACK_SESSIONS, dispersion_of(seen, 2 * HALF))
        held += promised is not None and later in promised
    return f"{held / DRAWS:.0%}"


def _real_halves(target: str) -> tuple[int, int]:
    held = known = 0
    for market in real_pairs().values():
        try:
            check = tune(market, parse_target(target, parse_rule("1d 8pp", market.pair))).check
        except ReplayError:
            continue
        if check is not None and check.promised is not None:
            known += 1
            held += check.episodes in check.promised
    return held, known

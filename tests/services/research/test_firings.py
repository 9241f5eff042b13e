import numpy as np
import pytest
from scipy.stats import chi2

from services.market.measure import Window, spread_series
from services.research.tune import count_firings, firings, rate_interval
from services.rules.decide import Change
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.fakes.market import random_market

MARKET = random_market(600)


@pytest.mark.parametrize("direction", ["", " above", " below"], ids=["either", "above", "below"])
@pytest.mark.parametrize("threshold", ["1pp", "4pp", "8pp", "8pp clear 8pp", "8pp clear 0.5pp", "20pp"])
@pytest.mark.parametrize("window", ["1d", "5d", "20d"])
def test_firings_equal_those_of_a_replay(window: str, threshold: str, direction: str) -> None:
    words = threshold.split(" ", 1)
    rule = parse_rule(f"{window} {words[0]}{direction} {' '.join(words[1:])}")
    replayed = replay(MARKET, [rule]).rules[0]
    values = spread_series(MARKET, Window(window))
    known = np.flatnonzero(np.isfinite(values))
    days = MARKET.sessions[known[firings(values[known], rule)]].tolist()
    assert [step.session for step in replayed.steps if step.change is Change.FIRING] == days
    assert replayed.episodes == count_firings(values[known], rule)


@pytest.mark.parametrize("events", [0, 1, 5, 30, 200])
def test_the_interval_is_within_2_percent_of_the_exact_poisson_limits(events: int) -> None:
    low, high = (4 * rate for rate in rate_interval(events, 4.0))
    assert (chi2.ppf(0.05, 2 * events) / 2 if events else 0.0) == pytest.approx(low, rel=0.02, abs=0.02)
    assert chi2.ppf(0.95, 2 * events + 2) / 2 == pytest.approx(high, rel=0.02)

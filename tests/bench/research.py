"""Explain, backtest, miners and tune over four years of loaded prices, each compared with a simpler method."""

from dataclasses import replace

import numpy as np
import pandas as pd
import statsmodels.api as sm

from services.market.holdings import Holding, Holdings
from services.market.measure import Window
from services.research.explain import explain
from services.research.holdings_effects import attribute_to_holdings
from services.research.track_record import backtest
from services.research.tune import parse_target, tune
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.bench.measurement import Measurement, median_ms
from tests.fakes.legs import proxy_closes, random_legs
from tests.fakes.market import CALENDAR

SESSIONS = 4 * 252
LEGS = random_legs(SESSIONS)
INSIDE = np.random.default_rng(5).normal(0, 0.02, SESSIONS)
MARKET = LEGS.aligned
RULE = parse_rule("5d 15pp")
TARGET = parse_target("5d 2/month", RULE)
BUDGET_MS = 150
NAMES = {f"T{number}": random_legs(SESSIONS, seed=number).aligned.etf for number in range(25)}
HOLDINGS = [
    Holdings(
        fund=MARKET.pair.etf,
        as_of=MARKET.sessions[row].astype(object),
        source="bench",
        positions=tuple(Holding(ticker=name, weight=0.04) for name in NAMES),
    )
    for row in range(SESSIONS - 252, SESSIONS, 21)
]


async def bench() -> list[Measurement]:
    """Compare explain with statsmodels, backtest with a replay, miners with pandas, and tune with a linear search."""
    etf, bars = (
        replace(proxy_closes(MARKET.sessions, leg), open_to_close=INSIDE) for leg in (MARKET.etf, MARKET.crypto)
    )
    tuned = tune(MARKET, TARGET).rule
    return [
        Measurement(
            name="explain, 4 years of sessions, 252d",
            measured=median_ms(lambda: explain(LEGS, Window.D252, etf, bars, CALENDAR), 10),
            baseline=median_ms(_by_statsmodels, 1),
            baseline_name="252 fits by statsmodels",
            unit="ms",
            budget=BUDGET_MS,
        ),
        Measurement(
            name="backtest, 4 years of sessions",
            measured=median_ms(lambda: backtest(MARKET, RULE), 10),
            baseline=median_ms(lambda: replay(MARKET, [RULE]), 10),
            baseline_name="the replay",
            unit="ms",
            budget=BUDGET_MS,
        ),
        Measurement(
            name="miners, 25 holdings, a year, weights of 12 days",
            measured=median_ms(lambda: attribute_to_holdings(MARKET, Window.D252, HOLDINGS, NAMES), 10),
            baseline=median_ms(lambda: pd.DataFrame(NAMES).pct_change(), 10),
            baseline_name="their daily returns in pandas",
            unit="ms",
            budget=BUDGET_MS,
        ),
        Measurement(
            name="tune, 4 years of sessions, with validation",
            measured=median_ms(lambda: tune(MARKET, TARGET), 10),
            baseline=median_ms(lambda: _by_linear_search(round(tuned.threshold * 1000)), 1),
            baseline_name="a replay of each threshold up to it",
            unit="ms",
            budget=BUDGET_MS,
        ),
    ]


def _by_statsmodels() -> None:
    """Fit each session's look-back separately instead of rolling."""
    moves = pd.DataFrame(LEGS.columns.T).pct_change()
    for row in range(SESSIONS - 252, SESSIONS):
        known = moves[row - 126 : row]
        sm.OLS(known[0], sm.add_constant(known[[1, 2]])).fit()


def _by_linear_search(steps: int) -> int:
    """Replay every threshold up to the one found."""
    rules = [parse_rule(f"5d {step / 10}pp") for step in range(1, steps + 1)]
    return sum(one.episodes for one in replay(MARKET, rules).rules)

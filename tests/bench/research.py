"""Studying: explain, backtest, miners and tune over four years that are loaded, and a naive search beside tune's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import statsmodels.api as sm

from services.market.holdings import Holding, Holdings
from services.market.measure import Window
from services.research.explain import explain
from services.research.holdings_effects import attribute_to_holdings
from services.research.rate_target import parse_target
from services.research.track_record import backtest
from services.research.tune import tune
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
WISH = parse_target("5d 2/month", RULE)
BUDGET_MS = 150
NAMES = {f"T{number}": random_legs(SESSIONS, seed=number).aligned.etf for number in range(25)}
HELD = [
    Holdings(
        fund=MARKET.pair.etf,
        as_of=MARKET.sessions[row].astype(object),
        source="bench",
        positions=tuple(Holding(ticker=name, weight=0.04) for name in NAMES),
    )
    for row in range(SESSIONS - 252, SESSIONS, 21)
]


async def bench() -> list[Measurement]:
    """Explain beside the same betas of one year by statsmodels, backtest beside a bare replay, tune beside both."""
    etf, bars = (
        replace(proxy_closes(MARKET.sessions, leg), open_to_close=INSIDE) for leg in (MARKET.etf, MARKET.crypto)
    )
    found = tune(MARKET, WISH).rule
    return [
        Measurement(
            name="explain, 4 years of sessions, 252d with gauge",
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
            baseline_name="the replay alone",
            unit="ms",
            budget=BUDGET_MS,
        ),
        Measurement(
            name="miners, 25 holdings, a year, weights of 12 days",
            measured=median_ms(lambda: attribute_to_holdings(MARKET, Window.D252, HELD, NAMES), 10),
            baseline=median_ms(lambda: pd.DataFrame(NAMES).pct_change(), 10),
            baseline_name="their daily returns by pandas",
            unit="ms",
            budget=BUDGET_MS,
        ),
        Measurement(
            name="tune, 4 years of sessions, with its check",
            measured=median_ms(lambda: tune(MARKET, WISH), 10),
            baseline=median_ms(lambda: _by_trying(round(found.threshold * 1000)), 1),
            baseline_name="a replay of each threshold up to it",
            unit="ms",
            budget=BUDGET_MS,
        ),
    ]


def _by_statsmodels() -> None:
    """Fit each day's look-back by itself, as one would who has no rolling fit."""
    moves = pd.DataFrame(LEGS.columns.T).pct_change()
    for row in range(SESSIONS - 252, SESSIONS):
        known = moves[row - 126 : row]
        sm.OLS(known[0], sm.add_constant(known[[1, 2]])).fit()


def _by_trying(steps: int) -> int:
    """Replay one threshold after the other until alerts are rare enough."""
    tried = [parse_rule(f"5d {step / 10}pp") for step in range(1, steps + 1)]
    return sum(one.episodes for one in replay(MARKET, tried).rules)

"""Explain, backtest, miners and tune over four years of loaded prices, each compared with a simpler method."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import statsmodels.api as sm

from services.core.prices import Bars, Closes, to_datetime
from services.market.gap import predict_gap, read_off_hours
from services.market.holdings import Holding, Holdings
from services.market.measure import Window, spread_series
from services.market.openings import prices_at
from services.market.snapshot import snapshot
from services.research.explain import explain
from services.research.holdings_effects import attribute_to_holdings
from services.research.track_record import backtest
from services.research.tune import parse_target, tune, tune_with_diffs
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
OPENINGS = Closes(
    symbol=MARKET.pair.etf, sessions=MARKET.sessions, prices=MARKET.etf, source="bench", open_to_close=INSIDE
)
SHUT_AT = MARKET.at
HOURS = Bars(
    symbol=MARKET.pair.crypto,
    interval=timedelta(hours=1),
    opened_at=np.arange(SHUT_AT[0], SHUT_AT[-1], np.timedelta64(1, "h")),
    closes=np.full(int((SHUT_AT[-1] - SHUT_AT[0]) // np.timedelta64(1, "h")), 50_000.0),
    source="bench",
)
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
            name="tune, 4 years of sessions, with validation and the scaled rule",
            measured=median_ms(lambda: tune_with_diffs(MARKET, TARGET, [RULE]), 10),
            baseline=median_ms(lambda: _by_linear_search(round(tuned.threshold * 1000)), 1),
            baseline_name="a replay of each threshold up to it",
            unit="ms",
            budget=BUDGET_MS,
        ),
        Measurement(
            name="all windows of a board, with percentiles, sigma and betas",
            measured=median_ms(lambda: snapshot(MARKET), 10),
            baseline=median_ms(lambda: [spread_series(MARKET, window) for window in Window], 10),
            baseline_name="their spreads",
            unit="ms",
            budget=BUDGET_MS,
        ),
        Measurement(
            name="implied gap, from 4 years of hourly prices",
            measured=median_ms(_implied_gap, 10),
            baseline=median_ms(lambda: prices_at(HOURS, MARKET.at), 10),
            baseline_name="bitcoin at each close",
            unit="ms",
            budget=BUDGET_MS,
        ),
    ]


def _implied_gap() -> None:
    off_hours = read_off_hours(MARKET, OPENINGS, HOURS, CALENDAR)
    at = to_datetime(SHUT_AT[-1])
    predict_gap(MARKET, off_hours, float(MARKET.crypto[-1]) * 1.02, at + timedelta(hours=4), at + timedelta(hours=17))


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

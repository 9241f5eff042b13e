"""How often constant betas are called changed, and how often the errors of the parts hold: a wild bootstrap.

Each draw flips the signs of WGMI's own residuals at random (Rademacher), on real returns of bitcoin and SMH and with
constant betas.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from services.core.intervals import NORMAL_QUANTILE
from services.core.statistics import ols, rolling_ols, wald_test
from services.market.measure import Window, returns
from services.research.attribution import LOOKBACK, Attribution, Legs, attribute_return, fit_betas
from services.research.explain import HISTORY_SESSIONS, MAX_P
from tests.fakes.legs import spliced_legs
from tests.study.claim import Claim

LAST = date(2026, 4, 13)  # of bitcoin's own bars
TESTS, ATTRIBUTIONS = 2_000, 600
LAST_ROWS = (0, 120, 240, 360)  # attributions end this many sessions before the last one
WINDOWS = (Window.D20, Window.D60, Window.D252)
MULTIPLES = {"±1 standard error": (1.0, "68%"), "±1.645 standard errors": (NORMAL_QUANTILE, "90%")}


def run() -> Iterator[Claim]:
    """Yield the share of false changes, and the coverage of the parts' errors for each window."""
    rng = np.random.default_rng(5)
    legs = spliced_legs(LAST)
    legs = _rows(legs, np.flatnonzero(legs.complete))
    yield Claim("Constant betas are called changed", "10%", f"{_false_changes(legs, rng):.1%}")
    held = _coverage(legs, rng)
    for window in WINDOWS:
        for name, (_multiple, nominal) in MULTIPLES.items():
            shares = ", ".join(f"{share:.0%}" for share in held[window, name])
            yield Claim(f"Parts over {window.value} hold the truth, {name} (BTC, SMH, residual)", nominal, shares)


def _false_changes(legs: Legs, rng: np.random.Generator) -> float:
    """Return how often the test finds a change between two estimates that are two years apart."""
    fitted, residuals, _betas = _model(legs)
    factors = _factors(legs)[1:]
    changed = 0
    for end in rng.integers(LOOKBACK + HISTORY_SESSIONS, len(residuals), TESTS).tolist():
        rows = np.r_[end - HISTORY_SESSIONS - LOOKBACK : end - HISTORY_SESSIONS, end - LOOKBACK : end]
        etf = fitted[rows] + residuals[rows] * rng.choice([-1.0, 1.0], len(rows))
        test = wald_test(rolling_ols(etf, factors[rows], LOOKBACK, min_rows=LOOKBACK), LOOKBACK - 1, len(rows) - 1)
        changed += test is not None and test.p < MAX_P
    return changed / TESTS


def _coverage(legs: Legs, rng: np.random.Generator) -> dict[tuple[Window, str], NDArray[np.float64]]:
    """Return how often the truth lies within each multiple of the error: bitcoin's part, SMH's and the residual."""
    fitted, residuals, betas = _model(legs)
    held: dict[tuple[Window, str], list[NDArray[np.bool_]]] = {
        (window, name): [] for window in WINDOWS for name in MULTIPLES
    }
    for _, before in zip(range(ATTRIBUTIONS), cycle(LAST_ROWS)):
        moves = fitted + residuals * rng.choice([-1.0, 1.0], len(residuals))
        path = 20 * np.cumprod(np.append(1.0, 1 + moves.clip(-0.5)))
        world = replace(legs, aligned=replace(legs.aligned, etf=path)).head(len(path) - before)
        fits = fit_betas(world)
        for window in WINDOWS:
            result = attribute_return(world, window, fits=fits)
            assert isinstance(result, Attribution)
            span = slice(len(world.aligned) - 1 - result.steps, len(world.aligned))
            etf = world.aligned.etf[span]
            true = (betas * _factors(world)[span][1:] * (etf[:-1] / etf[0])[:, None]).sum(axis=0)
            true = np.append(true, result.etf_return - true.sum())
            parts = (result.crypto, result.proxy, result.residual)
            distances = np.abs(np.array([part.amount for part in parts]) - true)
            errors = np.array([np.nan if part.error is None else part.error for part in parts])
            for name, (multiple, _nominal) in MULTIPLES.items():
                held[window, name].append(distances <= multiple * errors)
    return {key: np.mean(rows, axis=0) for key, rows in held.items()}


def _model(legs: Legs) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the fitted returns and residuals of one regression over all sessions, and its betas."""
    etf, factors = returns(legs.aligned.etf, np.arange(len(legs.aligned)) - 1)[1:], _factors(legs)[1:]
    intercept, *betas = ols(etf, factors, min_rows=LOOKBACK).coefficients[0].tolist()
    fitted = intercept + factors @ betas
    return fitted, etf - fitted, np.array(betas)


def _factors(legs: Legs) -> NDArray[np.float64]:
    start = np.arange(len(legs.aligned)) - 1
    return np.column_stack([returns(prices, start) for prices in legs.columns[1:]])


def _rows(legs: Legs, rows: NDArray[np.intp]) -> Legs:
    """Return some rows of the legs."""
    market = legs.aligned
    market = replace(
        market, sessions=market.sessions[rows], at=market.at[rows], etf=market.etf[rows], crypto=market.crypto[rows]
    )
    return replace(legs, aligned=market, proxy_prices=legs.proxy_prices[rows])

"""Attribute the ETF's return to bitcoin, to AI (the proxy) and to a residual."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from services.core.prices import Closes, Symbol
from services.core.reason import Code, Reason
from services.core.statistics import MIN_COVERAGE, RollingFits, finite_or_none, rolling_ols
from services.market.align import Aligned
from services.market.measure import (
    NotMeasured,
    Window,
    anchors,
    missing_price_reason,
    returns,
)

CRYPTO, PROXY = 1, 2  # columns of the fitted coefficients; column 0 is the intercept

LOOKBACK = 126  # sessions (half a year) per beta estimate


def prices_on(closes: Closes, sessions: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Return the close of each session; NaN if it is unknown. `closes` must not be empty."""
    rows = np.searchsorted(closes.sessions, sessions).clip(max=len(closes) - 1)
    return np.where(closes.sessions[rows] == sessions, closes.prices[rows], np.nan)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Legs:
    """Prices of the ETF, bitcoin and the AI proxy on the sessions of one pair.

    Attributes:
        aligned: The pair's prices, one row per session.
        proxy_prices: The proxy's closes on the same rows; NaN if it has none.
    """

    aligned: Aligned
    proxy: Symbol
    proxy_prices: NDArray[np.float64]
    proxy_source: str

    @classmethod
    def of(cls, aligned: Aligned, proxy: Closes) -> Legs:
        """Build legs by placing the proxy's closes on the sessions of a pair."""
        prices = prices_on(proxy, aligned.sessions)
        return cls(aligned=aligned, proxy=proxy.symbol, proxy_prices=prices, proxy_source=proxy.source)

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Mask of the rows that have all three prices."""
        return self.aligned.complete & np.isfinite(self.proxy_prices)

    @property
    def columns(self) -> NDArray[np.float64]:
        """Prices of the ETF, bitcoin and the proxy; shape (3, rows)."""
        return np.vstack([self.aligned.etf, self.aligned.crypto, self.proxy_prices])

    def head(self, rows: int) -> Legs:
        """Return the first `rows` rows only, without any later data."""
        return replace(self, aligned=self.aligned.head(rows), proxy_prices=self.proxy_prices[:rows])

    def until_complete(self) -> Legs:
        """Return the rows up to the last one that has all three prices."""
        known = np.flatnonzero(self.complete)
        return self.head(int(known[-1]) + 1 if len(known) else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of an attributed return.

    Attributes:
        amount: Share of the ETF's return, as a fraction.
        error: HC3 standard error of `amount` that comes from the estimated betas. It does not cover betas that drift
            between the lookback and the session explained. None if one session alone determines a beta.
    """

    amount: float
    error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """The ETF's return from the close of `anchor` to the close of `session`; the three parts add up to it.

    Attributes:
        steps: Number of close-to-close moves that were attributed.
        lookback: Sessions per beta estimate.
        etf_return, crypto_return, proxy_return: Returns over the whole window, as fractions.
        crypto, proxy, residual: Parts of `etf_return`.
    """

    window: Window
    anchor: date
    session: date
    steps: int
    lookback: int
    etf_return: float
    crypto_return: float
    proxy_return: float
    crypto: Part
    proxy: Part
    residual: Part


def fit_betas(legs: Legs, lookback: int = LOOKBACK) -> RollingFits:
    """Fit the ETF's 1-session returns on those of bitcoin and the proxy.

    The fit of each row uses the `lookback` sessions that end with it.
    """
    start = np.arange(len(legs.aligned)) - 1
    etf, crypto, proxy = (returns(prices, start) for prices in legs.columns)
    return rolling_ols(etf, np.column_stack([crypto, proxy]), lookback, min_rows=MIN_COVERAGE * lookback)


def attribute_return(
    legs: Legs, window: Window, *, lookback: int = LOOKBACK, fits: RollingFits | None = None
) -> Attribution | NotMeasured:
    """Attribute the ETF's return over the window that ends with the last row, or return why this is not possible.

    Pass `fits` to reuse the result of `fit_betas` for the same lookback.

    1. Step from one session with all three prices to the next. The betas of a step come from sessions up to its start,
       so no return explains itself.
    2. A part of a step is its beta times its factor's return. The residual is the remainder, drift included.
    3. Scale each step by the ETF's growth before it. Then all parts add up to the return exactly.
    """
    start, last = int(anchors(legs.aligned, window)[-1]), len(legs.aligned) - 1
    if start < 0:
        begins = Reason.of(Code.HISTORY_BEGINS, session=legs.aligned.sessions[0].item())
        return NotMeasured(window=window, reason=begins)
    for row in (last, start):
        if not legs.complete[row]:
            return NotMeasured(window=window, reason=_missing_price_reason(legs, row))
    rows = start + np.flatnonzero(legs.complete[start:])
    starts, ends = rows[:-1], rows[1:]
    fits = fits or fit_betas(legs, lookback)
    if not fits.fitted[starts].all():
        return NotMeasured(
            window=window, reason=_no_betas_reason(legs, fits, lookback, int(starts[np.argmin(fits.fitted[starts])]))
        )
    etf, crypto, proxy = legs.columns[:, ends] / legs.columns[:, starts] - 1
    growth = legs.aligned.etf[starts] / legs.aligned.etf[start]
    parts = fits.coefficients[starts, 1:] * np.column_stack([crypto, proxy]) * growth[:, None]
    shocks = [
        _shocks(fits, starts, factor, growth * factor_return)
        for factor, factor_return in ((CRYPTO, crypto), (PROXY, proxy))
    ]
    total = legs.columns[:, last] / legs.columns[:, start] - 1
    return Attribution(
        window=window,
        anchor=legs.aligned.sessions[start].astype(object),
        session=legs.aligned.sessions[last].astype(object),
        steps=len(ends),
        lookback=lookback,
        etf_return=float(total[0]),
        crypto_return=float(total[1]),
        proxy_return=float(total[2]),
        crypto=_part(parts[:, 0], shocks[0]),
        proxy=_part(parts[:, 1], shocks[1]),
        residual=_part(growth * etf - parts.sum(axis=1), shocks[0] + shocks[1]),
    )


def _part(amounts: NDArray[np.float64], shocks: NDArray[np.float64]) -> Part:
    return Part(amount=float(amounts.sum()), error=finite_or_none(float(np.linalg.norm(shocks))))


def _shocks(
    fits: RollingFits, starts: NDArray[np.intp], factor: int, exposures: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the effect of each row's regression noise on a part.

    The root sum of squares of these effects is the standard error of the part. The error of a beta is the noise of its
    lookback: a row of (X'X)⁻¹ times X'u, with the scaled residuals u of that fit (HC3). Lookbacks overlap, so the noise
    of one row affects many betas. Its effects on them are added before they are squared.
    """
    weights = np.einsum("tk,tks->ts", exposures[:, None] * fits.inverse[starts, factor], fits.design[starts])
    effects = weights * fits.scaled_residuals[starts]
    size = effects.shape[1]
    shocks = np.zeros(len(fits.residual_std) + size)
    np.add.at(shocks, starts[:, None] + 1 + np.arange(size), effects)  # by `size`: a lookback can begin before row 0
    return shocks


def _no_betas_reason(legs: Legs, fits: RollingFits, lookback: int, row: int) -> Reason:
    """Return why a row has no betas: too few prices, or collinear factors."""
    session, needed = legs.aligned.sessions[row].item(), MIN_COVERAGE * lookback
    if fits.counts[row] < needed:
        return Reason.of(Code.TOO_FEW_PRICES_FOR_BETAS, needed=needed, lookback=lookback, session=session)
    return Reason.of(
        Code.FACTORS_MOVED_ALIKE,
        crypto=legs.aligned.pair.crypto,
        proxy=legs.proxy,
        lookback=lookback,
        session=session,
    )


def _missing_price_reason(legs: Legs, row: int) -> Reason:
    if not legs.aligned.complete[row]:
        return missing_price_reason(legs.aligned, row)
    session = legs.aligned.sessions[row].item()
    return Reason.of(Code.NO_PROXY_CLOSE, session=session, source=legs.proxy_source, symbol=legs.proxy)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntradayAttribution:
    """The ETF's return from the close of `anchor` to its last trade; the three parts add up to it.

    All three prices belong to the instant `at`, the proxy's within five minutes. No window that ends with a close
    includes this return.
    """

    anchor: date
    at: datetime
    etf_return: float
    crypto_return: float
    proxy_return: float
    crypto: Part
    proxy: Part
    residual: Part


def attribute_intraday(
    legs: Legs, at: datetime, *, etf: float, crypto: float, proxy: float
) -> IntradayAttribution | None:
    """Attribute a return since the last row of `legs`, given the return of each leg since then, as fractions.

    The betas come from the 126 sessions up to the last row. Return None if that row lacks a price or has no betas.
    """
    if not legs.complete[-1:].any():
        return None
    fits = fit_betas(legs, LOOKBACK)
    if not fits.fitted[-1]:
        return None
    moves = np.array([0.0, crypto, proxy])
    parts, errors = fits.coefficients[-1] * moves, fits.robust_errors[-1] * np.abs(moves)
    residual_error = np.sqrt(np.maximum(0.0, moves @ fits.covariance[-1] @ moves))
    return IntradayAttribution(
        anchor=legs.aligned.sessions[-1].astype(object),
        at=at,
        etf_return=etf,
        crypto_return=crypto,
        proxy_return=proxy,
        crypto=Part(amount=float(parts[CRYPTO]), error=finite_or_none(errors[CRYPTO])),
        proxy=Part(amount=float(parts[PROXY]), error=finite_or_none(errors[PROXY])),
        residual=Part(amount=float(etf - parts[CRYPTO] - parts[PROXY]), error=finite_or_none(residual_error)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertAttribution:
    """The ETF's return over `window` up to an instant of `session`; the three parts add up to it.

    Attributes:
        etf_return: Return as a fraction.
        crypto: Part of bitcoin.
        ai: Part of the AI proxy.
        residual: Part of neither.
        proxy: Symbol of the AI proxy.
        source: Source of the proxy's prices.
    """

    window: Window
    session: date
    etf_return: float
    crypto: Part
    ai: Part
    residual: Part
    proxy: Symbol
    source: str


def attribute_alert(
    rows: Aligned, window: Window, proxy: Closes, proxy_price: float | None = None
) -> AlertAttribution | None:
    """Attribute the ETF's return over the window that ends with the last row; return None if this is not possible.

    `proxy_price` is the proxy's price at a live row; its closes are never used there. The betas of each session come
    from the sessions before it, as in `attribute_return`.
    """
    if not len(proxy):
        return None
    legs = Legs.of(rows, proxy)
    if rows.live:
        live_price = np.nan if proxy_price is None else proxy_price
        legs = replace(legs, proxy_prices=np.append(legs.proxy_prices[:-1], live_price))
    attribution = attribute_return(legs, window)
    if not isinstance(attribution, Attribution):
        return None
    return AlertAttribution(
        window=window,
        session=attribution.session,
        etf_return=attribution.etf_return,
        crypto=attribution.crypto,
        ai=attribution.proxy,
        residual=attribution.residual,
        proxy=proxy.symbol,
        source=proxy.source,
    )

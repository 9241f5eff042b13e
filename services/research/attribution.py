"""Attribution: which part of the ETF's return came with bitcoin, which with AI, and which with neither."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import (
    date,
    datetime,
)

import numpy as np
from numpy.typing import NDArray

from services.core.prices import (
    Closes,
    Symbol,
)
from services.core.statistics import COVERAGE, Fits, rolling_ols
from services.market.align import Aligned
from services.market.measure import (
    NotMeasured,
    Window,
    anchors,
    returns,
    why_missing,
)

CRYPTO, PROXY = 1, 2  # where the betas stand among the coefficients, after the intercept

LOOKBACK = 126  # sessions, half a year, that betas are estimated from


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Legs:
    """Both legs of a pair and the AI proxy on one clock; `proxy_prices` has NaN where the proxy has no close."""

    aligned: Aligned
    proxy: Symbol
    proxy_prices: NDArray[np.float64]
    proxy_source: str

    @classmethod
    def of(cls, aligned: Aligned, proxy: Closes) -> Legs:
        """Put the proxy's closes on the sessions of a pair."""
        rows = np.searchsorted(proxy.sessions, aligned.sessions).clip(max=len(proxy) - 1)
        known = proxy.sessions[rows] == aligned.sessions
        prices = np.where(known, proxy.prices[rows], np.nan)
        return cls(aligned=aligned, proxy=proxy.symbol, proxy_prices=prices, proxy_source=proxy.source)

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Which rows have all three prices."""
        return self.aligned.complete & np.isfinite(self.proxy_prices)

    @property
    def columns(self) -> NDArray[np.float64]:
        """The prices of the ETF, of bitcoin and of the proxy: shape (3, rows)."""
        return np.vstack([self.aligned.etf, self.aligned.crypto, self.proxy_prices])

    def head(self, rows: int) -> Legs:
        """Keep the first `rows` rows, as if the future had not happened."""
        return Legs(
            aligned=self.aligned.head(rows),
            proxy=self.proxy,
            proxy_prices=self.proxy_prices[:rows],
            proxy_source=self.proxy_source,
        )

    def until_complete(self) -> Legs:
        """Cut off the rows after the last one that has all three prices."""
        known = np.flatnonzero(self.complete)
        return self.head(int(known[-1]) + 1 if len(known) else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the ETF's return over a window, a fraction, and the standard error that its betas give it."""

    amount: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """The ETF's return from the close of `anchor` to that of `session`, in parts that add up to it.

    The returns are the legs' own over the window. `lookback` is how many sessions each beta comes from, and `steps` how
    many moves from one close to the next were explained.
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


def fitted(legs: Legs, lookback: int = LOOKBACK) -> Fits:
    """Fit the ETF's 1-day returns on bitcoin's and the proxy's, over the `lookback` sessions that end with each row."""
    start = np.arange(len(legs.aligned)) - 1
    etf, crypto, proxy = (returns(prices, start) for prices in legs.columns)
    return rolling_ols(etf, np.column_stack([crypto, proxy]), lookback, at_least=COVERAGE * lookback)


def attribute(
    legs: Legs, window: Window, *, lookback: int = LOOKBACK, fits: Fits | None = None
) -> Attribution | NotMeasured:
    """Explain the ETF's return over the window that ends with the last row; say why where that cannot be done.

    `fits` are those of `fitted` for this look-back, where they have been made already.

    1. Go from one session that has all three prices to the next. Each step's betas come from the sessions that end
       where the step begins, so that nothing is explained by itself.
    2. A step's part is its beta times its factor's return; the residual is what is left, drift included.
    3. Scale each step by what a dollar had grown to before it: then all parts together are the return, exactly.
    """
    start, last = int(anchors(legs.aligned, window)[-1]), len(legs.aligned) - 1
    if start < 0:
        return NotMeasured(window=window, reason=f"the history begins on {legs.aligned.sessions[0]}")
    for row in (last, start):
        if not legs.complete[row]:
            return NotMeasured(window=window, reason=_missing(legs, row))
    rows = start + np.flatnonzero(legs.complete[start:])
    begun, ended = rows[:-1], rows[1:]
    fits = fits or fitted(legs, lookback)
    if not fits.made[begun].all():
        return NotMeasured(
            window=window, reason=_unfitted(legs, fits, lookback, int(begun[np.argmin(fits.made[begun])]))
        )
    etf, crypto, proxy = legs.columns[:, ended] / legs.columns[:, begun] - 1
    grown = legs.aligned.etf[begun] / legs.aligned.etf[start]
    parts = fits.coefficients[begun, 1:] * np.column_stack([crypto, proxy]) * grown[:, None]
    shocks = [_shocks(fits, begun, which, grown * moved) for which, moved in ((CRYPTO, crypto), (PROXY, proxy))]
    whole = legs.columns[:, last] / legs.columns[:, start] - 1
    return Attribution(
        window=window,
        anchor=legs.aligned.sessions[start].astype(object),
        session=legs.aligned.sessions[last].astype(object),
        steps=len(ended),
        lookback=lookback,
        etf_return=float(whole[0]),
        crypto_return=float(whole[1]),
        proxy_return=float(whole[2]),
        crypto=_part(parts[:, 0], shocks[0]),
        proxy=_part(parts[:, 1], shocks[1]),
        residual=_part(grown * etf - parts.sum(axis=1), shocks[0] + shocks[1]),
    )


def _part(amounts: NDArray[np.float64], shocks: NDArray[np.float64]) -> Part:
    return Part(amount=float(amounts.sum()), error=float(np.linalg.norm(shocks)))


def _shocks(fits: Fits, begun: NDArray[np.intp], which: int, exposures: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tell how much each row's noise moves a part, in standard deviations: their root sum of squares is its error.

    A beta is off by the noise of its own look-back, a row of X'X inverse times X'e. Look-backs overlap, so a row's
    noise enters many betas; what it does to all of them is added up before it is squared.
    """
    scaled = (exposures * fits.noise[begun])[:, None] * fits.inverse[begun, which]
    moved = np.einsum("tk,tks->ts", scaled, fits.design[begun])
    size = moved.shape[1]
    shocks = np.zeros(len(fits.noise) + size)
    np.add.at(shocks, begun[:, None] + 1 + np.arange(size), moved)  # shifted by `size`: look-backs may begin before
    return shocks


def _unfitted(legs: Legs, fits: Fits, lookback: int, row: int) -> str:
    """Say why there are no betas at a row: too few prices, or factors that cannot be told apart."""
    until = f"the {lookback} sessions up to {legs.aligned.sessions[row]}"
    if fits.design[row, 0].sum() < COVERAGE * lookback:
        return f"fewer than {COVERAGE * lookback:.0f} of {until} have all three prices"
    return (
        f"{legs.aligned.pair.crypto} and {legs.proxy} moved alike in {until}, so that their parts cannot be told apart"
    )


def _missing(legs: Legs, row: int) -> str:
    if not legs.aligned.complete[row]:
        return why_missing(legs.aligned, row)
    return f"{legs.aligned.sessions[row]}: {legs.proxy_source} has no {legs.proxy} close for this session"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntradayAttribution:
    """The ETF's return from the close of `anchor` to its last trade, in parts that add up to it.

    All three prices belong to the instant `at`, the proxy's within five minutes. It is no part of any window that ends
    with a close.
    """

    anchor: date
    at: datetime
    etf_return: float
    crypto_return: float
    proxy_return: float
    crypto: Part
    proxy: Part
    residual: Part


def intraday_attribution(
    legs: Legs, at: datetime, *, etf: float, crypto: float, proxy: float
) -> IntradayAttribution | None:
    """Part a move since the last row of `legs`, given each leg's return since then, as fractions.

    The betas are from the 126 sessions that end with that row; None where it lacks a price, or they cannot be had.
    """
    if not legs.complete[-1:].any():
        return None
    fits = fitted(legs, LOOKBACK)
    if not fits.made[-1]:
        return None
    moved = np.array([0.0, crypto, proxy])
    parts, errors = fits.coefficients[-1] * moved, fits.errors[-1] * np.abs(moved)
    both = float(fits.noise[-1] * np.sqrt(moved @ fits.inverse[-1] @ moved))
    return IntradayAttribution(
        anchor=legs.aligned.sessions[-1].astype(object),
        at=at,
        etf_return=etf,
        crypto_return=crypto,
        proxy_return=proxy,
        crypto=Part(amount=float(parts[CRYPTO]), error=float(errors[CRYPTO])),
        proxy=Part(amount=float(parts[PROXY]), error=float(errors[PROXY])),
        residual=Part(amount=float(etf - parts[CRYPTO] - parts[PROXY]), error=both),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertAttribution:
    """The ETF's return over `window` up to an instant of `session`, in parts that add up to it; fractions.

    `ai` came with the `proxy`, whose prices are from `source`; `rest` came with neither leg.
    """

    window: Window
    session: date
    etf_return: float
    crypto: Part
    ai: Part
    rest: Part
    proxy: Symbol
    source: str


def attribute_alert(rows: Aligned, window: Window, proxy: Closes, last: float | None = None) -> AlertAttribution | None:
    """Part the ETF's return over the window that ends with the last row; None where that cannot be done.

    `last` is the proxy's price in a live row, which no close of it belongs to. Each day's betas come from the sessions
    before it, as in an explanation.
    """
    if not len(proxy):
        return None
    legs = Legs.of(rows, proxy)
    if rows.live:
        now = np.nan if last is None else last
        legs = replace(legs, proxy_prices=np.append(legs.proxy_prices[:-1], now))
    found = attribute(legs, window)
    if not isinstance(found, Attribution):
        return None
    return AlertAttribution(
        window=window,
        session=found.session,
        etf_return=found.etf_return,
        crypto=found.crypto,
        ai=found.proxy,
        rest=found.residual,
        proxy=proxy.symbol,
        source=proxy.source,
    )

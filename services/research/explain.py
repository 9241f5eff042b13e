"""Explain a spread from prices: attribution, rolling betas, and returns in and out of sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from services.core.errors import NoHistoryError
from services.core.prices import Bars, Closes, Pair, Symbol
from services.core.reason import Code, Reason
from services.core.sessions import Sessions
from services.core.statistics import MIN_COVERAGE, RollingFits, WaldTest, finite_or_none, wald_test
from services.market.align import Aligned
from services.market.measure import (
    BETA_SESSIONS,
    Correlation,
    NotMeasured,
    Window,
    anchors,
    latest_correlation,
)
from services.market.openings import in_session_returns, open_price_age
from services.research.attribution import CRYPTO, LOOKBACK, PROXY, Attribution, Legs, attribute_return, fit_betas


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterSessions:
    """Sessions after the explained window.

    Attributes:
        count: Number of sessions.
        last: Last of these sessions.
        missing: Symbols that lack at least one close there.
    """

    count: int
    last: date
    missing: tuple[Symbol, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Attribution of the ETF's return up to the last session that has all three prices.

    Attributes:
        sources: Price sources of the ETF, bitcoin and the proxy.
        attribution: Parts of the return.
        short_lookback: The same with betas from 60 sessions; None if the history is too short.
        betas: Betas of the last two years; None if they cannot be estimated.
        correlation: Of the ETF and bitcoin, over the 60 sessions that end with the window; None if not known.
        session_split: Returns in and out of sessions; None if the openings are not known.
        later_sessions: Sessions after the window; None if there are none.
    """

    pair: Pair
    proxy: Symbol
    sources: tuple[str, str, str]
    attribution: Attribution
    short_lookback: Attribution | None
    betas: RollingBetas | None
    correlation: Correlation | None = None
    session_split: SessionSplit | None
    later_sessions: LaterSessions | None = None


def explain(legs: Legs, window: Window, etf: Bars | Closes, crypto: Bars | Closes, sessions: Sessions) -> Explanation:
    """Explain the return over the window that ends with the last row that has all three prices.

    `etf` and `crypto` are the prices that `legs` were aligned from. Raises NoHistoryError with the reason.
    """
    known = legs.until_complete()
    if not len(known.aligned):
        raise NoHistoryError(f"{legs.aligned.pair} and {legs.proxy} have no sessions in common.")
    fits = fit_betas(known, LOOKBACK)
    attribution = attribute_return(known, window, lookback=LOOKBACK, fits=fits)
    if isinstance(attribution, NotMeasured):
        raise NoHistoryError(Reason.of(Code.CANNOT_EXPLAIN, window=window, reason=attribution.reason), remedy="")
    short_lookback = attribute_return(known, window, lookback=BETA_SESSIONS)
    return Explanation(
        pair=legs.aligned.pair,
        proxy=legs.proxy,
        sources=(legs.aligned.etf_source, legs.aligned.crypto_source, legs.proxy_source),
        attribution=attribution,
        short_lookback=None if isinstance(short_lookback, NotMeasured) else short_lookback,
        betas=rolling_betas(known, fits),
        correlation=latest_correlation(known.aligned),
        session_split=split_sessions(known.aligned, etf, crypto, sessions, int(anchors(known.aligned, window)[-1])),
        later_sessions=_later_sessions(legs, len(known.aligned)),
    )


def _later_sessions(legs: Legs, first: int) -> LaterSessions | None:
    """Return the sessions from row `first` on, each of which lacks a price; None if there are none."""
    days = legs.aligned.sessions[first:]
    if not len(days):
        return None
    names = (legs.aligned.pair.etf, legs.aligned.pair.crypto, legs.proxy)
    prices = zip(names, legs.columns[:, first:], strict=True)
    missing = tuple(name for name, column in prices if np.isnan(column).any())
    return LaterSessions(count=len(days), last=days[-1].item(), missing=missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitReturn:
    """Compounded returns of a leg during sessions and between them, as fractions."""

    in_session: float
    out_of_session: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSplit:
    """Returns of both legs in and out of sessions, over the same sessions.

    Attributes:
        etf: None if too few openings of the ETF are known.
        excluded: Sessions without a known opening; no return includes them.
        open_price_age: Usual time from the end of the bar used as the opening price to the opening.
    """

    etf: SplitReturn | None
    crypto: SplitReturn
    excluded: int
    open_price_age: timedelta


def split_sessions(
    aligned: Aligned, etf: Bars | Closes, crypto: Bars | Closes, sessions: Sessions, start: int
) -> SessionSplit | None:
    """Split the returns of both legs, from row `start` to the last row, into in-session and overnight parts.

    `etf` and `crypto` are the prices that the legs were aligned from: closes with in-session returns, or bars. The last
    bar that ended by an opening gives the opening price.

    Return None if more than a quarter of the sessions cannot be split for the second leg, as with daily bars. If the
    same is true for the first leg, that leg is None.
    """
    days = aligned.sessions[start + 1 :]
    opens_at = sessions.opens_at[np.searchsorted(sessions.days, days)]
    etf_returns = in_session_returns(etf, days, opens_at, aligned.etf[start:])
    crypto_returns = in_session_returns(crypto, days, opens_at, aligned.crypto[start:])
    both = np.isfinite(etf_returns) & np.isfinite(crypto_returns)
    has_etf = bool(both.sum() >= MIN_COVERAGE * len(days))
    split = both if has_etf else np.isfinite(crypto_returns)
    if split.sum() < MIN_COVERAGE * len(days):
        return None
    return SessionSplit(
        etf=_split_return(aligned.etf[start:], etf_returns, split) if has_etf else None,
        crypto=_split_return(aligned.crypto[start:], crypto_returns, split),
        excluded=int((~split).sum()),
        open_price_age=max(open_price_age(etf, opens_at, split), open_price_age(crypto, opens_at, split)),
    )


def _split_return(
    closes: NDArray[np.float64], in_session: NDArray[np.float64], split: NDArray[np.bool_]
) -> SplitReturn:
    """Compound the in-session returns and the rest of each close-to-close return."""
    total = closes[1:][split] / closes[:-1][split]
    growth = 1 + in_session[split]
    return SplitReturn(in_session=float(np.prod(growth) - 1), out_of_session=float(np.prod(total / growth) - 1))


HISTORY_SESSIONS = 504  # two years
MAX_STEPS = 24  # one month each in two years
MAX_P = 0.10  # of a change of betas


@dataclass(frozen=True, slots=True, kw_only=True)
class Beta:
    """An estimated beta with its HC3 standard error; None if one session alone determines the beta."""

    value: float
    error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorBetas:
    """Betas on bitcoin and the proxy over the 126 sessions up to `session`, with the R² of the fit."""

    session: date
    crypto: Beta
    proxy: Beta
    r2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingBetas:
    """Betas two years ago (or at the first possible estimate) and now, with evenly spaced estimates in `path`.

    Attributes:
        shared_sessions: Number of sessions that the estimates of then and now have in common.
        test: Test of whether both betas are unchanged; None if the estimates share sessions, or an error is not known.
    """

    first: FactorBetas
    last: FactorBetas
    path: tuple[FactorBetas, ...]
    shared_sessions: int = 0
    test: WaldTest | None = None

    @property
    def have_changed(self) -> bool:
        """Whether the betas differ by more than constant betas do in 9 of 10 comparisons."""
        return self.test is not None and self.test.p < MAX_P


def rolling_betas(legs: Legs, fits: RollingFits | None = None) -> RollingBetas | None:
    """Return the betas of the last two years up to the last row; None if that row has no estimate.

    Pass `fits` to reuse the result of `fit_betas`.
    """
    fits = fits or fit_betas(legs, LOOKBACK)
    last = len(fits.residual_std) - 1
    fitted = np.flatnonzero(fits.fitted[max(0, last - HISTORY_SESSIONS) :]) + max(0, last - HISTORY_SESSIONS)
    if not len(fitted) or fitted[-1] != last:
        return None
    rows = fitted[np.linspace(0, len(fitted) - 1, min(MAX_STEPS + 1, len(fitted))).round().astype(int)].tolist()
    path = tuple(_factor_betas(legs, fits, row) for row in rows)
    shared = max(0, LOOKBACK - (last - rows[0]))
    test = None if shared else wald_test(fits, rows[0], last)
    return RollingBetas(first=path[0], last=path[-1], path=path, shared_sessions=shared, test=test)


def _factor_betas(legs: Legs, fits: RollingFits, row: int) -> FactorBetas:
    return FactorBetas(
        session=legs.aligned.sessions[row].astype(object),
        crypto=Beta(value=float(fits.coefficients[row, CRYPTO]), error=finite_or_none(fits.robust_errors[row, CRYPTO])),
        proxy=Beta(value=float(fits.coefficients[row, PROXY]), error=finite_or_none(fits.robust_errors[row, PROXY])),
        r2=float(fits.r2[row]),
    )

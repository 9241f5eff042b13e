"""Measure aligned prices: returns, spread, beta, residual, drawdown and opening gap, and how unusual they are."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from services.core.intervals import Interval, correlation_interval
from services.core.prices import Pair, to_datetime
from services.core.reason import Code, Reason
from services.core.statistics import (
    MIN_COVERAGE,
    RollingFits,
    finite_or_none,
    last_percentile,
    ols,
    percentiles,
    robust_z,
    rolling_ols,
    trailing_windows,
)
from services.core.volatility import ewma_volatility, moves_in_sigma, rms_volatility
from services.market.align import Aligned, PriorHigh
from services.market.mining_economics import MiningEconomics, historical_hashprices

BETA_SESSIONS = 60
UNUSUAL_TAIL = 0.05  # on each side
MIN_BETA_SESSIONS = MIN_COVERAGE * BETA_SESSIONS


class Window(Enum):
    """A number of sessions for a return; `ytd` starts at the last close of the prior year."""

    D1 = "1d"
    D5 = "5d"
    D20 = "20d"
    D60 = "60d"
    D252 = "252d"
    YTD = "ytd"

    @property
    def is_short(self) -> bool:
        """Whether 252 sessions hold enough separate windows of this length for a rank: at most 20 sessions."""
        return self in {Window.D1, Window.D5, Window.D20}


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """Pearson's correlation of the 1-session returns of both legs, from `pairs` sessions."""

    value: float
    pairs: int

    @property
    def r2(self) -> float:
        """The share of the ETF's variance that bitcoin explains."""
        return self.value**2

    @property
    def interval(self) -> Interval:
        """The 90% interval."""
        return correlation_interval(self.value, self.pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The returns of both legs over one window, and how unusual the spread is; returns are fractions.

    Attributes:
        anchor: the session whose close the returns start from.
        as_of: the instant of both prices.
        beta: from the 60 sessions before the window; None if the history is too short.
        beta_error: HC3 standard error of beta; None if one session alone determines it.
        correlation: Pearson's, of the returns that beta comes from; None if a leg did not move.
        beta_pairs: number of those returns.
        latest_correlation: of the 60 sessions up to the session itself, measured with the 60-session window only.
        z: the spread's robust z among the 252 sessions before; None if the history is too short, or the MAD is 0.
        percentile: the spread's rank (0 to 100) among them, for windows of at most 20 sessions; None if the history is
            too short. 252 sessions hold too few separate windows of a longer one for a rank.
        sigma: the volatility-scaled move, for longer windows; None if the history is too short.
        sessions: how many sessions the window covers; for `ytd`, those of this year.
        mining: mining economics, if the network's history is loaded and known at both ends of the window.
        crypto_since: first day that the coin's high counts from; None in measurements of earlier releases.
    """

    pair: Pair
    window: Window
    session: date
    anchor: date
    as_of: datetime
    live: bool
    etf_return: float
    crypto_return: float
    spread: float
    relative: float
    beta: float | None
    beta_error: float | None = None
    correlation: float | None = None
    beta_pairs: int | None = None
    latest_correlation: Correlation | None = None
    residual: float | None
    z: float | None
    percentile: float | None
    sigma: float | None = None
    sessions: int = 0
    mining: MiningEconomics | None = None
    crypto_since: date | None = None

    @property
    def r2(self) -> float | None:
        """The share of the ETF's variance that bitcoin explained in the sessions that beta comes from."""
        return None if self.correlation is None else self.correlation**2

    def is_unusual(self, among: int = 1) -> bool:
        """Return whether the spread is unusual, of `among` readings that were looked at.

        One reading is unusual outside nine tenths of the sessions before, or from 1.645 sigma on. Of more, each side's
        5% are divided by their number, so that all together call nothing unusual nine times out of ten by chance.
        Source: Bonferroni's inequality.
        """
        tail = UNUSUAL_TAIL / among
        if self.percentile is not None:
            return not 100 * tail < self.percentile < 100 * (1 - tail)
        return self.sigma is not None and abs(self.sigma) >= NormalDist().inv_cdf(1 - tail)

    @property
    def is_ranked(self) -> bool:
        """Whether it is known how unusual the spread is."""
        return self.percentile is not None or self.sigma is not None

    @property
    def beta_correlation(self) -> Correlation | None:
        """The correlation with its interval; None if it is not known."""
        if self.correlation is None or self.beta_pairs is None:
            return None
        return Correlation(value=self.correlation, pairs=self.beta_pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMeasured:
    """The reason why a window has no measurement."""

    window: Window
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """The drawdown of a leg from its highest session close since `since`; `depth` is a fraction, 0 at the high.

    The drawdown of an ETF or stock is based on total return: `high` is adjusted for later dividends, so it is below
    the traded price.
    """

    depth: float
    high: float
    high_on: date
    since: date


def anchors(aligned: Aligned, window: Window) -> NDArray[np.intp]:
    """Return, for each row, the row that the window's return starts from; -1 if it is before the first row."""
    rows = np.arange(len(aligned))
    if window is Window.YTD:
        years = aligned.sessions.astype("datetime64[Y]")
        return np.searchsorted(years, years, side="left") - 1
    return np.maximum(rows - int(window.value.removesuffix("d")), -1)


def returns(prices: NDArray[np.float64], start: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return each row's price over the price at its anchor, minus one; NaN if either is missing."""
    result: NDArray[np.float64] = prices / np.where(start >= 0, prices[start], np.nan) - 1
    return result


def spread_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Return the ETF's return minus bitcoin's over the window, for every session."""
    start = anchors(aligned, window)
    return returns(aligned.etf, start) - returns(aligned.crypto, start)


def beta_series(aligned: Aligned) -> NDArray[np.float64]:
    """Estimate, for each session, the ETF's beta to bitcoin from 1-session returns of the 60 sessions ending there.

    Ordinary least squares with an intercept. Sessions without both returns are dropped; fewer than 45 of 60 give NaN. A
    measurement must use the beta at its anchor, so that the estimate excludes the window itself.
    """
    return _beta_fits(aligned).coefficients[:, 1]


def correlation_series(aligned: Aligned) -> NDArray[np.float64]:
    """Return Pearson's correlation of the ETF's and bitcoin's 1-session returns, for each session.

    It comes from the same sessions as `beta_series`, and its square is the R² of that beta. NaN with fewer than 45 of
    60 returns, or if a leg did not move.
    """
    return _correlations(_beta_fits(aligned))


def _beta_fits(aligned: Aligned) -> RollingFits:
    etf, crypto = session_returns(aligned)
    return rolling_ols(etf, crypto[:, None], BETA_SESSIONS, min_rows=MIN_BETA_SESSIONS)


def _correlations(fits: RollingFits) -> NDArray[np.float64]:
    """Return the correlation in fits of one factor: the root of R², with the sign of the coefficient."""
    return np.sign(fits.coefficients[:, 1]) * np.sqrt(np.maximum(0.0, fits.r2))


def residual_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Return the ETF's return minus beta times bitcoin's, with the beta known at the window's anchor."""
    start = anchors(aligned, window)
    beta = np.where(start >= 0, beta_series(aligned)[start], np.nan)
    return returns(aligned.etf, start) - beta * returns(aligned.crypto, start)


def z_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Return each spread's robust z-score: median and MAD of the 252 sessions before it; NaN if the MAD is 0."""
    spread = spread_series(aligned, window)
    return robust_z(spread, trailing_windows(spread))


def percentile_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Return each spread's percentile (0 to 100) among the 252 sessions before it; ties count half."""
    spread = spread_series(aligned, window)
    return percentiles(spread, trailing_windows(spread))


def relative_logs(aligned: Aligned) -> NDArray[np.float64]:
    """Return the log of the ETF's price over bitcoin's, for every session; NaN if either is missing."""
    logs: NDArray[np.float64] = np.log(aligned.etf / aligned.crypto)
    return logs


def daily_relative_returns(aligned: Aligned) -> NDArray[np.float64]:
    """Return ln(1 + ETF return) - ln(1 + bitcoin return) over one session, for every session."""
    return np.diff(relative_logs(aligned), prepend=np.nan)


def sigma_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Return each window's volatility-scaled move: its relative log return over that of a usual window.

    The volatility is that known at the window's first close: exponentially weighted for windows of at most 20
    sessions, over 252 sessions for longer ones. NaN if a price or the volatility is missing.
    """
    volatility = (ewma_volatility if window.is_short else rms_volatility)(daily_relative_returns(aligned))
    return moves_in_sigma(relative_logs(aligned), anchors(aligned, window), volatility)


def drawdown_series(prices: NDArray[np.float64], prior: PriorHigh | None = None) -> NDArray[np.float64]:
    """Return each price's drawdown from the running high, as a positive fraction; NaN if the price is missing."""
    seed = prior.high if prior else np.nan
    depth: NDArray[np.float64] = 1 - prices / np.fmax.accumulate(np.append(seed, prices))[1:]
    return depth


def hashprice_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Return the change of the hashprice (without fees) over the window, for every session."""
    return returns(hashprices(aligned), anchors(aligned, window))


def difficulty_series(aligned: Aligned, window: Window) -> NDArray[np.float64]:
    """Return the change of the difficulty over the window, for every session."""
    return returns(difficulties(aligned), anchors(aligned, window))


def measure(aligned: Aligned, window: Window) -> Measurement | NotMeasured:
    """Measure the last row of `aligned` over one window, or return the reason why it cannot be measured."""
    last = len(aligned) - 1
    start = int(anchors(aligned, window)[last])
    if start < 0:
        begins = Reason.of(Code.WINDOW_BEFORE_HISTORY, session=aligned.sessions[0].item(), window=window)
        return NotMeasured(window=window, reason=begins)
    for row in (last, start):
        if not aligned.complete[row]:
            return NotMeasured(window=window, reason=missing_price_reason(aligned, row))
    etf = float(aligned.etf[last] / aligned.etf[start] - 1)
    crypto = float(aligned.crypto[last] / aligned.crypto[start] - 1)
    fit = _beta_fit_at(aligned, start)
    beta = finite_or_none(fit.coefficients[0, 1])
    spread = spread_series(aligned, window)
    return Measurement(
        pair=aligned.pair,
        window=window,
        session=aligned.sessions[last].astype(object),
        anchor=aligned.sessions[start].astype(object),
        as_of=to_datetime(aligned.at[last]),
        live=aligned.live,
        etf_return=etf,
        crypto_return=crypto,
        spread=etf - crypto,
        relative=(1 + etf) / (1 + crypto) - 1,
        beta=beta,
        beta_error=finite_or_none(fit.robust_errors[0, 1]),
        correlation=finite_or_none(_correlations(fit)[0]),
        beta_pairs=None if beta is None else int(fit.counts[0]),
        latest_correlation=latest_correlation(aligned) if window is Window.D60 else None,
        residual=None if beta is None else etf - beta * crypto,
        z=finite_or_none(robust_z(spread[-1:], trailing_windows(spread)[-1:])[0]),
        percentile=last_percentile(spread) if window.is_short else None,
        sigma=None if window.is_short else finite_or_none(sigma_series(aligned, window)[-1]),
        sessions=last - start,
        mining=_mining_economics(aligned, window, start),
        crypto_since=_crypto_since(aligned),
    )


def _crypto_since(aligned: Aligned) -> date:
    if aligned.crypto_prior_high is not None:
        return aligned.crypto_prior_high.since
    first: date = aligned.sessions[int(np.argmax(np.isfinite(aligned.crypto)))].item()
    return first


def drawdown(aligned: Aligned, prices: NDArray[np.float64], prior: PriorHigh | None = None) -> Drawdown | None:
    """Return the last row's drawdown of one leg of `aligned`; None if its last price is missing."""
    if not np.isfinite(prices[-1]):
        return None
    row, first = int(np.nanargmax(prices)), int(np.argmax(np.isfinite(prices)))
    high, high_on = float(prices[row]), aligned.sessions[row].astype(object)
    if prior is not None and prior.high > high:
        high, high_on = prior.high, prior.high_on
    return Drawdown(
        depth=float(1 - prices[-1] / high),
        high=high,
        high_on=high_on,
        since=prior.since if prior else aligned.sessions[first].astype(object),
    )


def missing_price_reason(aligned: Aligned, row: int) -> Reason:
    """Return why the legs of a row lack a price."""
    session = aligned.sessions[row].astype(object)
    reasons = [exclusion.reason for exclusion in aligned.exclusions if exclusion.session == session]
    return Reason.of(Code.MISSING_PRICE, session=session, reasons=reasons)


def _beta_fit_at(aligned: Aligned, row: int) -> RollingFits:
    """Return the one fit that `beta_series` has at a row."""
    etf, crypto = session_returns(aligned.head(row + 1))
    return ols(etf[-BETA_SESSIONS:], crypto[-BETA_SESSIONS:, None], min_rows=MIN_BETA_SESSIONS)


def latest_correlation(aligned: Aligned) -> Correlation | None:
    """Return the last value of `correlation_series`, with the number of its pairs; None if it is not known."""
    fit = _beta_fit_at(aligned, len(aligned) - 1)
    value = finite_or_none(_correlations(fit)[0])
    return None if value is None else Correlation(value=value, pairs=int(fit.counts[0]))


def _mining_economics(aligned: Aligned, window: Window, start: int) -> MiningEconomics | None:
    """Return the mining economics at the last row and at its anchor; None if the network is not known at both."""
    if aligned.network is None:
        return None
    difficulty, hashprice = difficulties(aligned), hashprices(aligned)
    if not np.isfinite([difficulty[start], difficulty[-1], hashprice[start], hashprice[-1]]).all():
        return None
    return MiningEconomics(
        source=aligned.network.source,
        difficulty=float(difficulty[-1]),
        difficulty_before=float(difficulty[start]),
        hashprice=float(hashprice[-1]),
        hashprice_before=float(hashprice[start]),
        difficulty_percentile=last_percentile(difficulty_series(aligned, window)) if window.is_short else None,
        hashprice_percentile=last_percentile(hashprice_series(aligned, window)) if window.is_short else None,
    )


def session_returns(aligned: Aligned) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 1-session returns of the ETF and of bitcoin, for every session."""
    start = np.arange(len(aligned)) - 1
    return returns(aligned.etf, start), returns(aligned.crypto, start)


def difficulties(aligned: Aligned) -> NDArray[np.float64]:
    """Return the difficulty at each row's instant; NaN before the first known one, or without network history."""
    if aligned.network is None:
        return np.full(len(aligned), np.nan)
    return aligned.network.difficulties_at(aligned.at)


def hashprices(aligned: Aligned) -> NDArray[np.float64]:
    """Return the hashprice without fees at each row's instant and coin price; NaN if an input is missing."""
    if aligned.network is None:
        return np.full(len(aligned), np.nan)
    return historical_hashprices(aligned.network, aligned.at, aligned.crypto)

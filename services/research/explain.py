"""Explain: why the ETF and bitcoin parted, from prices alone, and how much the answer hangs on how it was found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import (
    date,
    timedelta,
)

import numpy as np
from numpy.typing import NDArray

from services.core.errors import NoHistoryError
from services.core.prices import Bars, Closes, Pair, Symbol
from services.core.sessions import Sessions
from services.core.statistics import COVERAGE, Fits
from services.market.align import STALE_AFTER, Aligned
from services.market.measure import BETA_SESSIONS, NotMeasured, Window, anchors
from services.research.attribution import CRYPTO, LOOKBACK, PROXY, Attribution, Legs, attribute, fitted

"""An opening this far off both the close before and the close after it, on one side, is taken for a misprint.

On 506 sessions of WGMI the furthest true one, of 2024-08-05, is 16% off both.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """How many sessions, up to `last`, come after what is explained, and whose prices some of them lack."""

    sessions: int
    last: date
    lacking: tuple[Symbol, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The ETF's return over a window, in parts, up to the last session on which all three prices are known.

    `shorter` is the same with betas from 60 sessions, `hours` when the legs moved; each is None where the history does
    not have it, as is `gauge`. `later` is None where no session is later.
    """

    pair: Pair
    proxy: Symbol
    sources: tuple[str, str, str]
    attribution: Attribution
    shorter: Attribution | None
    gauge: BetaGauge | None
    hours: Hours | None
    later: Later | None = None


def explain(legs: Legs, window: Window, etf: Bars | Closes, crypto: Bars | Closes, sessions: Sessions) -> Explanation:
    """Explain the window that ends with the last row that has all three prices. Raises NoHistoryError with the reason.

    `etf` and `crypto` are the prices that the legs were aligned from.
    """
    known = legs.until_complete()
    if not len(known.aligned):
        raise NoHistoryError(f"{legs.aligned.pair} and {legs.proxy} have no session in common.")
    fits = fitted(known, LOOKBACK)
    found = attribute(known, window, lookback=LOOKBACK, fits=fits)
    if isinstance(found, NotMeasured):
        raise NoHistoryError(f"{window.value} cannot be explained: {found.reason}.", remedy="")
    shorter = attribute(known, window, lookback=BETA_SESSIONS)
    return Explanation(
        pair=legs.aligned.pair,
        proxy=legs.proxy,
        sources=(legs.aligned.etf_source, legs.aligned.crypto_source, legs.proxy_source),
        attribution=found,
        shorter=None if isinstance(shorter, NotMeasured) else shorter,
        gauge=beta_gauge(known, fits),
        hours=split_hours(known.aligned, etf, crypto, sessions, int(anchors(known.aligned, window)[-1])),
        later=_later(legs, len(known.aligned)),
    )


def _later(legs: Legs, first: int) -> Later | None:
    """Tell of the sessions from a row on, which lack a price each; None where there is none."""
    days = legs.aligned.sessions[first:]
    if not len(days):
        return None
    names = (legs.aligned.pair.etf, legs.aligned.pair.crypto, legs.proxy)
    prices = zip(names, legs.columns[:, first:], strict=True)
    lacking = tuple(name for name, column in prices if np.isnan(column).any())
    return Later(sessions=len(days), last=days[-1].item(), lacking=lacking)


DAY = timedelta(days=1)
THERE_AND_BACK = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """A leg's returns inside the sessions and between them, each compounded; fractions."""

    inside: float
    outside: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When each leg moved, over the same sessions; of `unsplit` ones an opening is not known, and they count nowhere.

    `etf` is None where too few of its openings are known. `early` is how long before an opening the prices of bars end
    that stand for it.
    """

    etf: Regime | None
    crypto: Regime
    unsplit: int
    early: timedelta


def split_hours(
    aligned: Aligned, etf: Bars | Closes, crypto: Bars | Closes, sessions: Sessions, start: int
) -> Hours | None:
    """Split both legs' ways from the close of row `start` to the last row's.

    `etf` and `crypto` are the prices that the legs were aligned from: closes with what each session did from its
    opening on, or bars, of which the last one that ended by an opening stands for it. None where more than a quarter of
    the sessions cannot be split for the second leg, as of daily bars; where that is so for the first, it is left out.
    """
    days = aligned.sessions[start + 1 :]
    opens_at = sessions.opens_at[np.searchsorted(sessions.days, days)]
    ours = _inside(etf, days, opens_at, aligned.etf[start:])
    theirs = _inside(crypto, days, opens_at, aligned.crypto[start:])
    both = np.isfinite(ours) & np.isfinite(theirs)
    opened = bool(both.sum() >= COVERAGE * len(days))
    split = both if opened else np.isfinite(theirs)
    if split.sum() < COVERAGE * len(days):
        return None
    return Hours(
        etf=_way(aligned.etf[start:], ours, split) if opened else None,
        crypto=_way(aligned.crypto[start:], theirs, split),
        unsplit=int((~split).sum()),
        early=max(_early(etf, opens_at, split), _early(crypto, opens_at, split)),
    )


def _way(closes: NDArray[np.float64], inside: NDArray[np.float64], split: NDArray[np.bool_]) -> Regime:
    """Compound the sessions' own returns, and what is left of each close-to-close return."""
    whole = closes[1:][split] / closes[:-1][split]
    opened = 1 + inside[split]
    return Regime(inside=float(np.prod(opened) - 1), outside=float(np.prod(whole / opened) - 1))


def _inside(
    prices: Bars | Closes, days: NDArray[np.datetime64], opens_at: NDArray[np.datetime64], closes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give each session's return from its opening to its close, NaN where it or the close before is not known."""
    before, after = closes[:-1], closes[1:]
    if not isinstance(prices, Bars):
        inside = np.full(len(days), np.nan)
        known = np.isin(prices.sessions, days)
        inside[np.searchsorted(days, prices.sessions[known])] = prices.known_inside[known]
    elif prices.interval < DAY:
        inside = after / _at(prices, opens_at) - 1
    else:
        inside = np.full(len(days), np.nan)
    outside = after / before / (1 + inside) - 1
    misprinted = (inside * outside < 0) & (np.minimum(np.abs(inside), np.abs(outside)) > THERE_AND_BACK)
    return np.where(np.isfinite(outside) & ~misprinted, inside, np.nan)


def _at(bars: Bars, instants: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Read the last bar that ended by each instant, NaN where that is over 2 h before."""
    ended_at, index = _last_ended(bars, instants)
    fresh = instants - ended_at[index] <= np.timedelta64(STALE_AFTER)
    return np.where(fresh, np.append(np.nan, bars.closes)[index], np.nan)


def _early(prices: Bars | Closes, opens_at: NDArray[np.datetime64], split: NDArray[np.bool_]) -> timedelta:
    """Give the commonest time from the end of a bar to the opening that it stands for."""
    if not isinstance(prices, Bars):
        return timedelta(0)
    ended_at, index = _last_ended(prices, opens_at[split])
    times, counts = np.unique(opens_at[split] - ended_at[index], return_counts=True)
    early: timedelta = times[np.argmax(counts)].item()
    return early


def _last_ended(bars: Bars, instants: NDArray[np.datetime64]) -> tuple[NDArray[np.datetime64], NDArray[np.intp]]:
    ended_at = np.append(np.datetime64("0001-01-01", "s"), bars.ended_at)
    return ended_at, np.searchsorted(ended_at, instants, side="right") - 1


THEN = 504  # sessions, two years, that the present is held against
POINTS = 24  # of the path, a month apart in two years


@dataclass(frozen=True, slots=True, kw_only=True)
class Beta:
    """An estimated beta with its standard error."""

    value: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Both betas from the 126 sessions that end on `session`, and the share of the variance that they explain."""

    session: date
    crypto: Beta
    proxy: Beta
    r2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaGauge:
    """The betas two years ago, or when they could first be estimated, and now; `path` is what lies between, evenly."""

    then: Reading
    now: Reading
    path: tuple[Reading, ...]


def beta_gauge(legs: Legs, fits: Fits | None = None) -> BetaGauge | None:
    """Read the betas over the last two years up to the last row; None where they cannot be estimated there.

    `fits` are those of `fitted`, where they have been made already.
    """
    fits = fits or fitted(legs, LOOKBACK)
    last = len(fits.noise) - 1
    made = np.flatnonzero(fits.made[max(0, last - THEN) :]) + max(0, last - THEN)
    if not len(made) or made[-1] != last:
        return None
    chosen = made[np.linspace(0, len(made) - 1, min(POINTS + 1, len(made))).round().astype(int)]
    path = tuple(_reading(legs, fits, row) for row in chosen.tolist())
    return BetaGauge(then=path[0], now=path[-1], path=path)


def _reading(legs: Legs, fits: Fits, row: int) -> Reading:
    return Reading(
        session=legs.aligned.sessions[row].astype(object),
        crypto=Beta(value=float(fits.coefficients[row, CRYPTO]), error=float(fits.errors[row, CRYPTO])),
        proxy=Beta(value=float(fits.coefficients[row, PROXY]), error=float(fits.errors[row, PROXY])),
        r2=float(fits.r2[row]),
    )

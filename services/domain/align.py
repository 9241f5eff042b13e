"""Align: pair each session's ETF close with bitcoin's price at that very instant, and say what was left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from services.domain.errors import NoHistoryError
from services.domain.prices import instant, moment

if TYPE_CHECKING:
    from datetime import date

    from numpy.typing import NDArray

    from services.domain.prices import Bars, Closes, Pair
    from services.domain.sessions import Sessions

STALE_AFTER = timedelta(hours=2)
DAY = timedelta(days=1)


class Leg(Enum):
    """One side of the pair."""

    ETF = "etf"
    CRYPTO = "btc"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A session that has no usable price on one leg, and why."""

    session: date
    leg: Leg
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The highest of bitcoin's prices at the session closes before the ETF's first, the earliest of them on `since`."""

    high: float
    high_on: date
    since: date


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Aligned:
    """Both legs on one clock, one row for each XNYS session from the first to the last, without a gap.

    `sessions` is datetime64[D]; `at` (datetime64[s] UTC) is the instant that both prices of a row belong to: the
    session's close, or the live stamp in a last row that `with_live` added. `etf` and `crypto` are float64 in US
    dollars, NaN where the leg has no usable price; the reason is in `left_out`.
    """

    pair: Pair
    sessions: NDArray[np.datetime64]
    at: NDArray[np.datetime64]
    etf: NDArray[np.float64]
    crypto: NDArray[np.float64]
    left_out: tuple[LeftOut, ...]
    etf_source: str
    crypto_source: str
    crypto_past: Past | None = None
    live: bool = False

    def __len__(self) -> int:
        return len(self.sessions)

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Which rows have both prices."""
        return np.isfinite(self.etf) & np.isfinite(self.crypto)

    def until(self, at: datetime) -> Aligned:
        """Cut off every row after `at`, as if the future had not happened."""
        return self.head(int(np.searchsorted(self.at, instant(at), side="right")))

    def head(self, rows: int) -> Aligned:
        """Keep the first `rows` rows."""
        return replace(
            self,
            sessions=self.sessions[:rows],
            at=self.at[:rows],
            etf=self.etf[:rows],
            crypto=self.crypto[:rows],
        )

    def before(self, session: date) -> Aligned:
        """Keep the rows of the sessions before `session`."""
        return self.head(int(np.searchsorted(self.sessions, np.datetime64(session, "D"))))

    def with_live(self, session: date, at: datetime, *, etf: float, crypto: float) -> Aligned:
        """Add today's session as a provisional last row, both prices read at the instant `at`."""
        return replace(
            self,
            sessions=np.append(self.sessions, np.datetime64(session, "D")),
            at=np.append(self.at, instant(at)),
            etf=np.append(self.etf, etf),
            crypto=np.append(self.crypto, crypto),
            live=True,
        )


def align(pair: Pair, etf: Closes, crypto: Bars, sessions: Sessions, *, until: datetime | None = None) -> Aligned:
    """Pair each session's ETF close with the close of the last bitcoin bar complete at that instant.

    1. Take the calendar's sessions from the ETF's first close to its last, or to the last one closed at `until`.
    2. Put each ETF close on its session; a close on another date is left out.
    3. Take the last bitcoin bar that ended at or before each close instant, at most 2 h old. At the moment `until` the
       bars must have come as far as the close: an older one is not taken for one that is still to be fetched.

    Daily bitcoin bars cannot answer at the close instant: each session then takes the UTC day of its own date, which
    ends 3 to 4 hours late; callers must warn. Raises NoHistoryError where no session is left.
    """
    if not len(etf):
        raise NoHistoryError(f"{etf.source} has no {etf.symbol} closes; check the symbol and the dates.")
    first = int(np.searchsorted(sessions.days, etf.sessions[0]))
    last = int(np.searchsorted(sessions.days, etf.sessions[-1], side="right"))
    if until is not None:
        last = sessions.last_closed(until) + 1
    if last <= first:
        raise NoHistoryError(f"{etf.source} has no {etf.symbol} close of a finished session; check the dates.")
    days, closes_at = sessions.days[first:last], sessions.closes_at[first:last]
    etf_prices, etf_out = _etf_leg(etf, days)
    crypto_prices, crypto_out = _crypto_leg(crypto, days, closes_at)
    if until is not None and np.isfinite(crypto_prices[-1]) and not _reaches(crypto, closes_at[-1]):
        crypto_prices[-1] = np.nan
        crypto_out.append(_not_yet(crypto, days[-1].astype(object)))
    return Aligned(
        pair=pair,
        sessions=days,
        at=closes_at,
        etf=etf_prices,
        crypto=crypto_prices,
        left_out=tuple(sorted(etf_out + crypto_out, key=lambda out: (out.session, out.leg.value))),
        etf_source=etf.source,
        crypto_source=crypto.source,
        crypto_past=_past(crypto, sessions, first),
    )


def _past(crypto: Bars, sessions: Sessions, first: int) -> Past | None:
    """Look at the sessions before row `first`, which have no ETF close but may hold bitcoin's high."""
    days = sessions.days[:first]
    prices, _left_out = _crypto_leg(crypto, days, sessions.closes_at[:first])
    known = np.flatnonzero(np.isfinite(prices))
    if not len(known):
        return None
    high = int(known[np.argmax(prices[known])])
    return Past(high=float(prices[high]), high_on=days[high].astype(object), since=days[known[0]].astype(object))


def _etf_leg(etf: Closes, days: NDArray[np.datetime64]) -> tuple[NDArray[np.float64], list[LeftOut]]:
    prices = np.full(len(days), np.nan)
    known = np.isin(etf.sessions, days)
    prices[np.searchsorted(days, etf.sessions[known])] = etf.prices[known]
    inside = etf.sessions <= days[-1]
    strays = [
        LeftOut(session=day, leg=Leg.ETF, reason=f"{etf.source} has a close on {day}, which is no XNYS session")
        for day in etf.sessions[~known & inside].tolist()
    ]
    missing = [
        LeftOut(session=day, leg=Leg.ETF, reason=f"{etf.source} has no {etf.symbol} close for this session")
        for day in days[np.isnan(prices)].tolist()
    ]
    return prices, strays + missing


def _crypto_leg(
    bars: Bars, days: NDArray[np.datetime64], closes_at: NDArray[np.datetime64]
) -> tuple[NDArray[np.float64], list[LeftOut]]:
    if bars.interval >= DAY:
        return _daily_crypto_leg(bars, days)
    ended_at = np.append(np.datetime64("0001-01-01", "s"), bars.ended_at)
    index = np.searchsorted(ended_at, closes_at, side="right") - 1
    fresh = closes_at - ended_at[index] <= np.timedelta64(STALE_AFTER)
    prices = np.where(fresh, np.append(np.nan, bars.closes)[index], np.nan)
    left_out = [
        LeftOut(
            session=days[row].astype(object),
            leg=Leg.CRYPTO,
            reason=f"no {bars.symbol} bar ended in the 2 h up to the close; {_last_bar(bars.ended_at, index[row] - 1)}",
        )
        for row in np.flatnonzero(~fresh)
    ]
    return prices, left_out


def _reaches(bars: Bars, at: np.datetime64) -> bool:
    """Tell whether no further bar can end at or before `at`."""
    return bool(bars.ended_at[-1] + np.timedelta64(bars.interval) > at)


def _not_yet(bars: Bars, session: date) -> LeftOut:
    reason = f"the {bars.symbol} bar that ends at the close has not come yet; {_last_bar(bars.ended_at, len(bars) - 1)}"
    return LeftOut(session=session, leg=Leg.CRYPTO, reason=reason)


def _last_bar(ended_at: NDArray[np.datetime64], index: int) -> str:
    if index < 0:
        return "the bars begin later"
    return f"the last one before it ended {moment(ended_at[index]):%Y-%m-%d %H:%M} UTC"


def _daily_crypto_leg(bars: Bars, days: NDArray[np.datetime64]) -> tuple[NDArray[np.float64], list[LeftOut]]:
    known = np.isin(days, bars.opened_at.astype("datetime64[D]"))
    prices = np.full(len(days), np.nan)
    prices[known] = bars.closes[np.searchsorted(bars.opened_at.astype("datetime64[D]"), days[known])]
    left_out = [
        LeftOut(session=day, leg=Leg.CRYPTO, reason=f"{bars.source} has no {bars.symbol} bar for this day")
        for day in days[~known].tolist()
    ]
    return prices, left_out

"""Align: pair each session's ETF close with bitcoin's price at that very instant, and say what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.errors import NoHistoryError
from services.core.prices import Bars, Closes, Pair, instant, moment
from services.core.sessions import Sessions
from services.market.network_history import NetworkHistory

STALE_AFTER = timedelta(hours=2)
DAY = timedelta(days=1)
Quarantined = tuple["Mapping[np.datetime64, str]", "Mapping[np.datetime64, str]"]
NOTHING_HELD: Quarantined = (MappingProxyType({}), MappingProxyType({}))


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
    dollars, NaN where the leg has no usable price; the reason is in `left_out`. `network` is the past of the bitcoin
    network, where somebody looks at it.
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
    network: NetworkHistory | None = None

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

    def carried(self, *, etf: float, crypto: float) -> Aligned:
        """Multiply all prices of each leg by a factor, which makes them fit for a later session's price."""
        past = self.crypto_past
        return replace(
            self,
            etf=self.etf * etf,
            crypto=self.crypto * crypto,
            crypto_past=past and replace(past, high=past.high * crypto),
        )

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


class _Rows(NamedTuple):
    """The sessions to be priced, and the instant of each one's close."""

    days: NDArray[np.datetime64]
    closes_at: NDArray[np.datetime64]


def align(
    pair: Pair,
    etf: Closes | Bars,
    crypto: Closes | Bars,
    sessions: Sessions,
    *,
    until: datetime | None = None,
    held: Quarantined = NOTHING_HELD,
) -> Aligned:
    """Pair both legs at each session's close instant; a leg is session closes of a share, or bars of a coin.

    1. Take the calendar's sessions from the first leg's beginning to its end, or to the last one closed at `until`.
    2. Put each close on its session; a close on another date is left out.
    3. Of bars take the last one that ended at or before each close instant, at most 2 h old. At the moment `until` the
       bars must have come as far as the close: an older one is not taken for one that is still to be fetched.

    `held` has, for each leg, the sessions or the ends of bars whose price nobody stands behind, with the reason; an
    older bar does not stand in for one that is held. Daily bars cannot answer at the close instant: each session then
    takes the UTC day of its own date, which ends 3 to 4 hours late; callers must warn. Raises NoHistoryError where no
    session is left.
    """
    if not len(etf):
        raise NoHistoryError(f"{etf.source} has no {etf.symbol} closes; check the symbol and the dates.")
    first, last = _span(etf, sessions)
    if until is not None:
        last = sessions.last_closed(until) + 1
    if last <= first:
        raise NoHistoryError(f"{etf.source} has no {etf.symbol} close of a finished session; check the dates.")
    rows = _Rows(sessions.days[first:last], sessions.closes_at[first:last])
    legs = [
        _leg(leg, prices, rows, until, reasons)
        for leg, prices, reasons in ((Leg.ETF, etf, held[0]), (Leg.CRYPTO, crypto, held[1]))
    ]
    return Aligned(
        pair=pair,
        sessions=rows.days,
        at=rows.closes_at,
        etf=legs[0][0],
        crypto=legs[1][0],
        left_out=tuple(sorted(legs[0][1] + legs[1][1], key=lambda out: (out.session, out.leg.value))),
        etf_source=etf.source,
        crypto_source=crypto.source,
        crypto_past=_past(crypto, sessions, first),
    )


def _span(prices: Closes | Bars, sessions: Sessions) -> tuple[int, int]:
    """Find the first session that a leg has, and the one after its last."""
    if isinstance(prices, Closes):
        clock, times = sessions.days, prices.sessions
    else:
        clock, times = sessions.closes_at, prices.ended_at
    return int(np.searchsorted(clock, times[0])), int(np.searchsorted(clock, times[-1], side="right"))


def _leg(
    leg: Leg, prices: Closes | Bars, rows: _Rows, until: datetime | None, held: Mapping[np.datetime64, str]
) -> tuple[NDArray[np.float64], list[LeftOut]]:
    """Read one leg at each close, NaN where it has no usable price, and say why."""
    if isinstance(prices, Closes):
        return _closes_leg(leg, prices, rows.days, held)
    if prices.interval >= DAY:
        return _daily_leg(leg, prices, rows.days)
    found, left_out = _bars_leg(leg, prices, rows, held)
    if until is not None and np.isfinite(found[-1]) and not _reaches(prices, rows.closes_at[-1]):
        found[-1] = np.nan
        left_out.append(_not_yet(leg, prices, rows.days[-1].astype(object)))
    return found, left_out


def _past(prices: Closes | Bars, sessions: Sessions, first: int) -> Past | None:
    """Look at the sessions before row `first`, which the first leg does not have but which may hold the high."""
    begin = _span(prices, sessions)[0] if len(prices) else first
    days = sessions.days[begin:first]
    if not len(days):
        return None
    found, _left_out = _leg(Leg.CRYPTO, prices, _Rows(days, sessions.closes_at[begin:first]), None, NOTHING_HELD[1])
    known = np.flatnonzero(np.isfinite(found))
    if not len(known):
        return None
    high = int(known[np.argmax(found[known])])
    return Past(high=float(found[high]), high_on=days[high].astype(object), since=days[known[0]].astype(object))


def _closes_leg(
    leg: Leg, closes: Closes, days: NDArray[np.datetime64], held: Mapping[np.datetime64, str]
) -> tuple[NDArray[np.float64], list[LeftOut]]:
    prices = np.full(len(days), np.nan)
    known = np.isin(closes.sessions, days)
    prices[np.searchsorted(days, closes.sessions[known])] = closes.prices[known]
    inside = (closes.sessions <= days[-1]) & (closes.sessions >= days[0])
    strays = [
        LeftOut(session=day, leg=leg, reason=f"{closes.source} has a close on {day}, which is no XNYS session")
        for day in closes.sessions[~known & inside].tolist()
    ]
    have = "have" if " and " in closes.source else "has"
    missing = [
        LeftOut(
            session=day.astype(object),
            leg=leg,
            reason=held.get(day, f"{closes.source} {have} no {closes.symbol} close for this session"),
        )
        for day in days[np.isnan(prices)]
    ]
    return prices, strays + missing


def _bars_leg(
    leg: Leg, bars: Bars, rows: _Rows, held: Mapping[np.datetime64, str]
) -> tuple[NDArray[np.float64], list[LeftOut]]:
    days, closes_at = rows
    ends = bars.ended_at
    ended_at = np.append(np.datetime64("0001-01-01", "s"), ends)
    index = np.searchsorted(ended_at, closes_at, side="right") - 1
    fresh = closes_at - ended_at[index] <= np.timedelta64(STALE_AFTER)
    reasons = {
        int(row): f"no {bars.symbol} bar ended in the 2 h up to the close; {_last_bar(ends, index[row] - 1)}"
        for row in np.flatnonzero(~fresh)
    }
    for end, reason in held.items():  # few: an older bar must not stand in for one of them
        row = int(np.searchsorted(closes_at, end))
        if row < len(closes_at) and closes_at[row] - end <= np.timedelta64(STALE_AFTER) and ended_at[index[row]] < end:
            reasons[row] = reason
    prices = np.append(np.nan, bars.closes)[index]
    prices[list(reasons)] = np.nan
    return prices, [LeftOut(session=days[row].astype(object), leg=leg, reason=reasons[row]) for row in sorted(reasons)]


def _daily_leg(leg: Leg, bars: Bars, days: NDArray[np.datetime64]) -> tuple[NDArray[np.float64], list[LeftOut]]:
    known = np.isin(days, bars.opened_at.astype("datetime64[D]"))
    prices = np.full(len(days), np.nan)
    prices[known] = bars.closes[np.searchsorted(bars.opened_at.astype("datetime64[D]"), days[known])]
    left_out = [
        LeftOut(session=day, leg=leg, reason=f"{bars.source} has no {bars.symbol} bar for this day")
        for day in days[~known].tolist()
    ]
    return prices, left_out


def _reaches(bars: Bars, at: np.datetime64) -> bool:
    """Tell whether no further bar can end at or before `at`."""
    return bool(bars.ended_at[-1] + np.timedelta64(bars.interval) > at)


def _not_yet(leg: Leg, bars: Bars, session: date) -> LeftOut:
    reason = f"the {bars.symbol} bar that ends at the close has not come yet; {_last_bar(bars.ended_at, len(bars) - 1)}"
    return LeftOut(session=session, leg=leg, reason=reason)


def _last_bar(ended_at: NDArray[np.datetime64], index: int) -> str:
    if index < 0:
        return "the bars begin later"
    return f"the last one before it ended {moment(ended_at[index]):%Y-%m-%d %H:%M} UTC"

"""Align each session's ETF close with bitcoin's price at the same instant, and record what was excluded."""

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
from services.core.prices import Bars, Closes, Pair, to_datetime, to_datetime64
from services.core.reason import Code, Reason
from services.core.sessions import Sessions
from services.market.network_history import NetworkHistory

MAX_BAR_AGE = timedelta(hours=2)
DAY = timedelta(days=1)
Quarantined = tuple["Mapping[np.datetime64, Reason]", "Mapping[np.datetime64, Reason]"]
NO_QUARANTINE: Quarantined = (MappingProxyType({}), MappingProxyType({}))


class Leg(Enum):
    """One side of the pair."""

    ETF = "etf"
    CRYPTO = "btc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """A session without a usable price on one leg, and the reason."""

    session: date
    leg: Leg
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorHigh:
    """The highest bitcoin price before the first row that has one: at session closes, and at daily UTC closes.

    `since` is the first day that has a price.
    """

    high: float
    high_on: date
    since: date


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Aligned:
    """Both legs on one clock: one row for each XNYS session from the first to the last, without gaps.

    Attributes:
        sessions: datetime64[D], ascending.
        at: datetime64[s] UTC, the instant of both prices of a row: the session's close, or the live instant of a last
            row that `with_live` added.
        etf, crypto: float64 in US dollars; NaN if the leg has no usable price.
        exclusions: the reason for each missing price.
        crypto_prior_high: bitcoin's high before the first row.
        network: the bitcoin network's history, if the caller needs it.
    """

    pair: Pair
    sessions: NDArray[np.datetime64]
    at: NDArray[np.datetime64]
    etf: NDArray[np.float64]
    crypto: NDArray[np.float64]
    exclusions: tuple[Exclusion, ...]
    etf_source: str
    crypto_source: str
    crypto_prior_high: PriorHigh | None = None
    live: bool = False
    network: NetworkHistory | None = None

    def __len__(self) -> int:
        return len(self.sessions)

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Boolean mask of the rows with both prices."""
        return np.isfinite(self.etf) & np.isfinite(self.crypto)

    def until(self, at: datetime) -> Aligned:
        """Return the rows at or before `at`."""
        return self.head(int(np.searchsorted(self.at, to_datetime64(at), side="right")))

    def head(self, rows: int) -> Aligned:
        """Return the first `rows` rows."""
        return replace(
            self,
            sessions=self.sessions[:rows],
            at=self.at[:rows],
            etf=self.etf[:rows],
            crypto=self.crypto[:rows],
        )

    def before(self, session: date) -> Aligned:
        """Return the rows of the sessions before `session`."""
        return self.head(int(np.searchsorted(self.sessions, np.datetime64(session, "D"))))

    def rebased(self, *, etf: float, crypto: float) -> Aligned:
        """Multiply each leg's prices by a factor to make them comparable with a later session's price."""
        past = self.crypto_prior_high
        return replace(
            self,
            etf=self.etf * etf,
            crypto=self.crypto * crypto,
            crypto_prior_high=past and replace(past, high=past.high * crypto),
        )

    def with_live(self, session: date, at: datetime, *, etf: float, crypto: float) -> Aligned:
        """Append today's session as a provisional last row; both prices are as of the instant `at`."""
        return replace(
            self,
            sessions=np.append(self.sessions, np.datetime64(session, "D")),
            at=np.append(self.at, to_datetime64(at)),
            etf=np.append(self.etf, etf),
            crypto=np.append(self.crypto, crypto),
            live=True,
        )


class _Rows(NamedTuple):
    """The sessions to price, and the instant of each one's close."""

    days: NDArray[np.datetime64]
    closes_at: NDArray[np.datetime64]


def align(
    pair: Pair,
    etf: Closes | Bars,
    crypto: Closes | Bars,
    sessions: Sessions,
    *,
    until: datetime | None = None,
    quarantined: Quarantined = NO_QUARANTINE,
    daily: Bars | None = None,
) -> Aligned:
    """Align both legs at each session's close; a leg is session closes of a share, or bars of a coin.

    1. Select the calendar's sessions from the first leg's first price to its last, or to the last close before `until`.
    2. Assign each close to its session. A close on a date without a session is excluded.
    3. For bars, use the last one that ended at or before each close, at most 2 h old. If the bar that ends at the last
       close is not fetched yet at `until`, exclude that session instead of using an older bar.

    `quarantined` holds, for each leg, the sessions or bar ends whose price is not accepted, with the reason. An older
    bar never replaces a quarantined one. Daily bars have no price at the close: each session then uses the UTC day of
    its own date, which ends 3 to 4 hours late; callers must warn. `daily` are older daily bars of the crypto leg, for
    its high before its first price. Raises NoHistoryError if no session remains.
    """
    if not len(etf):
        raise NoHistoryError(f"{etf.source} has no {etf.symbol} closes; check the symbol and the dates.")
    first, last = _session_range(etf, sessions)
    if until is not None:
        last = sessions.last_closed(until) + 1
    if last <= first:
        raise NoHistoryError(f"{etf.source} has no {etf.symbol} close of a finished session; check the dates.")
    rows = _Rows(sessions.days[first:last], sessions.closes_at[first:last])
    legs = [
        _read_leg(leg, prices, rows, until, reasons)
        for leg, prices, reasons in ((Leg.ETF, etf, quarantined[0]), (Leg.CRYPTO, crypto, quarantined[1]))
    ]
    return Aligned(
        pair=pair,
        sessions=rows.days,
        at=rows.closes_at,
        etf=legs[0][0],
        crypto=legs[1][0],
        exclusions=tuple(
            sorted(legs[0][1] + legs[1][1], key=lambda exclusion: (exclusion.session, exclusion.leg.value))
        ),
        etf_source=etf.source,
        crypto_source=crypto.source,
        crypto_prior_high=_higher(
            _prior_high(crypto, sessions, first),
            None if daily is None else _prior_daily_high(daily, rows, legs[1][0]),
        ),
    )


def _session_range(prices: Closes | Bars, sessions: Sessions) -> tuple[int, int]:
    """Return the index of the first session of a leg, and the index after its last."""
    if isinstance(prices, Closes):
        clock, times = sessions.days, prices.sessions
    else:
        clock, times = sessions.closes_at, prices.ended_at
    return int(np.searchsorted(clock, times[0])), int(np.searchsorted(clock, times[-1], side="right"))


def _read_leg(
    leg: Leg, prices: Closes | Bars, rows: _Rows, until: datetime | None, quarantined: Mapping[np.datetime64, Reason]
) -> tuple[NDArray[np.float64], list[Exclusion]]:
    """Return one leg's price at each close, NaN if it has no usable price, and the exclusions."""
    if isinstance(prices, Closes):
        return _read_closes(leg, prices, rows.days, quarantined)
    if prices.interval >= DAY:
        return _read_daily_bars(leg, prices, rows.days)
    leg_prices, exclusions = _read_bars(leg, prices, rows, quarantined)
    if until is not None and np.isfinite(leg_prices[-1]) and not _covers(prices, rows.closes_at[-1]):
        leg_prices[-1] = np.nan
        exclusions.append(_pending_bar(leg, prices, rows.days[-1].astype(object)))
    return leg_prices, exclusions


def _prior_high(prices: Closes | Bars, sessions: Sessions, first: int) -> PriorHigh | None:
    """Return the crypto leg's high over its sessions before row `first`, where the first leg begins."""
    start = _session_range(prices, sessions)[0] if len(prices) else first
    days = sessions.days[start:first]
    if not len(days):
        return None
    leg_prices, _exclusions = _read_leg(
        Leg.CRYPTO, prices, _Rows(days, sessions.closes_at[start:first]), None, NO_QUARANTINE[1]
    )
    known = np.flatnonzero(np.isfinite(leg_prices))
    if not len(known):
        return None
    high = int(known[np.argmax(leg_prices[known])])
    return PriorHigh(
        high=float(leg_prices[high]), high_on=days[high].astype(object), since=days[known[0]].astype(object)
    )


def _prior_daily_high(daily: Bars, rows: _Rows, crypto: NDArray[np.float64]) -> PriorHigh | None:
    """Return the highest daily close that was known before the crypto leg's first price."""
    if not np.isfinite(crypto).any():
        return None
    earlier = daily.ended_at <= rows.closes_at[int(np.argmax(np.isfinite(crypto)))]
    if not earlier.any():
        return None
    days, closes = daily.opened_at[earlier].astype("datetime64[D]"), daily.closes[earlier]
    return PriorHigh(high=float(closes.max()), high_on=days[np.argmax(closes)].item(), since=days[0].item())


def _higher(known: PriorHigh | None, other: PriorHigh | None) -> PriorHigh | None:
    """Return the higher of two highs, since the earlier of their first days."""
    if known is None or other is None:
        return known or other
    return replace(known if known.high >= other.high else other, since=min(known.since, other.since))


def _read_closes(
    leg: Leg, closes: Closes, days: NDArray[np.datetime64], quarantined: Mapping[np.datetime64, Reason]
) -> tuple[NDArray[np.float64], list[Exclusion]]:
    prices = np.full(len(days), np.nan)
    known = np.isin(closes.sessions, days)
    prices[np.searchsorted(days, closes.sessions[known])] = closes.prices[known]
    in_range = (closes.sessions <= days[-1]) & (closes.sessions >= days[0])
    strays = [
        Exclusion(session=day, leg=leg, reason=Reason.of(Code.CLOSE_WITHOUT_SESSION, source=closes.source, session=day))
        for day in closes.sessions[~known & in_range].tolist()
    ]
    no_close = Reason.of(Code.NO_CLOSE, source=closes.source, symbol=closes.symbol)
    missing = [
        Exclusion(
            session=day.astype(object),
            leg=leg,
            reason=quarantined.get(day, no_close),
        )
        for day in days[np.isnan(prices)]
    ]
    return prices, strays + missing


def _read_bars(
    leg: Leg, bars: Bars, rows: _Rows, quarantined: Mapping[np.datetime64, Reason]
) -> tuple[NDArray[np.float64], list[Exclusion]]:
    days, closes_at = rows
    ends = bars.ended_at
    ended_at = np.append(np.datetime64("0001-01-01", "s"), ends)
    index = np.searchsorted(ended_at, closes_at, side="right") - 1
    fresh = closes_at - ended_at[index] <= np.timedelta64(MAX_BAR_AGE)
    reasons = {
        int(row): Reason.of(
            Code.NO_BAR_BEFORE_CLOSE, symbol=bars.symbol, last_at=_ended_at_or_none(ends, index[row] - 1)
        )
        for row in np.flatnonzero(~fresh)
    }
    for end, reason in quarantined.items():  # an older bar must not replace a quarantined one
        row = int(np.searchsorted(closes_at, end))
        if row < len(closes_at) and closes_at[row] - end <= np.timedelta64(MAX_BAR_AGE) and ended_at[index[row]] < end:
            reasons[row] = reason
    prices = np.append(np.nan, bars.closes)[index]
    prices[list(reasons)] = np.nan
    return prices, [
        Exclusion(session=days[row].astype(object), leg=leg, reason=reasons[row]) for row in sorted(reasons)
    ]


def _read_daily_bars(leg: Leg, bars: Bars, days: NDArray[np.datetime64]) -> tuple[NDArray[np.float64], list[Exclusion]]:
    known = np.isin(days, bars.opened_at.astype("datetime64[D]"))
    prices = np.full(len(days), np.nan)
    prices[known] = bars.closes[np.searchsorted(bars.opened_at.astype("datetime64[D]"), days[known])]
    no_bar = Reason.of(Code.NO_BAR_THAT_DAY, source=bars.source, symbol=bars.symbol)
    return prices, [Exclusion(session=day, leg=leg, reason=no_bar) for day in days[~known].tolist()]


def _covers(bars: Bars, at: np.datetime64) -> bool:
    """Return whether no further bar can end at or before `at`."""
    return bool(bars.ended_at[-1] + np.timedelta64(bars.interval) > at)


def _pending_bar(leg: Leg, bars: Bars, session: date) -> Exclusion:
    last_at = _ended_at_or_none(bars.ended_at, len(bars) - 1)
    return Exclusion(session=session, leg=leg, reason=Reason.of(Code.BAR_PENDING, symbol=bars.symbol, last_at=last_at))


def _ended_at_or_none(ended_at: NDArray[np.datetime64], index: int) -> datetime | None:
    return None if index < 0 else to_datetime(ended_at[index])

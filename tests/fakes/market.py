"""Aligned markets with given or random prices on real sessions of the calendar, and their market view."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np

from services.core.prices import WGMI_BTC, Bars, Closes, Symbol
from services.core.sessions import Sessions, sessions_between
from services.market.align import Aligned, align
from services.market.snapshot import snapshot
from services.rules.history_lookup import HistoryLookup
from services.rules.market_view import MarketView

CALENDAR: Sessions = sessions_between(date(2021, 6, 1), date(2027, 12, 31))
HOUR = timedelta(hours=1)


def session_days(first: str, count: int) -> list[date]:
    """Return `count` sessions from `first` on."""
    start = int(np.searchsorted(CALENDAR.days, np.datetime64(first)))
    days: list[date] = CALENDAR.days[start : start + count].tolist()
    return days


def etf_closes(prices: dict[date, float], source: str = "hand") -> Closes:
    return Closes(
        symbol=Symbol("WGMI"),
        sessions=np.array(sorted(prices), dtype="datetime64[D]"),
        prices=np.array([prices[day] for day in sorted(prices)]),
        source=source,
    )


def crypto_bars(prices: dict[datetime, float], interval: timedelta = HOUR, source: str = "hand") -> Bars:
    """Return bars by their opening time."""
    return Bars(
        symbol=Symbol("BTC"),
        interval=interval,
        opened_at=np.array([at.astimezone(UTC).replace(tzinfo=None) for at in sorted(prices)], dtype="datetime64[s]"),
        closes=np.array([prices[at] for at in sorted(prices)]),
        source=source,
    )


def bars_at_closes(days: list[date], prices: Sequence[float]) -> Bars:
    """Return one hourly bar that ends at each session's close."""
    ends = [CALENDAR.closes_at[CALENDAR.index_of(np.datetime64(day)) or 0].astype(object) for day in days]
    return crypto_bars({end.replace(tzinfo=UTC) - HOUR: price for end, price in zip(ends, prices, strict=True)})


def aligned_market(etf: Sequence[float | None], crypto: Sequence[float], first: str = "2024-01-02") -> Aligned:
    """Return sessions from `first` on with these closes; None leaves out the ETF's close."""
    days = session_days(first, len(etf))
    known = {day: price for day, price in zip(days, etf, strict=True) if price is not None}
    return align(WGMI_BTC, etf_closes(known), bars_at_closes(days, crypto), CALENDAR)


def random_market(sessions: int, seed: int = 7, first: str = "2022-02-08") -> Aligned:
    """Return random walks where the ETF has a beta of 1 and its own noise."""
    rng = np.random.default_rng(seed)
    crypto = rng.normal(0, 0.03, sessions)
    etf = crypto + rng.normal(0, 0.035, sessions)
    return aligned_market(
        (25 * np.exp(np.cumsum(etf))).tolist(), (40_000 * np.exp(np.cumsum(crypto))).tolist(), first=first
    )


def a_view(market: Aligned) -> MarketView:
    """Return the market view one hour after the last close."""
    close = snapshot(market)
    now = close.at + timedelta(hours=1)
    return MarketView(
        pair=market.pair,
        now=now,
        market=CALENDAR.state_at(now),
        close=close,
        history=HistoryLookup(market),
        live=None,
        live_reason="the market is shut",
        etf=None,
        crypto=None,
        gap=None,
        left_out=market.exclusions,
        problems=(),
        simulated=False,
    )

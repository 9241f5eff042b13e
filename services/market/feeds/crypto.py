"""Coins: the hourly bars and the last trade of cryptocurrencies, as one source tells them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from weakref import WeakValueDictionary

import numpy as np

from services.core.errors import SourceError
from services.core.prices import Bars, Quote, Symbol, moment
from services.market.feeds.freshness import BEGINNING, LIVE_AT_MOST, SHARED_FOR, Faults, newer, oldest_needed
from services.market.ports import CryptoSource, HistoryStore

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SLICE = timedelta(days=75)  # six pages of the slowest vendor
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoinFeed:
    """What one source told of a cryptocurrency: hourly bars, the last trade, and why the last fetch failed."""

    bars: Bars
    quote: Quote | None = None
    problem: str | None = None
    asked_at: datetime | None = None


@dataclass(slots=True)
class CoinFeeds:
    """One source's cryptocurrencies; nothing of them is let go either."""

    source: CryptoSource
    store: HistoryStore
    _known: dict[Symbol, CoinFeed] = field(default_factory=dict)
    _faults: Faults = field(default_factory=Faults)
    _locks: WeakValueDictionary[Symbol, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def read(self, symbol: Symbol, now: datetime) -> CoinFeed:
        """Bring one cryptocurrency up to date: the missing hourly bars, and the last trade; either may fail alone."""
        async with self._locks.setdefault(symbol, asyncio.Lock()):
            known = self._known.get(symbol)
            if known is None:
                kept = await self.store.load_bars(symbol, self.source.name, HOUR, _midnight(BEGINNING))
                known = CoinFeed(bars=kept)
            if known.asked_at is None or abs(now - known.asked_at) >= SHARED_FOR:
                known = await self._fetch(symbol, known, now)
            if len(known.bars):
                self._known[symbol] = known
            return known

    def told(self, symbol: Symbol) -> CoinFeed | None:
        """Give what is known of a cryptocurrency, without asking; None before anything was."""
        return self._known.get(symbol)

    async def _fetch(self, symbol: Symbol, known: CoinFeed, now: datetime) -> CoinFeed:
        """Ask for bars and the last trade side by side; a source that failed, for bars once its last trade has come."""
        if known.problem is None:
            (bars, late), (quote, problem) = await asyncio.gather(
                self._fetch_bars(symbol, known, now), self._fetch_quote(symbol, known.quote, now)
            )
        else:
            quote, problem = await self._fetch_quote(symbol, known.quote, now)
            bars, late = await self._fetch_bars(symbol, known, now)
        return CoinFeed(bars=bars, quote=quote, problem=late or problem, asked_at=now)

    async def _fetch_quote(self, symbol: Symbol, known: Quote | None, now: datetime) -> tuple[Quote | None, str | None]:
        """Fetch the last trade. Gives the later of it and the known one, and what the source failed at."""
        try:
            fresh = await self.source.quote(symbol)
        except SourceError as error:
            return known, str(error)
        quote, early = newer(known, fresh, now)
        return quote, self._faults.note(self.source.name, symbol, early or _old(fresh, now))

    async def _fetch_bars(self, symbol: Symbol, known: CoinFeed, now: datetime) -> tuple[Bars, str | None]:
        """Fetch what is missing up to the last whole hour, slice by slice, so that nothing fetched is lost.

        At a start that is also what is missing in between. Gives the bars, and what the source failed at.
        """
        bars, whole_hour = known.bars, now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        oldest, start = self._oldest(whole_hour), self._first_missing(bars, whole_hour)
        holes = [] if known.asked_at else [hole for hole in _holes(bars) if hole[0] >= oldest]
        for begin, end in (piece for stretch in [(start, whole_hour), *holes] for piece in _slices(*stretch)):
            try:
                fresh = await self.source.bars(symbol, HOUR, begin, end)
            except SourceError as error:
                return bars, str(error)
            await self.store.save_bars(fresh)
            bars = _merge_bars(bars, fresh)
            if whole_hour - start > SLICE and end > start:
                done = (end - start) / (whole_hour - start)
                told = "%s on %s: hours up to %s of %s, %.0f%% of what was missing"
                log.info(told, self.source.name, symbol, end.date(), whole_hour.date(), 100 * done)
        return bars, None

    def _first_missing(self, known: Bars, whole_hour: datetime) -> datetime:
        """Tell from when on bars are missing, as far back as the source reaches."""
        if not len(known):
            return self._oldest(whole_hour)
        last = moment(known.ended_at[-1])
        return whole_hour if last >= whole_hour else max(last - 2 * HOUR, self._reach(whole_hour))

    def _oldest(self, whole_hour: datetime) -> datetime:
        return max(_midnight(oldest_needed(whole_hour)), self._reach(whole_hour))

    def _reach(self, whole_hour: datetime) -> datetime:
        return _midnight(BEGINNING) if self.source.reach is None else whole_hour - self.source.reach


def _slices(begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while begin < end:
        yield begin, min(begin + SLICE, end)
        begin += SLICE


def _holes(bars: Bars) -> list[tuple[datetime, datetime]]:
    """Find where no bar is for longer than a day, as where a page came back empty: a coin trades every day."""
    rows = np.flatnonzero(np.diff(bars.opened_at) > np.timedelta64(DAY))
    return [(moment(bars.ended_at[row]), moment(bars.opened_at[row + 1])) for row in rows]


def _old(quote: Quote | None, now: datetime) -> str | None:
    """Say where a coin, which always trades, has no live price."""
    if quote is None or quote.age(now) <= LIVE_AT_MOST:
        return None
    return f"is late: its last trade is of {quote.at:%Y-%m-%d %H:%M} UTC"


def _merge_bars(known: Bars, fresh: Bars) -> Bars:
    kept = ~np.isin(known.opened_at, fresh.opened_at)
    opened_at = np.concatenate([known.opened_at[kept], fresh.opened_at])
    order = np.argsort(opened_at)
    return replace(fresh, opened_at=opened_at[order], closes=np.concatenate([known.closes[kept], fresh.closes])[order])


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)

"""Crypto feeds: hourly bars and the last trade of cryptocurrencies at one source."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from weakref import WeakValueDictionary

import numpy as np

from services.core.clock import EPOCH
from services.core.errors import SourceError
from services.core.prices import Bars, Quote, Symbol, to_datetime
from services.core.reason import Code, Reason
from services.market.consensus.closes import merge_bars
from services.market.feeds.freshness import (
    ANSWER_TTL,
    HISTORY_START,
    MAX_LIVE_AGE,
    FaultLog,
    dropped_values,
    latest_quote,
    lookback_start,
)
from services.market.ports import CryptoSource, HistoryStore

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FETCH_SPAN = timedelta(days=75)  # six pages of the slowest vendor
PAGE_BARS = 300  # a page of the vendor with the smallest pages
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoinFeed:
    """One source's data of a cryptocurrency: hourly bars, the last trade, and the problem of the last fetch.

    `dropped` are the unusable values that the last answers lost. `daily` are daily bars by UTC day, of older days too.
    """

    bars: Bars
    daily: Bars | None = None
    quote: Quote | None = None
    problem: Reason | str | None = None
    asked_at: datetime | None = None
    dropped: Reason | None = None


@dataclass(slots=True)
class CoinFeeds:
    """One source's cryptocurrencies. Stored bars are never dropped, so that an all-time high stays known.

    With `loads_all` the first answer has all bars that the source has, not only those of the last 930 days.
    """

    source: CryptoSource
    store: HistoryStore
    loads_all: bool = False
    _known: dict[Symbol, CoinFeed] = field(default_factory=dict)
    _begun: set[tuple[Symbol, timedelta]] = field(default_factory=set)  # whose first bar at the vendor is known
    _faults: FaultLog = field(default_factory=FaultLog)
    _locks: WeakValueDictionary[Symbol, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def read(self, symbol: Symbol, now: datetime) -> CoinFeed:
        """Update one cryptocurrency: the missing hourly bars and the last trade; either can fail alone."""
        async with self._locks.setdefault(symbol, asyncio.Lock()):
            known = self._known.get(symbol)
            if known is None:
                known = CoinFeed(bars=await self._load(symbol, HOUR), daily=await self._load(symbol, DAY))
            if known.asked_at is None or abs(now - known.asked_at) >= ANSWER_TTL:
                known = await self._fetch(symbol, known, now)
            if len(known.bars):
                self._known[symbol] = known
            return known

    def forget(self, symbol: Symbol) -> None:
        """Drop the data of a symbol from memory; the store keeps it."""
        self._known.pop(symbol, None)

    def has_older(self, symbol: Symbol, interval: timedelta, since: datetime, now: datetime) -> bool:
        """Return whether bars since `since` are still to be loaded, so far as is known.

        They are not before the first answer, which comes first, and at a vendor that serves only the newest bars.
        """
        if self.loads_all or self.source.simulated or self.source.history_limit is not None:
            return False
        if symbol not in self._known:
            return False
        return (symbol, interval) not in self._begun and self.oldest(symbol, interval, now) > since

    async def load_older(self, symbol: Symbol, interval: timedelta, since: datetime, now: datetime) -> None:
        """Load and save one page of bars before the oldest known one; an empty page is the vendor's start.

        The latest prices are not locked meanwhile. Raises SourceError.
        """
        end = self.oldest(symbol, interval, now)
        page = await self.source.bars(symbol, interval, max(since, end - PAGE_BARS * interval), end)
        if not len(page):
            self._begun.add((symbol, interval))
            return
        await self.store.save_bars(page)
        await self._add(page)

    async def load_stored(self, symbol: Symbol, interval: timedelta) -> None:
        """Load the bars that another process has saved."""
        await self._add(await self._load(symbol, interval))

    async def _add(self, fresh: Bars) -> None:
        """Add bars before the oldest known one; they never replace a known bar."""
        symbol = fresh.symbol
        async with self._locks.setdefault(symbol, asyncio.Lock()):
            known = self._known.get(symbol)
            if known is not None and fresh.interval == HOUR:
                self._known[symbol] = replace(known, bars=merge_bars(fresh, known.bars))
            elif known is not None:
                daily = fresh if known.daily is None else merge_bars(fresh, known.daily)
                self._known[symbol] = replace(known, daily=daily)

    def oldest(self, symbol: Symbol, interval: timedelta, now: datetime) -> datetime:
        """Return when the oldest known bar opened; the start of this interval if none is known."""
        known = self._known.get(symbol)
        bars = None if known is None else known.bars if interval == HOUR else known.daily
        if bars is not None and len(bars):
            return to_datetime(bars.opened_at[0])
        return EPOCH + (now - EPOCH) // interval * interval

    async def _load(self, symbol: Symbol, interval: timedelta) -> Bars:
        return await self.store.load_bars(symbol, self.source.name, interval, midnight(HISTORY_START))

    def latest(self, symbol: Symbol) -> CoinFeed | None:
        """Return the latest data of a cryptocurrency without a request; None if there is none."""
        return self._known.get(symbol)

    async def _fetch(self, symbol: Symbol, known: CoinFeed, now: datetime) -> CoinFeed:
        """Fetch bars and the last trade concurrently; after a failure, fetch bars only after the last trade."""
        if known.problem is None:
            (bars, bars_problem), (quote, quote_problem) = await asyncio.gather(
                self._fetch_bars(symbol, known, now), self._fetch_quote(symbol, known.quote, now)
            )
        else:
            quote, quote_problem = await self._fetch_quote(symbol, known.quote, now)
            bars, bars_problem = await self._fetch_bars(symbol, known, now)
        dropped = dropped_values(self.source, symbol)
        problem = bars_problem or quote_problem
        return replace(known, bars=bars, quote=quote, problem=problem, asked_at=now, dropped=dropped)

    async def _fetch_quote(
        self, symbol: Symbol, known: Quote | None, now: datetime
    ) -> tuple[Quote | None, Reason | str | None]:
        """Fetch the last trade; return the later of it and the known one, and the source's problem."""
        try:
            fresh = await self.source.quote(symbol)
        except SourceError as error:
            return known, str(error)
        quote, skew_problem = latest_quote(known, fresh, now)
        return quote, self._faults.record(self.source.name, symbol, skew_problem or _late_problem(fresh, now))

    async def _fetch_bars(self, symbol: Symbol, known: CoinFeed, now: datetime) -> tuple[Bars, str | None]:
        """Fetch the missing bars up to the last whole hour, and save each range, so that a failure loses nothing.

        Known bars that are not over were saved while a clock was ahead; they are dropped and fetched again. After a
        start, also fetch the last hours again, and fill gaps in between. Returns the bars, and the source's problem.
        """
        whole_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        bars = known.bars.until(whole_hour)
        start = self._first_missing(bars, whole_hour, restarted=known.asked_at is None)
        oldest = self._oldest_fetchable(whole_hour)
        gaps = [] if known.asked_at else [gap for gap in _gaps(bars) if gap[0] >= oldest]
        for begin, end in (
            fetch_range for gap_range in [(start, whole_hour), *gaps] for fetch_range in _fetch_ranges(*gap_range)
        ):
            try:
                fresh = await self.source.bars(symbol, HOUR, begin, end)
            except SourceError as error:
                return bars, str(error)
            await self.store.save_bars(fresh)
            bars = merge_bars(bars, fresh)
            if whole_hour - start > FETCH_SPAN and end > start:
                done = (end - start) / (whole_hour - start)
                message = "%s (%s): loaded hourly bars up to %s; target %s (%.0f%% of the missing ones)"
                log.info(message, self.source.name, symbol, end.date(), whole_hour.date(), 100 * done)
        return bars, None

    def _first_missing(self, known: Bars, whole_hour: datetime, *, restarted: bool) -> datetime:
        """Return when the missing bars begin, limited by the source's history."""
        if not len(known):
            return self._oldest_fetchable(whole_hour)
        last = to_datetime(known.ended_at[-1])
        if last >= whole_hour and not restarted:
            return whole_hour
        return max(last - 2 * HOUR, self._source_start(whole_hour))

    def _oldest_fetchable(self, whole_hour: datetime) -> datetime:
        start = self._source_start(whole_hour)
        return start if self.loads_all else max(midnight(lookback_start(whole_hour)), start)

    def _source_start(self, whole_hour: datetime) -> datetime:
        return midnight(HISTORY_START) if self.source.history_limit is None else whole_hour - self.source.history_limit


def _fetch_ranges(begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while begin < end:
        yield begin, min(begin + FETCH_SPAN, end)
        begin += FETCH_SPAN


def _gaps(bars: Bars) -> list[tuple[datetime, datetime]]:
    """Return the gaps of more than a day, such as an empty page; a coin trades every day."""
    rows = np.flatnonzero(np.diff(bars.opened_at) > np.timedelta64(DAY))
    return [(to_datetime(bars.ended_at[row]), to_datetime(bars.opened_at[row + 1])) for row in rows]


def _late_problem(quote: Quote | None, now: datetime) -> Reason | None:
    """Return the problem if a coin, which always trades, has no live price."""
    if quote is None or quote.age(now) <= MAX_LIVE_AGE:
        return None
    return Reason.of(Code.TRADE_LATE, at=quote.at)


def midnight(day: date) -> datetime:
    """Return the first instant of a day in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)

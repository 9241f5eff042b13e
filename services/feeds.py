"""Feeds: what one source tells of each symbol, in memory and in the store, brought up to date on demand."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np

from services.domain.errors import SourceError
from services.domain.prices import Bars, Closes, Symbol, moment

if TYPE_CHECKING:
    from services.domain.prices import Quote
    from services.domain.sessions import Sessions
    from services.ports import CryptoSource, EquityPrices, EquitySource, HistoryStore

BEGINNING = date(2015, 1, 1)  # nothing older is read; the calendar reaches back to it
NEEDED = timedelta(days=800)  # the 252-session windows, and the 252 of them that percentiles look back on
REVISED = timedelta(days=7)  # vendors correct recent sessions overnight
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SLICE = timedelta(days=75)  # six pages of the slowest vendor
AHEAD = timedelta(minutes=1)  # by which a vendor's clock may be before ours
SHARED_FOR = timedelta(seconds=10)  # how long one answer serves everyone who asks
PATIENCE = timedelta(minutes=10)  # between two calls for a close that a source without last trades does not have yet
SETTLED_AFTER = timedelta(minutes=15)
LAST_TRADE = timedelta(minutes=20)  # before the close: an older last trade does not tell the close yet
WAITED_ENOUGH = timedelta(hours=2)
CONFIRMED_AFTER = timedelta(hours=1)
OF_ANOTHER = "sent closes unlike those before, as of another symbol, and no split explains them; they are left out"
REBASED = 0.2  # no close is corrected by a fifth; a split rewrites every close before it
SAME_RATIO, SPLIT_AT_LEAST, SPLIT_SESSIONS = 0.001, 0.01, 3
STANDS = timedelta(days=1)  # how long a source must go on telling another past before it is believed
LIVE_AT_MOST = timedelta(minutes=20)  # a trade older than this is no live price
LATE_SESSIONS = 3  # the last close may not be out yet, and New York may have been shut on the day before
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityFeed:
    """What one source told of an equity: final closes, the last trade, and why the last fetch failed.

    `asked_at` is when it was last asked, and `answered_at` when it last gave an answer; None before the first.
    `doubted_at` is since when its answers are of another past and left out.
    """

    closes: Closes
    quote: Quote | None = None
    problem: str | None = None
    asked_at: datetime | None = None
    answered_at: datetime | None = None
    doubted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoinFeed:
    """What one source told of a cryptocurrency: hourly bars, the last trade, and why the last fetch failed."""

    bars: Bars
    quote: Quote | None = None
    problem: str | None = None
    asked_at: datetime | None = None


@dataclass(slots=True)
class Faults:
    """What is wrong with the content of answers that came; the first of a symbol is logged, and the end of it."""

    _open: set[Symbol] = field(default_factory=set)

    def note(self, source: str, symbol: Symbol, problem: str | None) -> str | None:
        """Give the problem in the source's name."""
        if problem is None:
            if symbol in self._open:
                log.info("%s on %s: its answers can be used again", source, symbol)
                self._open.discard(symbol)
            return None
        told = f"{source} on {symbol}: {problem}"
        if symbol not in self._open:
            log.warning("%s", told)
            self._open.add(symbol)
        return told


@dataclass(slots=True)
class EquityFeeds:
    """One source's equities. What has been kept is never let go: an all-time high must not roll off."""

    source: EquitySource
    store: HistoryStore
    _known: dict[Symbol, EquityFeed] = field(default_factory=dict)
    _faults: Faults = field(default_factory=Faults)
    _locks: WeakValueDictionary[Symbol, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def read(self, symbol: Symbol, now: datetime, sessions: Sessions) -> EquityFeed:
        """Bring one equity up to date.

        1. At the first call, load what the store has.
        2. While the market is open, or the last close is not final yet, ask the source for the last sessions; and
           once more an hour after the close, when late trades are in.
        3. Keep the final closes, in the store too; fetch all of them anew where a split has rewritten the past.

        A source that fails leaves what is known, with its problem. A symbol of which nothing is known is forgotten.
        """
        async with self._locks.setdefault(symbol, asyncio.Lock()):
            known = self._known.get(symbol)
            if known is None:
                known = EquityFeed(closes=await self.store.load_closes(symbol, self.source.name, BEGINNING))
            if _is_wanted(known, now, sessions):
                known = replace(await self._fetch(symbol, known, now, sessions), asked_at=now)
            elif not sessions.state(now).is_open:
                known = await self._share(known, now)
            if len(known.closes):
                self._known[symbol] = known
            return known

    async def _fetch(self, symbol: Symbol, known: EquityFeed, now: datetime, sessions: Sessions) -> EquityFeed:
        """Ask for the last sessions; where a split has rewritten the past, for all of them in place of the old ones."""
        whole = _since(now)
        recent = whole if not len(known.closes) else max(whole, known.closes.sessions[-1].astype(object) - REVISED)
        try:
            answer = await self.source.prices(symbol, recent)
            foreign = _is_foreign(known.closes, answer.closes)
            if foreign and now - (known.doubted_at or now) < STANDS:
                problem = self._faults.note(self.source.name, symbol, OF_ANOTHER)
                return replace(known, problem=problem, doubted_at=known.doubted_at or now)
            rebased = foreign or _rebased(known.closes, answer.closes)
            if rebased:
                answer = await self.source.prices(symbol, min(whole, known.closes.sessions[0].astype(object)))
        except SourceError as error:
            return replace(known, problem=str(error))
        late = _late(answer.closes, sessions, now)
        if known.quote is not None and answer.quote is not None and answer.quote.at < known.quote.at:
            problem = self._faults.note(self.source.name, symbol, late)  # out of an older cache, closes and all
            return replace(known, problem=problem, doubted_at=None)
        final = _final(answer, sessions, now)
        closes = await (self._replace(final) if rebased and len(final) else self._merge(known.closes, final, now))
        quote, early = _newer(None if rebased else known.quote, answer.quote, now)
        problem = self._faults.note(self.source.name, symbol, early or late)
        answered_at = known.answered_at if early else now
        return EquityFeed(closes=closes, quote=quote, problem=problem, answered_at=answered_at)

    async def _share(self, known: EquityFeed, now: datetime) -> EquityFeed:
        """Take over what another process has been told meanwhile, so that no two of them contradict each other."""
        since = (now - 2 * REVISED).date()
        news = _news(known.closes, await self.store.load_closes(known.closes.symbol, self.source.name, since))
        return replace(known, closes=_merge_closes(known.closes, news)) if len(news) else known

    async def _replace(self, closes: Closes) -> Closes:
        log.info("%s has rewritten the history of %s, as after a split", closes.source, closes.symbol)
        await self.store.replace_closes(closes)
        return closes

    async def _merge(self, known: Closes, final: Closes, now: datetime) -> Closes:
        news = _news(known, final)
        if not len(news):
            return known
        await self.store.save_closes(news, now)
        if not len(known):
            log.info("%s on %s: %d closes from %s to %s", news.source, news.symbol, len(news), *news.sessions[[0, -1]])
        return _merge_closes(known, news)


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

    async def _fetch(self, symbol: Symbol, known: CoinFeed, now: datetime) -> CoinFeed:
        bars, late = await self._fetch_bars(symbol, known.bars, now)
        try:
            fresh = await self.source.quote(symbol)
        except SourceError as error:
            return CoinFeed(bars=bars, quote=known.quote, problem=late or str(error), asked_at=now)
        quote, early = _newer(known.quote, fresh, now)
        problem = self._faults.note(self.source.name, symbol, early or _old(fresh, now))
        return CoinFeed(bars=bars, quote=quote, problem=late or problem, asked_at=now)

    async def _fetch_bars(self, symbol: Symbol, known: Bars, now: datetime) -> tuple[Bars, str | None]:
        """Fetch what is missing up to the last whole hour, slice by slice, so that nothing fetched is lost.

        Gives the bars, and what the source failed at.
        """
        whole_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        start = self._first_missing(known, whole_hour)
        first, is_long = start, whole_hour - start > SLICE
        while start < whole_hour:
            end = min(start + SLICE, whole_hour)
            try:
                fresh = await self.source.bars(symbol, HOUR, start, end)
            except SourceError as error:
                return known, str(error)
            await self.store.save_bars(fresh)
            known = _merge_bars(known, fresh)
            if is_long:
                done = (end - first) / (whole_hour - first)
                told = "%s on %s: hours up to %s of %s, %.0f%% of what was missing"
                log.info(told, self.source.name, symbol, end.date(), whole_hour.date(), 100 * done)
            start = end
        return known, None

    def _first_missing(self, known: Bars, whole_hour: datetime) -> datetime:
        """Tell from when on bars are missing, as far back as the source reaches."""
        reach = self.source.reach
        oldest = _midnight(_since(whole_hour))
        if len(known):
            last = moment(known.ended_at[-1])
            oldest = whole_hour if last >= whole_hour else last - 2 * HOUR
        return oldest if reach is None else max(oldest, whole_hour - reach)


def _is_wanted(known: EquityFeed, now: datetime, sessions: Sessions) -> bool:
    """Tell whether there may be news: in a session at each look, after it until the close is final and confirmed.

    A source without last trades has news after the close only, and is asked for it with patience.
    """
    if known.asked_at is None:
        return True
    if known.problem is None and abs(now - known.asked_at) < SHARED_FOR:
        return False
    last = sessions.last_closed(now)
    missing = not len(known.closes) or bool(known.closes.sessions[-1] < sessions.days[last])
    if known.answered_at is not None and known.quote is None and known.answered_at == known.asked_at:
        return missing and now - known.asked_at >= PATIENCE
    if known.answered_at is None or missing or sessions.state(now).is_open:
        return True
    confirm_at = moment(sessions.closes_at[last]) + CONFIRMED_AFTER
    return known.answered_at < confirm_at <= now


def _final(answer: EquityPrices, sessions: Sessions, now: datetime) -> Closes:
    """Keep the closes that will not move any more, of the last session only once the vendor's clock tells so."""
    last = sessions.last_closed(now)
    limit = sessions.days[last if _settled(answer.quote, moment(sessions.closes_at[last]), now) else last - 1]
    return answer.closes.where(answer.closes.sessions <= limit)


def _settled(quote: Quote | None, closes_at: datetime, now: datetime) -> bool:
    """Tell whether a last trade makes the price of a session that has ended its close.

    It does at or after the close; a quarter of an hour later also where it is one of the last minutes, as in a thin
    ETF. A frozen quote does not, until nothing newer can be hoped for.
    """
    if quote is not None and quote.at >= closes_at:
        return True
    waited = now - closes_at
    fresh = quote is None or quote.at >= closes_at - LAST_TRADE
    return waited >= (SETTLED_AFTER if fresh else WAITED_ENOUGH)


def _newer(known: Quote | None, fresh: Quote | None, now: datetime) -> tuple[Quote | None, str | None]:
    """Choose the later trade, as a vendor's cache must not turn the clock back; and say where one is of the future."""
    if fresh is not None and fresh.at > now + AHEAD:
        return known, f"its last trade is of {fresh.at:%H:%M:%S} UTC, ahead of our clock"
    quotes = [quote for quote in (fresh, known) if quote is not None]
    return max(quotes, key=lambda quote: quote.at, default=None), None


def _late(closes: Closes, sessions: Sessions, now: datetime) -> str | None:
    """Say where even the close before the last one is missing at the end."""
    last = sessions.last_closed(now)
    if not len(closes) or closes.sessions[-1] > sessions.days[last - LATE_SESSIONS]:
        return None
    behind = last - int(np.searchsorted(sessions.days, closes.sessions[-1]))
    return f"is late: its newest close is of {closes.sessions[-1]}, {behind} sessions before the last"


def _old(quote: Quote | None, now: datetime) -> str | None:
    """Say where a coin, which always trades, has no live price."""
    if quote is None or quote.age(now) <= LIVE_AT_MOST:
        return None
    return f"is late: its last trade is of {quote.at:%Y-%m-%d %H:%M} UTC"


def _news(known: Closes, fresh: Closes) -> Closes:
    """Keep the closes that are not known, or not with this price."""
    same = np.isin(fresh.sessions, known.sessions)
    same[same] = known.prices[np.searchsorted(known.sessions, fresh.sessions[same])] == fresh.prices[same]
    return fresh.where(~same)


def _rebased(known: Closes, fresh: Closes) -> bool:
    """Tell whether a split has rewritten the past: one ratio throughout, or one that no correction has."""
    shared, mine, theirs = np.intersect1d(known.sessions, fresh.sessions, return_indices=True)
    if not len(shared):
        return False
    ratios = fresh.prices[theirs] / known.prices[mine]
    even = bool(np.ptp(ratios) < SAME_RATIO) and len(shared) >= SPLIT_SESSIONS
    return bool(np.any(np.abs(ratios - 1) > REBASED)) or (even and bool(abs(ratios[0] - 1) > SPLIT_AT_LEAST))


def _is_foreign(known: Closes, fresh: Closes) -> bool:
    """Tell whether closes are of another past altogether: moved on several sessions, and by no common ratio."""
    _, mine, theirs = np.intersect1d(known.sessions, fresh.sessions, return_indices=True)
    ratios = fresh.prices[theirs] / known.prices[mine]
    moved = ratios[np.abs(ratios - 1) > SPLIT_AT_LEAST]
    return len(moved) >= SPLIT_SESSIONS and bool(moved.max() / moved.min() - 1 > SPLIT_AT_LEAST)


def _merge_closes(known: Closes, fresh: Closes) -> Closes:
    kept = known.where(~np.isin(known.sessions, fresh.sessions))
    sessions = np.concatenate([kept.sessions, fresh.sessions])
    order = np.argsort(sessions)
    return replace(
        fresh,
        sessions=sessions[order],
        prices=np.concatenate([kept.prices, fresh.prices])[order],
        volumes=np.concatenate([kept.known_volumes, fresh.known_volumes])[order],
    )


def _merge_bars(known: Bars, fresh: Bars) -> Bars:
    kept = ~np.isin(known.opened_at, fresh.opened_at)
    opened_at = np.concatenate([known.opened_at[kept], fresh.opened_at])
    order = np.argsort(opened_at)
    return replace(fresh, opened_at=opened_at[order], closes=np.concatenate([known.closes[kept], fresh.closes])[order])


def _since(now: datetime) -> date:
    return (now.astimezone(UTC) - NEEDED).date()


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)

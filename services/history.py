"""Fetch and keep: the price history of each pair, in memory and in the store, brought up to date on demand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np

from services.domain.errors import SourceError
from services.domain.prices import Bars, Closes, Symbol, moment
from services.domain.sessions import sessions_around

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
SETTLED_AFTER = timedelta(minutes=15)
LAST_TRADE = timedelta(minutes=20)  # before the close: an older last trade does not tell the close yet
WAITED_ENOUGH = timedelta(hours=2)
CONFIRMED_AFTER = timedelta(hours=1)
REBASED = 0.2  # no close is corrected by a fifth; a split rewrites every close before it
SAME_RATIO, SPLIT_AT_LEAST, SPLIT_SESSIONS = 0.001, 0.01, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityHistory:
    """What is known of one equity: final closes, the last trade, and why the last fetch failed.

    `answered_at` is when the source last gave an answer; None before the first.
    """

    closes: Closes
    quote: Quote | None = None
    problem: str | None = None
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CryptoHistory:
    """What is known of one cryptocurrency: hourly bars, the last trade, and why the last fetch failed.

    `asked_at` is when the source was last asked for the trade.
    """

    bars: Bars
    quote: Quote | None = None
    problem: str | None = None
    asked_at: datetime | None = None


@dataclass(slots=True)
class History:
    """The legs of every pair, each fetched once however many pairs share it.

    What has been kept is never let go: an all-time high must not roll off, and a year of it is a few hundred kB.
    """

    equity: EquitySource
    crypto: CryptoSource
    store: HistoryStore
    _equities: dict[Symbol, EquityHistory] = field(default_factory=dict)
    _cryptos: dict[Symbol, CryptoHistory] = field(default_factory=dict)
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    @property
    def simulated(self) -> bool:
        """Whether any leg is simulated."""
        return self.equity.simulated or self.crypto.simulated

    def sessions(self, now: datetime) -> Sessions:
        """Build the calendar that the history of `now` needs."""
        return sessions_around(now.date(), since=BEGINNING)

    async def etf(self, symbol: Symbol, now: datetime) -> EquityHistory:
        """Bring one equity up to date.

        1. At the first call, load what the store has.
        2. While the market is open, or the last close is not final yet, ask the source for the last sessions; and
           once more an hour after the close, when late trades are in.
        3. Keep the final closes, in the store too; fetch all of them anew where a split has rewritten the past.

        A source that fails leaves what is known, with its problem. A symbol of which nothing is known is forgotten.
        """
        async with self._alone(f"equity {symbol}"):
            known = self._equities.get(symbol)
            if known is None:
                kept = await self.store.load_closes(_shelf(symbol, self.equity), BEGINNING)
                known = EquityHistory(closes=replace(kept, symbol=symbol))
            if self._wants_etf(known, now):
                known = await self._fetch_etf(symbol, known, now)
            if len(known.closes):
                self._equities[symbol] = known
            return known

    async def coin(self, symbol: Symbol, now: datetime) -> CryptoHistory:
        """Bring one cryptocurrency up to date: the missing hourly bars, and the last trade; either may fail alone."""
        async with self._alone(f"crypto {symbol}"):
            known = self._cryptos.get(symbol)
            if known is None:
                kept = await self.store.load_bars(_shelf(symbol, self.crypto), HOUR, _midnight(BEGINNING))
                known = CryptoHistory(bars=replace(kept, symbol=symbol))
            if known.asked_at is None or abs(now - known.asked_at) >= SHARED_FOR:
                known = await self._fetch_coin(symbol, known, now)
            if len(known.bars):
                self._cryptos[symbol] = known
            return known

    async def coin_at(self, symbol: Symbol, at: datetime) -> tuple[float, datetime] | None:
        """Find a cryptocurrency's price at a recent instant, from the last minute bar complete by then."""
        minutes = await self.crypto.bars(symbol, MINUTE, at - 10 * MINUTE, at)
        return minutes.last_complete(at)

    def _alone(self, name: str) -> asyncio.Lock:
        """Give the lock of one leg; it lasts as long as someone holds or awaits it."""
        return self._locks.setdefault(name, asyncio.Lock())

    def _wants_etf(self, known: EquityHistory, now: datetime) -> bool:
        if known.answered_at is not None and known.problem is None and abs(now - known.answered_at) < SHARED_FOR:
            return False
        sessions = self.sessions(now)
        if known.answered_at is None or sessions.state(now).is_open or not len(known.closes):
            return True
        last = sessions.last_closed(now)
        confirm_at = moment(sessions.closes_at[last]) + CONFIRMED_AFTER
        return bool(known.closes.sessions[-1] < sessions.days[last]) or known.answered_at < confirm_at <= now

    async def _fetch_etf(self, symbol: Symbol, known: EquityHistory, now: datetime) -> EquityHistory:
        """Ask for the last sessions; where a split has rewritten the past, for all of them in place of the old ones."""
        whole = _since(now)
        recent = whole if not len(known.closes) else max(whole, known.closes.sessions[-1].astype(object) - REVISED)
        try:
            answer = await self.equity.prices(symbol, recent)
            rebased = _rebased(known.closes, answer.closes)
            if rebased:
                answer = await self.equity.prices(symbol, min(whole, known.closes.sessions[0].astype(object)))
        except SourceError as error:
            return replace(known, problem=str(error))
        final = _final(answer, self.sessions(now), now)
        closes = await (self._replace(final) if rebased and len(final) else self._merge(known.closes, final))
        quote, problem = _newer(None if rebased else known.quote, answer.quote, now)
        return EquityHistory(closes=closes, quote=quote, problem=problem, answered_at=now)

    async def _replace(self, closes: Closes) -> Closes:
        await self.store.replace_closes(replace(closes, symbol=_shelf(closes.symbol, self.equity)))
        return closes

    async def _merge(self, known: Closes, final: Closes) -> Closes:
        news = _news(known, final)
        if not len(news):
            return known
        await self.store.save_closes(replace(news, symbol=_shelf(news.symbol, self.equity)))
        return _merge_closes(known, news)

    async def _fetch_coin(self, symbol: Symbol, known: CryptoHistory, now: datetime) -> CryptoHistory:
        bars, late = await self._fetch_bars(symbol, known.bars, now)
        try:
            quote, problem = _newer(known.quote, await self.crypto.quote(symbol), now)
        except SourceError as error:
            quote, problem = known.quote, str(error)
        return CryptoHistory(bars=bars, quote=quote, problem=late or problem, asked_at=now)

    async def _fetch_bars(self, symbol: Symbol, known: Bars, now: datetime) -> tuple[Bars, str | None]:
        """Fetch what is missing up to the last whole hour, slice by slice, so that nothing fetched is lost.

        Gives the bars, and what the source failed at.
        """
        whole_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        start = _midnight(_since(now))
        if len(known):
            last = moment(known.ended_at[-1])
            start = whole_hour if last >= whole_hour else last - 2 * HOUR
        while start < whole_hour:
            end = min(start + SLICE, whole_hour)
            try:
                fresh = await self.crypto.bars(symbol, HOUR, start, end)
            except SourceError as error:
                return known, str(error)
            await self.store.save_bars(replace(fresh, symbol=_shelf(symbol, self.crypto)))
            known = _merge_bars(known, fresh)
            start = end
        return known, None


def _final(answer: EquityPrices, sessions: Sessions, now: datetime) -> Closes:
    """Keep the closes that will not move any more, of the last session only once the vendor's clock tells so."""
    last = sessions.last_closed(now)
    limit = sessions.days[last if _settled(answer.quote, moment(sessions.closes_at[last]), now) else last - 1]
    keep = answer.closes.sessions <= limit
    return replace(answer.closes, sessions=answer.closes.sessions[keep], prices=answer.closes.prices[keep])


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
        return (
            known,
            f"{fresh.source} on {fresh.symbol}: its last trade is of {fresh.at:%H:%M:%S} UTC, ahead of our clock",
        )
    quotes = [quote for quote in (fresh, known) if quote is not None]
    return max(quotes, key=lambda quote: quote.at, default=None), None


def _news(known: Closes, fresh: Closes) -> Closes:
    """Keep the closes that are not known, or not with this price."""
    same = np.isin(fresh.sessions, known.sessions)
    same[same] = known.prices[np.searchsorted(known.sessions, fresh.sessions[same])] == fresh.prices[same]
    return replace(fresh, sessions=fresh.sessions[~same], prices=fresh.prices[~same])


def _rebased(known: Closes, fresh: Closes) -> bool:
    """Tell whether a split has rewritten the past: one ratio throughout, or one that no correction has."""
    shared, mine, theirs = np.intersect1d(known.sessions, fresh.sessions, return_indices=True)
    if not len(shared):
        return False
    ratios = fresh.prices[theirs] / known.prices[mine]
    even = bool(np.ptp(ratios) < SAME_RATIO) and len(shared) >= SPLIT_SESSIONS
    return bool(np.any(np.abs(ratios - 1) > REBASED)) or (even and bool(abs(ratios[0] - 1) > SPLIT_AT_LEAST))


def _merge_closes(known: Closes, fresh: Closes) -> Closes:
    kept = ~np.isin(known.sessions, fresh.sessions)
    sessions = np.concatenate([known.sessions[kept], fresh.sessions])
    order = np.argsort(sessions)
    return Closes(
        symbol=fresh.symbol,
        sessions=sessions[order],
        prices=np.concatenate([known.prices[kept], fresh.prices])[order],
        source=fresh.source,
    )


def _merge_bars(known: Bars, fresh: Bars) -> Bars:
    kept = ~np.isin(known.opened_at, fresh.opened_at)
    opened_at = np.concatenate([known.opened_at[kept], fresh.opened_at])
    order = np.argsort(opened_at)
    return Bars(
        symbol=fresh.symbol,
        interval=fresh.interval,
        opened_at=opened_at[order],
        closes=np.concatenate([known.closes[kept], fresh.closes])[order],
        source=fresh.source,
    )


def _shelf(symbol: Symbol, source: EquitySource | CryptoSource) -> Symbol:
    """Name what the store keeps a symbol's prices under; simulated ones, by seed, never lie among the real."""
    return Symbol(f"{source.name} {symbol}") if source.simulated else symbol


def _since(now: datetime) -> date:
    return (now.astimezone(UTC) - NEEDED).date()


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)

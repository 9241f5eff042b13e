"""Fetch and keep: the price history of each pair, in memory and in the store, brought up to date on demand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from services.domain.errors import SourceError
from services.domain.prices import Bars, Closes, Symbol, instant, moment
from services.domain.sessions import sessions_around

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from datetime import date

    from services.domain.prices import Quote
    from services.domain.sessions import Sessions
    from services.ports import CryptoSource, EquityPrices, EquitySource, HistoryStore

KEEP = timedelta(days=800)  # the 252-session windows, and the 252 of them that percentiles look back on
REVISED = timedelta(days=7)  # vendors correct recent sessions overnight
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SLICE = timedelta(days=75)  # six pages of the slowest vendor
SETTLED_AFTER = timedelta(minutes=15)
REBASED = 0.2  # no close is corrected by a fifth; a split rewrites every close before it


@dataclass(slots=True)
class EquityHistory:
    """What is known of one equity: final closes, the last trade, and why the last fetch failed."""

    closes: Closes
    quote: Quote | None = None
    problem: str | None = None


@dataclass(slots=True)
class CryptoHistory:
    """What is known of one cryptocurrency: hourly bars, the last trade, and why the last fetch failed."""

    bars: Bars
    quote: Quote | None = None
    problem: str | None = None


@dataclass(slots=True)
class History:
    """The legs of every pair, each fetched once however many pairs share it."""

    equity: EquitySource
    crypto: CryptoSource
    store: HistoryStore
    _equities: dict[Symbol, EquityHistory] = field(default_factory=dict)
    _cryptos: dict[Symbol, CryptoHistory] = field(default_factory=dict)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    @property
    def simulated(self) -> bool:
        """Whether any leg is simulated."""
        return self.equity.simulated or self.crypto.simulated

    def sessions(self, now: datetime) -> Sessions:
        """Build the calendar that the history of `now` needs."""
        return sessions_around(now.date(), since=_since(now))

    async def etf(self, symbol: Symbol, now: datetime) -> EquityHistory:
        """Bring one equity up to date.

        1. At the first call, load what the store has.
        2. While the market is open, or the last close is not final yet, ask the source for the last sessions.
        3. Keep the final closes, in the store too; fetch all of them anew where a split has rewritten the past.

        A source that fails leaves what is known, with its problem.
        """
        async with self._locks.setdefault(f"equity {symbol}", asyncio.Lock()):
            known = self._equities.get(symbol)
            if known is None:
                kept = await self.store.load_closes(_shelf(symbol, self.equity), _since(now))
                known = self._equities[symbol] = EquityHistory(closes=replace(kept, symbol=symbol))
            if self._wants_etf(known, now):
                known.problem = await _problem(self._fetch_etf(symbol, known, now))
            known.closes = _recent(known.closes, now)
            return known

    async def coin(self, symbol: Symbol, now: datetime) -> CryptoHistory:
        """Bring one cryptocurrency up to date: the missing hourly bars, and the last trade; either may fail alone."""
        async with self._locks.setdefault(f"crypto {symbol}", asyncio.Lock()):
            known = self._cryptos.get(symbol)
            if known is None:
                kept = await self.store.load_bars(_shelf(symbol, self.crypto), HOUR, _midnight(_since(now)))
                known = self._cryptos[symbol] = CryptoHistory(bars=replace(kept, symbol=symbol))
            problems = [
                await _problem(self._fetch_bars(symbol, known, now)),
                await _problem(self._fetch_quote(symbol, known)),
            ]
            known.problem = next(filter(None, problems), None)
            known.bars = _recent_bars(known.bars, now)
            return known

    async def coin_at(self, symbol: Symbol, at: datetime) -> tuple[float, datetime] | None:
        """Find a cryptocurrency's price at a recent instant, from the last minute bar complete by then."""
        minutes = await self.crypto.bars(symbol, MINUTE, at - 10 * MINUTE, at)
        return minutes.last_complete(at)

    def _wants_etf(self, known: EquityHistory, now: datetime) -> bool:
        sessions = self.sessions(now)
        if sessions.state(now).is_open or not len(known.closes):
            return True
        final = sessions.days[sessions.last_closed(now)]
        return bool(known.closes.sessions[-1] < final) or known.quote is None

    async def _fetch_etf(self, symbol: Symbol, known: EquityHistory, now: datetime) -> None:
        since = _since(now)
        recent = since if not len(known.closes) else max(since, known.closes.sessions[-1].astype(object) - REVISED)
        answer = await self.equity.prices(symbol, recent)
        if _rebased(known.closes, answer.closes):
            answer = await self.equity.prices(symbol, since)
            known.closes = _no_closes(symbol)
        final = _final(answer, self.sessions(now), now)
        news = _news(known.closes, final)
        if len(news):
            await self.store.save_closes(replace(news, symbol=_shelf(symbol, self.equity)))
            known.closes = _merge_closes(known.closes, news)
        known.quote = answer.quote or known.quote

    async def _fetch_bars(self, symbol: Symbol, known: CryptoHistory, now: datetime) -> None:
        """Fetch what is missing up to the last whole hour, slice by slice, so that nothing fetched is lost."""
        whole_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        start = _midnight(_since(now))
        if len(known.bars):
            last = moment(known.bars.ended_at[-1])
            start = whole_hour if last >= whole_hour else last - 2 * HOUR
        while start < whole_hour:
            end = min(start + SLICE, whole_hour)
            fresh = await self.crypto.bars(symbol, HOUR, start, end)
            await self.store.save_bars(replace(fresh, symbol=_shelf(symbol, self.crypto)))
            known.bars = _merge_bars(known.bars, fresh)
            start = end

    async def _fetch_quote(self, symbol: Symbol, known: CryptoHistory) -> None:
        known.quote = await self.crypto.quote(symbol)


async def _problem(fetch: Coroutine[None, None, None]) -> str | None:
    """Fetch, and tell what the source failed at; None where it did not."""
    try:
        await fetch
    except SourceError as error:
        return str(error)
    return None


def _final(answer: EquityPrices, sessions: Sessions, now: datetime) -> Closes:
    """Keep the closes that will not move any more: of the last session only once the vendor's clock has passed it."""
    last = sessions.last_closed(now)
    closes_at = moment(sessions.closes_at[last])
    settled = now >= closes_at + SETTLED_AFTER or answer.quote is None or answer.quote.at >= closes_at
    limit = sessions.days[last if settled else last - 1]
    keep = answer.closes.sessions <= limit
    return replace(answer.closes, sessions=answer.closes.sessions[keep], prices=answer.closes.prices[keep])


def _news(known: Closes, fresh: Closes) -> Closes:
    """Keep the closes that are not known, or not with this price."""
    same = np.isin(fresh.sessions, known.sessions)
    same[same] = known.prices[np.searchsorted(known.sessions, fresh.sessions[same])] == fresh.prices[same]
    return replace(fresh, sessions=fresh.sessions[~same], prices=fresh.prices[~same])


def _recent(known: Closes, now: datetime) -> Closes:
    """Let go of what has become older than is kept; the calendar does not reach back to it either."""
    first = int(np.searchsorted(known.sessions, np.datetime64(_since(now))))
    return known if first == 0 else replace(known, sessions=known.sessions[first:], prices=known.prices[first:])


def _recent_bars(known: Bars, now: datetime) -> Bars:
    first = int(np.searchsorted(known.opened_at, instant(_midnight(_since(now)))))
    return known if first == 0 else replace(known, opened_at=known.opened_at[first:], closes=known.closes[first:])


def _rebased(known: Closes, fresh: Closes) -> bool:
    shared, mine, theirs = np.intersect1d(known.sessions, fresh.sessions, return_indices=True)
    if not len(shared):
        return False
    return bool(np.any(np.abs(fresh.prices[theirs] / known.prices[mine] - 1) > REBASED))


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
    """Name what the store keeps a symbol's prices under; simulated ones never lie among the real."""
    return Symbol(f"SIMULATED {symbol}") if source.simulated else symbol


def _no_closes(symbol: Symbol) -> Closes:
    return Closes(symbol=symbol, sessions=np.array([], dtype="datetime64[D]"), prices=np.array([]), source="")


def _since(now: datetime) -> date:
    return (now.astimezone(UTC) - KEEP).date()


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)

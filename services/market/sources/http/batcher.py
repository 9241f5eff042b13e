"""Request batching: concurrent requests for single symbols share one vendor call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Generic, TypeVar

from services.core.errors import SourceError
from services.core.prices import Symbol

MAX_SINCE_APART = timedelta(days=366)  # between the days wanted in one call
FetchBatch = Callable[[Sequence[Symbol], date], Awaitable[Mapping[Symbol, "T"]]]


T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Batch(Generic[T]):
    """The symbols of one call, each with the first day wanted, and the number of callers that await it."""

    since_by_symbol: dict[Symbol, date]
    call: asyncio.Task[Mapping[Symbol, T]]
    callers: int = 0


class RequestBatcher(Generic[T]):
    """Batches requests made in the same turn of the event loop, or while another call is in flight.

    `fetch` gets at most `max_symbols` symbols and the earliest day wanted for any of them. It may omit symbols that
    make the whole call fail. Each omitted symbol is fetched alone, and then `fetch` must answer or raise.
    """

    def __init__(self, fetch: FetchBatch[T], *, max_symbols: int) -> None:
        self._fetch, self._max_symbols = fetch, max_symbols
        self._open_batch: _Batch[T] | None = None
        self._lock = asyncio.Lock()

    async def request(self, symbol: Symbol, since: date) -> T:
        """Return the result for one symbol, which may start before `since`. Raises SourceError for that symbol."""
        try:
            results = await self._wait_for(self._join(symbol, since))
        except SourceError as error:
            raise error.for_symbol(symbol) from error.__cause__
        if symbol not in results:
            results = await self._fetch([symbol], since)
        return results[symbol]

    def _join(self, symbol: Symbol, since: date) -> _Batch[T]:
        batch = self._open_batch
        if batch is None or not self._fits(batch, symbol, since):
            since_by_symbol: dict[Symbol, date] = {}
            batch = self._open_batch = _Batch(since_by_symbol, asyncio.create_task(self._send(since_by_symbol)))
        batch.since_by_symbol[symbol] = min(since, batch.since_by_symbol.get(symbol, since))
        return batch

    def _fits(self, batch: _Batch[T], symbol: Symbol, since: date) -> bool:
        """Return whether a batch has room, and no symbol would get a much longer history than it wants."""
        others = batch.since_by_symbol
        is_like_them = all(abs(since - other) <= MAX_SINCE_APART for other in others.values())
        return is_like_them and len(others.keys() | {symbol}) <= self._max_symbols

    async def _wait_for(self, batch: _Batch[T]) -> Mapping[Symbol, T]:
        """Await the shared call.

        A cancelled caller doesn't affect the others; if all are cancelled, so is the call.
        """
        batch.callers += 1
        try:
            return await asyncio.shield(batch.call)
        finally:
            batch.callers -= 1
            if not batch.callers:
                self._close(batch.since_by_symbol)
                batch.call.cancel()

    async def _send(self, since_by_symbol: dict[Symbol, date]) -> Mapping[Symbol, T]:
        async with self._lock:
            self._close(since_by_symbol)
            return await self._fetch(list(since_by_symbol), min(since_by_symbol.values()))

    def _close(self, since_by_symbol: dict[Symbol, date]) -> None:
        """Accept no more symbols into this batch."""
        if self._open_batch is not None and self._open_batch.since_by_symbol is since_by_symbol:
            self._open_batch = None

"""Gather: symbols that are asked for together go out in one call, and each caller has its own answer or failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

from services.core.errors import SourceError
from services.core.prices import Symbol

Fetch = Callable[[Sequence[Symbol], date], Awaitable[Mapping[Symbol, "T"]]]


T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Batch(Generic[T]):
    """What one call is to ask for, by symbol from when on, and how many still wait for it."""

    wanted: dict[Symbol, date]
    call: asyncio.Task[Mapping[Symbol, T]]
    callers: int = 0


class RequestBatcher(Generic[T]):
    """Makes one call of those that are made in the same turn of the event loop, or while another is under way.

    `fetch` is given at most `most` symbols, and the earliest day that any of them is wanted from. It may leave out
    symbols that spoil the answer for the others; these are asked for alone, where it must answer or raise.
    """

    def __init__(self, fetch: Fetch[T], *, most: int) -> None:
        self._fetch, self._most = fetch, most
        self._open: _Batch[T] | None = None
        self._line = asyncio.Lock()

    async def ask(self, symbol: Symbol, since: date) -> T:
        """Wait for the answer on one symbol, which may begin before `since`. Raises SourceError in its name."""
        try:
            answers = await self._shared(self._join(symbol, since))
        except SourceError as error:
            raise error.on(symbol) from error.__cause__
        if symbol not in answers:
            answers = await self._fetch([symbol], since)
        return answers[symbol]

    def _join(self, symbol: Symbol, since: date) -> _Batch[T]:
        batch = self._open
        if batch is None or len(batch.wanted.keys() | {symbol}) > self._most:
            wanted: dict[Symbol, date] = {}
            batch = self._open = _Batch(wanted, asyncio.create_task(self._send(wanted)))
        batch.wanted[symbol] = min(since, batch.wanted.get(symbol, since))
        return batch

    async def _shared(self, batch: _Batch[T]) -> Mapping[Symbol, T]:
        """Wait with the others; who leaves early takes nothing from them, and the last to leave ends the call."""
        batch.callers += 1
        try:
            return await asyncio.shield(batch.call)
        finally:
            batch.callers -= 1
            if not batch.callers:
                self._close(batch.wanted)
                batch.call.cancel()

    async def _send(self, wanted: dict[Symbol, date]) -> Mapping[Symbol, T]:
        async with self._line:
            self._close(wanted)
            return await self._fetch(list(wanted), min(wanted.values()))

    def _close(self, wanted: dict[Symbol, date]) -> None:
        """Let nobody join any more."""
        if self._open is not None and self._open.wanted is wanted:
            self._open = None

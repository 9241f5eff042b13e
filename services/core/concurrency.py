"""Concurrent awaits that leave no task running after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar, overload

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


@overload
async def gather_all(a: Awaitable[A], b: Awaitable[B], /) -> tuple[A, B]: ...
@overload
async def gather_all(a: Awaitable[A], b: Awaitable[B], c: Awaitable[C], /) -> tuple[A, B, C]: ...
@overload
async def gather_all(a: Awaitable[A], b: Awaitable[B], c: Awaitable[C], d: Awaitable[D], /) -> tuple[A, B, C, D]: ...
async def gather_all(*awaitables: Awaitable[object]) -> tuple[object, ...]:
    """Await all concurrently, wait until each has finished, and return the results in order.

    Raises the first failure only then. `asyncio.gather` would let the others go on: they would read a store that may be
    closed by that time.
    """
    results = await asyncio.gather(*awaitables, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return tuple(results)

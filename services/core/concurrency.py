"""Together: wait for several things side by side, and leave none of them behind where one fails."""

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
async def gather_all(*all_of: Awaitable[object]) -> tuple[object, ...]:
    """Wait until each has come to its end, and raise the first failure; `asyncio.gather` would let the others run on.

    What runs on is nobody's: it reads a store that may be closed by then.
    """
    done = await asyncio.gather(*all_of, return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException):
            raise one
    return tuple(done)

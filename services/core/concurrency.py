"""Concurrent awaits that leave no task running after a failure, and retries of conflicting changes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar, overload

from services.core.errors import ConflictError

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")

MAX_TRIES = 5
TURN = 50  # items of about 0.2 ms


async def in_turns(items: Iterable[A], size: int = TURN) -> AsyncIterator[A]:
    """Yield the items; after every `size` of them other tasks run, so that long work delays no request."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % size == 0:
            await asyncio.sleep(0)


@overload
async def gather_all(a: Awaitable[A], b: Awaitable[B], /) -> tuple[A, B]: ...
@overload
async def gather_all(a: Awaitable[A], b: Awaitable[B], c: Awaitable[C], /) -> tuple[A, B, C]: ...
@overload
async def gather_all(a: Awaitable[A], b: Awaitable[B], c: Awaitable[C], d: Awaitable[D], /) -> tuple[A, B, C, D]: ...
async def gather_all(*awaitables: Awaitable[object]) -> tuple[object, ...]:
    """Await all concurrently, wait until each has finished, and return the results in order.

    Raises the first failure only then. `asyncio.gather` would leave the others running, and they would read a store
    that
    may be closed by that time.
    """
    results = await asyncio.gather(*awaitables, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return tuple(results)


async def retry_on_conflict(
    action: Callable[[], Awaitable[A]],
    *,
    max_tries: int = MAX_TRIES,
    on_conflict: Callable[[ConflictError], None] | None = None,
) -> A:
    """Run an action that reads and then saves; repeat it if the data changed in between.

    Raises ConflictError of the last try; `on_conflict` gets that of each earlier one.
    """
    for _ in range(max_tries - 1):
        try:
            return await action()
        except ConflictError as error:
            if on_conflict is not None:
                on_conflict(error)
    return await action()

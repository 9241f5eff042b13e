"""Group commit: concurrent writes of one kind share a transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from services.core.errors import DatabaseUnavailableError

GATHER_S = 0.03  # longest wait for writes that are about to come
MAX_GROUP = 500  # writes per transaction
Item = TypeVar("Item")
Result = TypeVar("Result")


class GroupCommit(Generic[Item, Result]):
    """Commits what is submitted at the same time in one transaction; each caller waits for the commit of its own item.

    `commit` writes the items in one transaction and returns a result for each, in order. The caller whose turn comes
    first commits for all that wait. If it is cancelled, the next one commits what is left: an item can be committed
    twice then, so `commit` must compare before it sets.

    `expected` returns how many items may still be submitted soon; up to that many are waited for, at most 30 ms.
    """

    def __init__(
        self, commit: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], expected: Callable[[], int] = lambda: 0
    ) -> None:
        self._commit = commit
        self._expected = expected
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._arrived = asyncio.Event()
        self._turn = asyncio.Lock()

    async def submit(self, item: Item) -> Result:
        """Return the result of an item once it is committed; raise the error that kept it from being committed."""
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        self._arrived.set()
        try:
            async with self._turn:
                if not done.done():
                    await self._gather()
                    await self._commit_group()
        except asyncio.CancelledError:
            done.cancel()
            raise
        return done.result()

    async def _gather(self) -> None:
        """Let other tasks submit their items; wait until as many wait as are expected, or until it takes too long."""
        await asyncio.sleep(0)
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_S):
                while len(self._waiting) < min(self._expected(), MAX_GROUP):
                    self._arrived.clear()
                    await self._arrived.wait()

    async def _commit_group(self) -> None:
        waiting = [one for one in self._waiting if not one[1].done()]  # a caller that is cancelled no longer waits
        group, self._waiting = waiting[:MAX_GROUP], waiting[MAX_GROUP:]
        try:
            await self._commit_together(group)
        finally:
            self._waiting = [one for one in (*group, *self._waiting) if not one[1].done()]

    async def _commit_together(self, group: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        """Commit items together; if that fails because of one of them, commit each alone."""
        try:
            results = await self._commit([item for item, _ in group])
        except Exception as error:  # noqa: BLE001 -- each caller raises it
            if len(group) > 1 and not isinstance(error, DatabaseUnavailableError):
                for one in group:
                    await self._commit_together([one])
                return
            for _, done in group:
                if not done.done():
                    done.set_exception(error)
        else:
            for (_, done), result in zip(group, results, strict=True):
                if not done.done():
                    done.set_result(result)

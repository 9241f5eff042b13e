"""Once: what is asked for by several at a time is made once, and kept while there is room."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Made = TypeVar("Made")


class Once(Generic[Made]):
    """Things by their keys; the one that was asked for longest ago makes room for others. Failures are not kept."""

    def __init__(self, room: int, weigh: Callable[[Made], int]) -> None:
        self.room, self.taken = room, 0
        self._weigh = weigh
        self._kept: OrderedDict[str, Made] = OrderedDict()
        self._making: dict[str, asyncio.Task[Made]] = {}

    async def get(self, key: str, make: Callable[[], Awaitable[Made]]) -> Made:
        """Give what is kept, or what is made now; who stops waiting for it takes it from nobody else."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key not in self._making:
            self._making[key] = asyncio.create_task(self._made(key, make))
        return await asyncio.shield(self._making[key])

    def forget(self, key: str) -> None:
        """Let it be made anew the next time."""
        if key in self._kept:
            self.taken -= self._weigh(self._kept.pop(key))

    async def _made(self, key: str, make: Callable[[], Awaitable[Made]]) -> Made:
        try:
            made = await make()
        finally:
            del self._making[key]
        self._kept[key] = made
        self.taken += self._weigh(made)
        while self.taken > self.room:
            self.taken -= self._weigh(self._kept.popitem(last=False)[1])
        return made

"""The gallery: pictures drawn off the event loop, one at a time, and kept by what is in them."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Generic, TypeVar

from handlers.render.picture import Picture, Scheme

Draw = Callable[[Picture, Scheme], bytes]

KEPT_BYTES = 8_000_000  # some fifty pictures


def key_of(picture: Picture, scheme: Scheme) -> str:
    """Name a picture by all that is drawn in it."""
    return hashlib.sha256(f"{scheme.value} {picture!r}".encode()).hexdigest()


def drawn(picture: Picture, scheme: Scheme) -> bytes:
    """Draw as a PNG; what draws is large, and imported with the first picture."""
    png: bytes = import_module("handlers.render.drawing").png(picture, scheme)
    return png


class ImageCache:
    """Draws each picture once, however many ask for it."""

    def __init__(self, draw: Draw = drawn, room: int = KEPT_BYTES) -> None:
        self._draw = draw
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures")
        self._kept: SingleFlight[bytes] = SingleFlight(room, len)

    async def png(self, picture: Picture, scheme: Scheme) -> bytes:
        """Give a picture as a PNG."""
        return await self._kept.get(key_of(picture, scheme), partial(self._in_thread, picture, scheme))

    def close(self) -> None:
        """Draw nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, picture: Picture, scheme: Scheme) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._draw, picture, scheme)


Made = TypeVar("Made")


class SingleFlight(Generic[Made]):
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

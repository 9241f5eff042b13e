"""Cache of rendered images, drawn one at a time off the event loop."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Generic, TypeVar

from cachetools import LRUCache

from handlers.render.picture import ColorScheme, Picture

Draw = Callable[[Picture, ColorScheme], bytes]

CACHE_BYTES = 8_000_000  # about 50 images


def picture_key(picture: Picture, scheme: ColorScheme) -> str:
    """Return a hash of everything that is drawn."""
    return hashlib.sha256(f"{scheme.value} {picture!r}".encode()).hexdigest()


def draw_png(picture: Picture, scheme: ColorScheme) -> bytes:
    """Return the picture as PNG; the large drawing module is imported with the first picture."""
    png: bytes = import_module("handlers.render.drawing").render_png(picture, scheme)
    return png


class ImageCache:
    """Draws each picture once, however many requests need it."""

    def __init__(self, draw: Draw = draw_png, capacity: int = CACHE_BYTES) -> None:
        self._draw = draw
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures")
        self._images: SingleFlight[bytes] = SingleFlight(capacity, len)

    async def png(self, picture: Picture, scheme: ColorScheme) -> bytes:
        """Return a picture as PNG."""
        return await self._images.get(picture_key(picture, scheme), partial(self._in_thread, picture, scheme))

    def close(self) -> None:
        """Stop the drawing thread; pending pictures are cancelled."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, picture: Picture, scheme: ColorScheme) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._draw, picture, scheme)


Value = TypeVar("Value")


class SingleFlight(Generic[Value]):
    """Single-flight LRU cache, bounded by the total size of its values. Failures are not cached."""

    def __init__(self, capacity: int, size_of: Callable[[Value], int]) -> None:
        self._values: LRUCache[str, Value] = LRUCache(capacity, size_of)
        self._pending: dict[str, asyncio.Task[Value]] = {}

    async def get(self, key: str, make: Callable[[], Awaitable[Value]]) -> Value:
        """Return the cached value, or create it; a cancelled caller doesn't cancel it for the others."""
        if key in self._values:
            return self._values[key]
        if key not in self._pending:
            self._pending[key] = asyncio.create_task(self._create(key, make))
        return await asyncio.shield(self._pending[key])

    def discard(self, key: str) -> None:
        """Remove a value, so that the next call creates it again."""
        self._values.pop(key, None)

    async def _create(self, key: str, make: Callable[[], Awaitable[Value]]) -> Value:
        try:
            value = await make()
        finally:
            del self._pending[key]
        with suppress(ValueError):  # larger than the whole cache
            self._values[key] = value
        return value

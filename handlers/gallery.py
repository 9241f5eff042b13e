"""The gallery: pictures drawn off the event loop, one at a time, and kept by what is in them."""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from handlers.once import Once

if TYPE_CHECKING:
    from collections.abc import Callable

    from handlers.render.picture import Picture
    from handlers.render.theme import Scheme

    Draw = Callable[[Picture, Scheme], bytes]

KEPT_BYTES = 8_000_000  # some fifty pictures


def key_of(picture: Picture, scheme: Scheme) -> str:
    """Name a picture by all that is drawn in it."""
    return hashlib.sha256(f"{scheme.value} {picture!r}".encode()).hexdigest()


def drawn(picture: Picture, scheme: Scheme) -> bytes:
    """Draw as a PNG; what draws is large, and imported with the first picture."""
    png: bytes = import_module("handlers.render.drawing").png(picture, scheme)
    return png


class Gallery:
    """Draws each picture once, however many ask for it."""

    def __init__(self, draw: Draw = drawn, room: int = KEPT_BYTES) -> None:
        self._draw = draw
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures")
        self._kept: Once[bytes] = Once(room, len)

    async def png(self, picture: Picture, scheme: Scheme) -> bytes:
        """Give a picture as a PNG."""
        return await self._kept.get(key_of(picture, scheme), partial(self._in_thread, picture, scheme))

    def close(self) -> None:
        """Draw nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, picture: Picture, scheme: Scheme) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._draw, picture, scheme)

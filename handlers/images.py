"""Images in Slack: drawn once off the event loop, and uploaded if the workspace granted files:write."""

import asyncio
import ctypes
import gc
import hashlib
import logging
import sys
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Generic, Protocol, TypeVar

from cachetools import LRUCache
from slack_sdk.errors import SlackRequestError
from slack_sdk.web.async_client import AsyncWebClient

from handlers.render.picture import ColorScheme, Picture, Size
from handlers.request import Request
from handlers.slack_errors import translate_slack_error
from services.core.errors import DeliveryError

Draw = Callable[[Picture, ColorScheme], bytes]

CACHE_BYTES = 8_000_000  # about 50 images
FILES_WRITE = "files:write"
MAX_CACHED_FILES = 500  # most recent uploads
TIMEOUT_S = 12.0  # longest wait for an image
RETRY_PAUSES_S = (1.0, 2.0)  # Slack doesn't report when an upload can be shown
FILE_NAME = "minerpulse.png"
MAX_ALT_TEXT = 1_000  # Slack's limit for a file
UNWRITABLE_HOME = (
    "The font cache can't be saved under HOME, so the first picture after each start takes longer. "
    "Set MPLCONFIGDIR to a writable folder."
)
log = logging.getLogger(__name__)


def _explain_font_cache(record: logging.LogRecord) -> bool:
    """Replace matplotlib's warnings about an unwritable HOME with one that says what to do."""
    if "temporary cache directory" in str(record.msg):
        record.msg, record.args = UNWRITABLE_HOME, ()
    return "mkdir -p failed" not in str(record.msg)


logging.getLogger("matplotlib").addFilter(_explain_font_cache)


def picture_key(picture: Picture, scheme: ColorScheme) -> str:
    """Return a hash of everything that is drawn."""
    return hashlib.sha256(f"{scheme.value} {picture!r}".encode()).hexdigest()


def draw_png(picture: Picture, scheme: ColorScheme) -> bytes:
    """Return the picture as PNG for a phone's card; the large drawing module is imported with the first picture."""
    trim_heap()
    png: bytes = import_module("handlers.render.drawing").render_png(picture, scheme, Size.PHONE)
    gc.collect()  # a figure refers to itself, and holds 7 MB
    trim_heap()
    return png


def trim_heap() -> None:
    """Return free memory to the system, if the C library is glibc, which keeps it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


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


class Grants(Protocol):
    """Scopes that workspaces granted to the app."""

    async def scopes(self, team: str) -> Collection[str]:
        """Return the scopes of a workspace. Raises DeliveryError if they can't be determined."""
        ...


class ImageUploader:
    """Uploads pictures as files that the messages of a workspace can show.

    Each picture is uploaded once per workspace, in the light theme: Slack doesn't report the reader's theme.
    """

    def __init__(
        self,
        cache: ImageCache,
        grants: Grants,
        retry_pauses: tuple[float, ...] = RETRY_PAUSES_S,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.cache, self.grants, self.retry_pauses, self.timeout_s = cache, grants, retry_pauses, timeout_s
        self._files: SingleFlight[str] = SingleFlight(MAX_CACHED_FILES, lambda _file: 1)

    async def upload(self, request: Request, picture: Picture) -> str | None:
        """Return the file id of an uploaded picture; None if it isn't available, with the reason in the log."""
        try:
            async with asyncio.timeout(self.timeout_s):
                if FILES_WRITE not in await self.grants.scopes(request.channel.team):
                    return None
                make = partial(self._upload, request.client, picture)
                return await self._files.get(_key(request, picture), make)
        except TimeoutError:
            log.warning("image not ready after %.0f s; replying without it", self.timeout_s)
        except DeliveryError as error:
            log.warning("image upload failed; replying without it: %s", error)
        except Exception:
            log.exception("image rendering failed; replying without it")
        return None

    def discard(self, request: Request, picture: Picture) -> None:
        """Drop a file that Slack doesn't show, so that the next request uploads the picture again."""
        self._files.discard(_key(request, picture))

    async def _upload(self, client: AsyncWebClient, picture: Picture) -> str:
        png = await self.cache.png(picture, ColorScheme.LIGHT)
        try:
            with translate_slack_error():
                response = await client.files_upload_v2(
                    content=png, filename=FILE_NAME, title=picture.title, alt_txt=picture.alt[:MAX_ALT_TEXT]
                )
        except SlackRequestError as error:
            raise DeliveryError("Slack didn't accept the file.", permanent=False, surely_not_posted=True) from error
        return str(response["files"][0]["id"])


def _key(request: Request, picture: Picture) -> str:
    return f"{request.channel.team} {picture_key(picture, ColorScheme.LIGHT)}"

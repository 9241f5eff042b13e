"""Images in Slack: drawn and uploaded if the workspace granted files:write, otherwise omitted."""

import asyncio
import logging
from collections.abc import Collection
from functools import partial
from typing import Protocol

from slack_sdk.errors import SlackRequestError
from slack_sdk.web.async_client import AsyncWebClient

from handlers.image_cache import ImageCache, SingleFlight, picture_key
from handlers.render.picture import ColorScheme, Picture
from handlers.request import Request
from handlers.slack_errors import translate_slack_error
from services.core.errors import DeliveryError

FILES_WRITE = "files:write"
MAX_CACHED_FILES = 500  # most recent uploads
TIMEOUT_S = 12.0  # longest wait for an image
RETRY_PAUSES_S = (
    1.0,
    2.0,
)  # Slack doesn't report when an upload can be shown
FILE_NAME = "minerpulse.png"
MAX_ALT_TEXT = 1_000  # Slack's limit for a file
log = logging.getLogger(__name__)


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
            raise DeliveryError("Slack did not take the file.", permanent=False, surely_not_posted=True) from error
        return str(response["files"][0]["id"])


def _key(request: Request, picture: Picture) -> str:
    return f"{request.channel.team} {picture_key(picture, ColorScheme.LIGHT)}"

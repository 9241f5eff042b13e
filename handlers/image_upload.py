"""Pictures in Slack: drawn and uploaded where the workspace has granted that, else left out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from functools import partial
from typing import Protocol

from slack_sdk.errors import SlackRequestError
from slack_sdk.web.async_client import AsyncWebClient

from handlers.image_cache import ImageCache, SingleFlight, key_of
from handlers.render.picture import Picture, Scheme
from handlers.request import Request
from handlers.slack_errors import translate_slack_error
from services.core.errors import DeliveryError

FILES_WRITE = "files:write"
FILES_KNOWN = 500  # that were uploaded last
WITHIN_S = 12.0  # a person waits no longer for a picture
READY_AFTER_S = (1.0, 2.0)  # Slack looks at an upload before a message can show it, and does not say when it has
NAME = "minerpulse.png"
LONGEST_ALT = 1_000  # of a file
log = logging.getLogger(__name__)


class Grants(Protocol):
    """What workspaces let the app do."""

    async def scopes(self, team: str) -> Collection[str]:
        """Give the scopes that a workspace has granted. Raises DeliveryError where that cannot be told."""
        ...


class Pictures:
    """Turns pictures into files of a workspace that its messages can show.

    The same picture is uploaded once to each workspace. Slack cannot tell the reader's theme, so it gets the light one.
    """

    def __init__(
        self, gallery: ImageCache, grants: Grants, pauses: tuple[float, ...] = READY_AFTER_S, within_s: float = WITHIN_S
    ) -> None:
        self.gallery, self.grants, self.pauses, self.within_s = gallery, grants, pauses, within_s
        self._files: SingleFlight[str] = SingleFlight(FILES_KNOWN, lambda _file: 1)

    async def file(self, ask: Request, picture: Picture) -> str | None:
        """Upload a picture for whoever asks; None where it cannot be had, and the log tells why."""
        try:
            async with asyncio.timeout(self.within_s):
                if FILES_WRITE not in await self.grants.scopes(ask.channel.team):
                    return None
                make = partial(self._uploaded, ask.client, picture)
                return await self._files.get(_key(ask, picture), make)
        except TimeoutError:
            log.warning("a picture took longer than %.0f s, the answer goes without", self.within_s)
        except DeliveryError as error:
            log.warning("a picture could not be uploaded, the answer goes without: %s", error)
        except Exception:
            log.exception("a picture could not be drawn, the answer goes without")
        return None

    def forget(self, ask: Request, picture: Picture) -> None:
        """Upload a picture anew when it is asked for again, as Slack does not show this file."""
        self._files.forget(_key(ask, picture))

    async def _uploaded(self, client: AsyncWebClient, picture: Picture) -> str:
        png = await self.gallery.png(picture, Scheme.LIGHT)
        try:
            with translate_slack_error():
                answer = await client.files_upload_v2(
                    content=png, filename=NAME, title=picture.title, alt_txt=picture.alt[:LONGEST_ALT]
                )
        except SlackRequestError as error:
            raise DeliveryError("Slack did not take the file.", permanent=False, surely_not_posted=True) from error
        return str(answer["files"][0]["id"])


def _key(ask: Request, picture: Picture) -> str:
    return f"{ask.channel.team} {key_of(picture, Scheme.LIGHT)}"

"""Slow work after the acknowledgement: kept until it is done, and never without an answer to the person."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace

from slack_sdk.webhook import WebhookResponse
from slack_sdk.webhook.async_client import AsyncWebhookClient

from handlers.ephemeral import post_ephemeral
from handlers.image_upload import Pictures
from handlers.render.fallbacks import classic, pictured, plainer
from handlers.render.message import Message, text_message
from handlers.render.responses import error_message
from handlers.request import Audience, Reply, Request
from handlers.slack_errors import BLOCKS_REFUSED
from services.core.errors import MinerPulseError

Otherwise = Callable[[Request, Message], Awaitable[None]]


SORRY = "Something went wrong; it has been logged. Try again in a minute."
NOT_SHARED = "Slack did not show this to the channel. Type /minerpulse and press Share there."
HTTP_OK = 200
DRAINED_WITHIN_S = 25.0  # hosts kill 30 s after they have asked a process to stop
log = logging.getLogger(__name__)


class BackgroundTasks:
    """Work that goes on after its acknowledgement, kept until it is done.

    Bolt's own lazy listeners copy the whole request and the client with it, which a shared HTTP session does not
    survive, and nothing keeps or drains their tasks. Where nobody is shown Slack's newest blocks, `shows_all` is False.
    Without `pictures`, answers have none.
    """

    def __init__(self, pictures: Pictures | None = None) -> None:
        self.shows_all, self.pictures = True, pictures
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, errand: Coroutine[None, None, None], name: str) -> None:
        """Let an errand run by itself; the log calls it by its name."""
        task = asyncio.create_task(errand, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def answer(
        self, ask: Request, work: Awaitable[Reply | None], name: str, otherwise: Otherwise = post_ephemeral
    ) -> None:
        """Begin what a person asked for; they are told the outcome, see `answer`."""
        pictures = self.pictures if self.shows_all else None
        self.begin(answer(ask, work, otherwise, pictures, shows_all=self.shows_all), name)

    async def drain(self, within_s: float = DRAINED_WITHIN_S) -> None:
        """Wait until every errand that has begun is done; what takes longer is abandoned, and logged."""
        try:
            async with asyncio.timeout(within_s):
                while self._running:
                    await asyncio.wait(self._running)
        except TimeoutError:
            await self._abandon()

    async def _abandon(self) -> None:
        abandoned = list(self._running)
        log.error("stopped before these were answered: %s", ", ".join(sorted(task.get_name() for task in abandoned)))
        for task in abandoned:
            task.cancel()
        await asyncio.gather(*abandoned, return_exceptions=True)


async def answer(
    ask: Request,
    work: Awaitable[Reply | None],
    otherwise: Otherwise = post_ephemeral,
    pictures: Pictures | None = None,
    *,
    shows_all: bool = True,
) -> None:
    """Do what a person asked for and tell them the outcome; where it goes wrong, what to do in one sentence.

    `otherwise` tells it where the response_url takes nothing: that serves five times within half an hour. An answer
    that has a picture goes out with it where Slack takes it, else as any other.
    """
    try:
        reply = await work
    except MinerPulseError as error:
        log.warning("told a person: %s", error)
        reply = Reply(message=error_message(error))
    except Exception:
        log.exception("a person's wish failed")
        reply = Reply(message=text_message(SORRY))
    if reply is None:
        return
    shown = reply if shows_all else replace(reply, message=classic(reply.message))
    if not (pictures and await _hung(ask, shown, pictures)):
        await _send(ask, shown, otherwise)


async def update(work: Awaitable[None]) -> None:
    """Do what nobody waits for an answer to, as what changes an open form; where it goes wrong, the log tells."""
    try:
        await work
    except MinerPulseError as error:
        log.warning("nobody could be told, but: %s", error)
    except Exception:
        log.exception("an errand failed of which nobody can be told")


async def _hung(ask: Request, reply: Reply, pictures: Pictures) -> bool:
    """Send a reply with its picture; tell whether Slack has taken it.

    A response_url takes five answers. Two of them are spent here at most, as an upload may not be ready at once.
    """
    if reply.picture is None or not ask.answers_to:
        return False
    file = await pictures.file(ask, reply.picture)
    if file is None:
        return False
    form = pictured(reply.message, file, reply.picture.alt)
    for pause in pictures.pauses:
        await asyncio.sleep(pause)
        if _is_taken(await _respond(ask, form, reply.place)):
            return True
    log.warning("Slack does not show a picture that it has; the answer goes without")
    pictures.forget(ask, reply.picture)
    return False


async def _send(ask: Request, reply: Reply, otherwise: Otherwise) -> None:
    """Send a reply; where the response_url does not take it, `otherwise`, to the person alone."""
    if await _taken(ask, reply):
        return
    try:
        await otherwise(ask, text_message(NOT_SHARED) if reply.place is Audience.CHANNEL else reply.message)
    except MinerPulseError as error:
        log.error("an answer reached nobody: %s", error)  # noqa: TRY400 -- it says all that there is to know
    except Exception:
        log.exception("an answer reached nobody")


async def _taken(ask: Request, reply: Reply) -> bool:
    """Send a reply to its response_url, if there is one; where Slack refuses its blocks, once more in plainer forms."""
    if not ask.answers_to:
        return False
    taken = await _respond(ask, reply.message, reply.place)
    for form in plainer(reply.message):
        if taken is None or not any(code in taken.body for code in BLOCKS_REFUSED):
            break
        log.warning("Slack refused an answer's blocks; sent in plainer form")
        taken = await _respond(ask, form, reply.place)
    if taken is not None and not _is_taken(taken):
        log.error("Slack did not take an answer: %s %s", taken.status_code, taken.body)
    return _is_taken(taken)


def _is_taken(answer: WebhookResponse | None) -> bool:
    return answer is not None and answer.status_code == HTTP_OK


async def _respond(ask: Request, message: Message, place: Audience) -> WebhookResponse | None:
    """Answer at the response_url, over the session that is there: Bolt's own opens one for each answer.

    None where nobody knows whether it has arrived; the log tells why.
    """
    try:
        return await AsyncWebhookClient(ask.answers_to, session=ask.client.session).send(
            text=message.text,
            blocks=message.blocks,
            response_type="in_channel" if place is Audience.CHANNEL else "ephemeral",
            replace_original=place is Audience.SAME,
        )
    except Exception:
        log.exception("an answer did not reach Slack")
        return None

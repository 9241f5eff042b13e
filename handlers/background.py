"""Background tasks that run after the Slack acknowledgement and send their reply."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

from slack_sdk.webhook import WebhookResponse
from slack_sdk.webhook.async_client import AsyncWebhookClient

from handlers.images import ImageUploader
from handlers.render.form_fields import result_modal
from handlers.render.message import Message, fallback_forms, monospaced, text_message, with_picture
from handlers.render.responses import BUSY, error_message
from handlers.request import Audience, Reply, Request
from handlers.slack_errors import BLOCKS_REFUSED, BlocksRefusedError, translate_slack_error
from services.core.errors import DeliveryError, MinerPulseError, UserInputError

Fallback = Callable[[Request, Message], Awaitable[None]]
FirstTimeCheck = Callable[[], Awaitable[bool]]

INTERNAL_ERROR = "Something went wrong. The error was logged. Try again in a minute."
NOT_SHARED = "Slack didn't post this to the channel. Run the command again and press Share to Channel."
HTTP_OK = 200
MAX_RUNNING = 200  # tasks at once: they share some database connections
DRAIN_TIMEOUT_S = 25.0  # hosts send SIGKILL 30 s after SIGTERM
log = logging.getLogger(__name__)
_first_time_check: ContextVar[FirstTimeCheck | None] = ContextVar("first_time_check", default=None)


@contextmanager
def first_time_check(check: FirstTimeCheck | None) -> Iterator[None]:
    """Set what the tasks started in this block await: whether no other process has received the same request."""
    token = _first_time_check.set(check)
    try:
        yield
    finally:
        _first_time_check.reset(token)


async def post_ephemeral(request: Request, message: Message) -> None:
    """Post a message that only this person sees. Raises DeliveryError, for example if the app isn't in the channel."""
    *richer, plain = message, *fallback_forms(message)
    for form in richer:
        try:
            await _post_ephemeral(request, form)
        except BlocksRefusedError:
            log.warning("Slack rejected the blocks of an ephemeral message; sending a simpler form")
        else:
            return
    await _post_ephemeral(request, plain)


async def _post_ephemeral(request: Request, message: Message) -> None:
    """Post a message that only this person sees, in the thread of the request if it has one."""
    with translate_slack_error():
        await request.client.chat_postEphemeral(
            channel=request.channel.id,
            user=request.user_id,
            text=message.text,
            blocks=message.blocks,
            thread_ts=request.thread_ts or None,
        )


async def open_message_modal(request: Request, message: Message) -> None:
    """Show a message in a modal, for surfaces without a channel such as the Home tab. Raises DeliveryError."""
    with translate_slack_error():
        await request.client.views_open(trigger_id=request.trigger_id, view=result_modal(message))


class BackgroundTasks:
    """Tasks that outlive their acknowledgement, referenced until they finish.

    Bolt's lazy listeners are not used: they copy the request with its client, which a shared HTTP session doesn't
    survive, and nothing references or drains their tasks. `allow_new_blocks` is False if no workspace supports Slack's
    newest blocks. Without an `uploader`, replies have no images.
    """

    def __init__(self, uploader: ImageUploader | None = None) -> None:
        self.allow_new_blocks, self.uploader = True, uploader
        self._running: set[asyncio.Task[None]] = set()

    @property
    def is_busy(self) -> bool:
        """Whether so many tasks are running that a new one would wait for too long."""
        return len(self._running) >= MAX_RUNNING

    def start(self, work: Coroutine[None, None, None], name: str) -> None:
        """Run work as a task; the log identifies it by `name`."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def start_reply(
        self, request: Request, work: Awaitable[Reply | None], name: str, fallback: Fallback = post_ephemeral
    ) -> None:
        """Start the work a person requested; see `run_and_reply`. When busy, the reply says so instead."""
        if self.is_busy:
            if isinstance(work, Coroutine):
                work.close()
            work = _reply_busy()
        self.start(self.reply(request, work, fallback), name)

    async def reply(self, request: Request, work: Awaitable[Reply | None], fallback: Fallback = post_ephemeral) -> None:
        """Await the work a person requested, and send its reply; see `run_and_reply`."""
        uploader = self.uploader if self.allow_new_blocks else None
        await run_and_reply(request, work, fallback, uploader, allow_new_blocks=self.allow_new_blocks)

    async def drain(self, timeout_s: float = DRAIN_TIMEOUT_S) -> None:
        """Wait until all tasks finish; cancel and log those that exceed the timeout."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._running:
                    await asyncio.wait(self._running)
        except TimeoutError:
            await self._abandon()

    async def _abandon(self) -> None:
        abandoned = list(self._running)
        names = ", ".join(sorted(task.get_name() for task in abandoned))
        log.warning("shutdown abandoned unfinished tasks: %s", names)
        for task in abandoned:
            task.cancel()
        await asyncio.gather(*abandoned, return_exceptions=True)


async def _reply_busy() -> Reply:
    return Reply(message=text_message(BUSY))


async def run_and_reply(
    request: Request,
    work: Awaitable[Reply | None],
    fallback: Fallback = post_ephemeral,
    uploader: ImageUploader | None = None,
    *,
    allow_new_blocks: bool = True,
) -> None:
    """Await the work and send its reply, or one sentence on what to do if it failed.

    A response_url accepts five messages within 30 minutes; if it refuses the reply, `fallback` sends it. A reply with a
    picture is sent as an image if Slack accepts it.
    """
    if await _is_repeated(work):
        return
    try:
        reply = await work
    except UserInputError as error:  # its text quotes what was typed
        log.info("request refused: %s", type(error).__name__)
        reply = Reply(message=error_message(error))
    except MinerPulseError as error:
        log.warning("request failed: %s", error)
        reply = Reply(message=error_message(error))
    except Exception:
        log.exception("request failed unexpectedly")
        reply = Reply(message=text_message(INTERNAL_ERROR))
    if reply is None:
        return
    if not allow_new_blocks:
        reply = replace(reply, message=monospaced(reply.message))
    if not (uploader and await _send_with_image(request, reply, uploader)):
        await _send(request, reply, fallback)


async def run_and_log(work: Awaitable[None]) -> None:
    """Await work that has no reply, for example a view update; log its errors."""
    if await _is_repeated(work):
        return
    try:
        await work
    except UserInputError as error:  # its text quotes what was typed
        log.info("background task refused: %s", type(error).__name__)
    except MinerPulseError as error:
        log.warning("background task failed: %s", error)
    except Exception:
        log.exception("background task failed unexpectedly")


async def _is_repeated(work: Awaitable[object]) -> bool:
    """Return whether another process received the same request first; then the work is dropped."""
    check = _first_time_check.get()
    if check is None or await check():
        return False
    log.info("ignored a request that another process handled")
    if isinstance(work, Coroutine):
        work.close()
    return True


async def _send_with_image(request: Request, reply: Reply, uploader: ImageUploader) -> bool:
    """Send a reply with its picture, and return whether Slack accepted it.

    Uses at most two of the five messages of a response_url, because an upload may not be ready at once.
    """
    if reply.picture is None or not (request.response_url or request.channel.id):
        return False
    file = await uploader.upload(request, reply.picture)
    if file is None:
        return False
    message = with_picture(reply.message, file, reply.picture.alt)
    for pause in uploader.retry_pauses:
        await asyncio.sleep(pause)
        if await _is_shown(request, message, reply.audience):
            return True
    log.warning("Slack did not accept the uploaded image; replying without it")
    uploader.discard(request, reply.picture)
    return False


async def _is_shown(request: Request, message: Message, audience: Audience) -> bool:
    """Send a message with an image, and return whether Slack accepted it."""
    if request.response_url:
        return _is_accepted(await _respond(request, message, audience))
    try:
        await _post_ephemeral(request, message)
    except DeliveryError as error:
        log.warning("Slack rejected an image: %s", error)
        return False
    return True


async def _send(request: Request, reply: Reply, fallback: Fallback) -> None:
    """Send a reply to the response_url, or through `fallback` to the person alone if Slack refuses it."""
    if await _respond_with_fallbacks(request, reply):
        return
    try:
        await fallback(request, text_message(NOT_SHARED) if reply.audience is Audience.CHANNEL else reply.message)
    except MinerPulseError as error:
        log.error("reply not delivered: %s", error)  # noqa: TRY400 -- the error says it all
    except Exception:
        log.exception("reply not delivered")


async def _respond_with_fallbacks(request: Request, reply: Reply) -> bool:
    """Send a reply to the response_url, if there is one; retry in simpler forms if Slack rejects its blocks."""
    if not request.response_url:
        return False
    response = await _respond(request, reply.message, reply.audience)
    for message in fallback_forms(reply.message):
        if response is None or not any(code in response.body for code in BLOCKS_REFUSED):
            break
        log.warning("Slack rejected the blocks of a reply; sending a simpler form")
        response = await _respond(request, message, reply.audience)
    if response is not None and not _is_accepted(response):
        log.error("Slack rejected a reply: %s %s", response.status_code, response.body)
    return _is_accepted(response)


def _is_accepted(response: WebhookResponse | None) -> bool:
    return response is not None and response.status_code == HTTP_OK


async def _respond(request: Request, message: Message, audience: Audience) -> WebhookResponse | None:
    """Send a message to the response_url over the shared session; Bolt's own client opens a session per message.

    None if delivery is unknown; the reason is logged.
    """
    try:
        return await AsyncWebhookClient(request.response_url, session=request.client.session).send(
            text=message.text,
            blocks=message.blocks,
            response_type="in_channel" if audience is Audience.CHANNEL else "ephemeral",
            replace_original=audience is Audience.REPLACE_ORIGINAL,
        )
    except Exception:
        log.exception("reply did not reach Slack")
        return None

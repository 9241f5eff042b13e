"""The Home tab and the board shortcut: what one person sees outside any channel."""

import logging
import re
from typing import Any

from handlers.render.form_fields import result_modal
from handlers.render.home import home_notice_view, home_view, loading_view, market_modal
from handlers.render.message import text_message
from handlers.render.responses import BUSY, error_message
from handlers.request import Request
from handlers.slack_errors import translate_slack_error
from services.core.errors import DeliveryError, MessageRefusedError, MinerPulseError

LAYOUT_REFUSED = (
    "Slack rejected the layout of this tab; it has been logged. In a channel, `/minerpulse` shows the market and "
    "`/minerpulse rules` what is watched there."
)
PAGE_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)
log = logging.getLogger(__name__)


async def publish_home(request: Request) -> None:
    """Publish a person's Home tab, or a plain one if Slack rejects its layout. Raises DeliveryError."""
    try:
        await _publish_view(request, await _home_view(request))
    except MessageRefusedError as error:
        if not error.permanent:
            raise
        log.error("Slack rejected the Home tab layout; publishing a plain one: %s", error.__cause__)  # noqa: TRY400 -- the cause says more
        await _publish_view(request, home_notice_view(text_message(LAYOUT_REFUSED)))


async def publish_busy_home(request: Request) -> None:
    """Publish a Home tab that says that the app is busy. Raises DeliveryError."""
    await _publish_view(request, home_notice_view(text_message(BUSY)))


async def _home_view(request: Request) -> dict[str, Any]:
    try:
        overview = await request.commands.overview(
            request.channel.team, request.user_id, await _channels_of(request), _page(request.value)
        )
        return home_view(overview, request.now)
    except MinerPulseError as error:
        log.warning("Home tab shows an error: %s", error)
        return home_notice_view(error_message(error))


def _page(value: str) -> int:
    """Return the page that a button names; the first one for anything else."""
    return int(value) if PAGE_NUMBER.fullmatch(value) else 0


async def _channels_of(request: Request) -> frozenset[str] | None:
    """Return the ids of the channels that this person is a member of; None if that is unknown."""
    if request.memberships is None:
        return None
    return await request.memberships.channels_of(request.client, request.channel.team, request.user_id)


async def _publish_view(request: Request, view: dict[str, Any]) -> None:
    with translate_slack_error():
        await request.client.views_publish(user_id=request.user_id, view=view)


async def open_board(request: Request) -> None:
    """Open the market in a modal, or send the person the reason if Slack doesn't open it. Raises DeliveryError.

    A shortcut has no channel, so a direct message is the only fallback.
    """
    try:
        await _open_board(request)
    except DeliveryError as error:
        log.warning("the board shortcut did not open: %s", error)
        message = error_message(error)
        with translate_slack_error():
            await request.client.chat_postMessage(channel=request.user_id, text=message.text, blocks=message.blocks)


async def _open_board(request: Request) -> None:
    with translate_slack_error():
        opened = await request.client.views_open(trigger_id=request.trigger_id, view=loading_view())
        view: dict[str, Any] = opened.get("view") or {}
        await request.client.views_update(view_id=str(view.get("id")), view=await _market_view(request))


async def _market_view(request: Request) -> dict[str, Any]:
    try:
        return market_modal(await request.commands.view(), request.now)
    except MinerPulseError as error:
        return result_modal(error_message(error))

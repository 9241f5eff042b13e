"""Messages to one person when there is no response_url, or it is used up."""

from __future__ import annotations

import logging

from handlers.render.fallbacks import text_only
from handlers.render.message import Message
from handlers.render.rule_form import result_modal
from handlers.request import Request
from handlers.slack_errors import BlocksRefusedError, translate_slack_error

log = logging.getLogger(__name__)


async def post_ephemeral(request: Request, message: Message) -> None:
    """Post a message that only this person sees. Raises DeliveryError, for example if the app isn't in the channel."""
    try:
        await _post(request, message)
    except BlocksRefusedError:
        log.warning("Slack rejected the blocks of an ephemeral message; sending plain text")
        await _post(request, text_only(message))


async def open_message_modal(request: Request, message: Message) -> None:
    """Show a message in a modal, for surfaces without a channel such as the Home tab. Raises DeliveryError."""
    with translate_slack_error():
        await request.client.views_open(trigger_id=request.trigger_id, view=result_modal(message))


async def send_direct_message(request: Request, message: Message) -> None:
    """Send a direct message, if there is no channel and no modal opens. Raises DeliveryError."""
    with translate_slack_error():
        await request.client.chat_postMessage(channel=request.user_id, text=message.text, blocks=message.blocks)


async def _post(request: Request, message: Message) -> None:
    with translate_slack_error():
        await request.client.chat_postEphemeral(
            channel=request.channel.id, user=request.user_id, text=message.text, blocks=message.blocks
        )

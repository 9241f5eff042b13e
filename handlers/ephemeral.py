"""Whisper: tell one person, where there is no response_url or it takes nothing any more."""

from __future__ import annotations

import logging

from handlers.render.fallbacks import as_plain
from handlers.render.message import Message
from handlers.render.rule_form import result_modal
from handlers.request import Request
from handlers.slack_errors import BlocksRefusedError, translate_slack_error

log = logging.getLogger(__name__)


async def post_ephemeral(ask: Request, message: Message) -> None:
    """Post a message that this person alone sees. Raises DeliveryError, as where the app is not in the channel."""
    try:
        await _post(ask, message)
    except BlocksRefusedError:
        log.warning("Slack refused a whisper's blocks; sent in plain form")
        await _post(ask, as_plain(message))


async def open_told(ask: Request, message: Message) -> None:
    """Tell it in a form of its own, where there is no channel, as on the Home tab. Raises DeliveryError."""
    with translate_slack_error():
        await ask.client.views_open(trigger_id=ask.trigger, view=result_modal(message))


async def write_to(ask: Request, message: Message) -> None:
    """Write to this person from the app, where there is no channel and no form opens. Raises DeliveryError."""
    with translate_slack_error():
        await ask.client.chat_postMessage(channel=ask.by, text=message.text, blocks=message.blocks)


async def _post(ask: Request, message: Message) -> None:
    with translate_slack_error():
        await ask.client.chat_postEphemeral(
            channel=ask.channel.id, user=ask.by, text=message.text, blocks=message.blocks
        )

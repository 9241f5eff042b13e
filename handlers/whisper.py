"""Whisper: tell one person in a channel, where there is no response_url or it takes nothing any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.refusals import translated

if TYPE_CHECKING:
    from handlers.ask import Ask
    from handlers.render.message import Message


async def whisper(ask: Ask, message: Message) -> None:
    """Post a message that this person alone sees. Raises DeliveryError, as where the app is not in the channel."""
    with translated():
        await ask.client.chat_postEphemeral(
            channel=ask.channel.id, user=ask.by, text=message.text, blocks=message.blocks
        )

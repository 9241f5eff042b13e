"""Share: the board for everyone in the channel."""

from __future__ import annotations

from handlers.render.board import board_message
from handlers.request import Audience, Reply, Request


async def answer(ask: Request) -> Reply:
    """Show the board as it is now to the channel, with the name of who shared it."""
    message = board_message(await ask.desk.board(ask.channel), ask.now, shared_by=ask.by)
    return Reply(message=message, place=Audience.CHANNEL)

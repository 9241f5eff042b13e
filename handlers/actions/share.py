"""Share: the board for everyone in the channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.request import Audience, Reply

if TYPE_CHECKING:
    from handlers.request import Request


async def answer(ask: Request) -> Reply:
    """Show the board as it is now to the channel, with the name of who shared it."""
    message = render.board(await ask.desk.board(ask.channel), ask.now, shared_by=ask.by)
    return Reply(message=message, place=Audience.CHANNEL)

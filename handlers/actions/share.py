"""Share button of the board."""

from __future__ import annotations

from handlers.render.board import board_message
from handlers.request import Audience, Reply, Request


async def run(request: Request) -> Reply:
    """Post the current board to the channel, with the name of who shared it."""
    message = board_message(await request.commands.board(request.channel), request.now, shared_by=request.user_id)
    return Reply(message=message, audience=Audience.CHANNEL)

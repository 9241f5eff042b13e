"""/minerpulse: the market now."""

from __future__ import annotations

from handlers.render.board import board_message
from handlers.request import Reply, Request


async def run(request: Request) -> Reply:
    """Show the board of the channel."""
    return Reply(message=board_message(await request.commands.board(request.channel), request.now))

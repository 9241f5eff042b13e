"""Refresh button of the board."""

from __future__ import annotations

from handlers.render.board import board_message
from handlers.request import Audience, Reply, Request


async def run(request: Request) -> Reply:
    """Replace the board with the current one."""
    return Reply(
        message=board_message(await request.commands.board(request.channel), request.now),
        audience=Audience.REPLACE_ORIGINAL,
    )

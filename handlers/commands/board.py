"""/minerpulse: the market now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.request import Reply

if TYPE_CHECKING:
    from handlers.request import Request


async def answer(ask: Request) -> Reply:
    """Show the board of the channel."""
    return Reply(message=render.board(await ask.desk.board(ask.channel), ask.now))

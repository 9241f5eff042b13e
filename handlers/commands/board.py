"""/minerpulse: the market now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.ask import Reply

if TYPE_CHECKING:
    from handlers.ask import Ask


async def answer(ask: Ask) -> Reply:
    """Show the board of the channel."""
    return Reply(message=render.board(await ask.desk.board(ask.channel), ask.now))

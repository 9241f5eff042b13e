"""/minerpulse status WINDOW: the board, or one window of it in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.ask import Reply
from handlers.commands.window import window_meant

if TYPE_CHECKING:
    from handlers.ask import Ask


async def answer(ask: Ask) -> Reply:
    """Show the board of the channel, or what is known of the window that was typed."""
    window = window_meant(ask.value)
    board = await ask.desk.board(ask.channel)
    return Reply(message=render.board(board, ask.now) if window is None else render.status(board, window, ask.now))

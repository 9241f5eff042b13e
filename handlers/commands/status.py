"""/minerpulse status WINDOW: the board, or one window of it in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.commands.arguments import window_meant
from handlers.request import Reply

if TYPE_CHECKING:
    from handlers.request import Request


async def answer(ask: Request) -> Reply:
    """Show the board of the channel, or what is known of the window that was typed."""
    window = window_meant(ask.value)
    board = await ask.desk.board(ask.channel)
    return Reply(message=render.board(board, ask.now) if window is None else render.status(board, window, ask.now))

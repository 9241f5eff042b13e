"""/minerpulse status WINDOW: the board, or one window of it in full."""

from __future__ import annotations

from handlers.commands.arguments import window_meant
from handlers.render.board import board_message, status_message
from handlers.request import Reply, Request


async def answer(ask: Request) -> Reply:
    """Show the board of the channel, or what is known of the window that was typed."""
    window = window_meant(ask.value)
    board = await ask.desk.board(ask.channel)
    return Reply(message=board_message(board, ask.now) if window is None else status_message(board, window, ask.now))

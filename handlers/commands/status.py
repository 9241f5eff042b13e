"""/minerpulse status [WINDOW]: the board, or one window in full."""

from __future__ import annotations

from handlers.commands.arguments import parse_window
from handlers.render.board import board_message, status_message
from handlers.request import Reply, Request


async def run(request: Request) -> Reply:
    """Show the board, or the window that was typed."""
    window = parse_window(request.value)
    board = await request.commands.board(request.channel)
    return Reply(
        message=board_message(board, request.now) if window is None else status_message(board, window, request.now)
    )

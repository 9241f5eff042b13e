"""Refresh: the board again, in the place of the old one."""

from __future__ import annotations

from handlers.render.board import board_message
from handlers.request import Audience, Reply, Request


async def answer(ask: Request) -> Reply:
    """Show the board as it is now."""
    return Reply(message=board_message(await ask.desk.board(ask.channel), ask.now), place=Audience.SAME)

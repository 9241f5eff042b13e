"""Refresh: the board again, in the place of the old one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.request import Audience, Reply

if TYPE_CHECKING:
    from handlers.request import Request


async def answer(ask: Request) -> Reply:
    """Show the board as it is now."""
    return Reply(message=render.board(await ask.desk.board(ask.channel), ask.now), place=Audience.SAME)

"""/minerpulse brief: what moved, what is unusual, the alerts and their fate, and what to watch, now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.request import Reply

if TYPE_CHECKING:
    from handlers.request import Request


async def answer(ask: Request) -> Reply:
    """Put a brief together for the person who asks."""
    return Reply(message=render.brief(await ask.desk.brief(ask.channel)))

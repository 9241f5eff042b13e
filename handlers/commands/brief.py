"""/minerpulse brief: what moved, what is unusual, the alerts and their fate, and what to watch, now."""

from __future__ import annotations

from handlers.render.brief import brief_message
from handlers.request import Reply, Request


async def answer(ask: Request) -> Reply:
    """Put a brief together for the person who asks."""
    return Reply(message=brief_message(await ask.desk.brief(ask.channel)))

"""/minerpulse brief: a market brief at any time."""

from __future__ import annotations

from handlers.render.brief import brief_message
from handlers.request import Reply, Request


async def run(request: Request) -> Reply:
    """Build the brief for the person who asked."""
    return Reply(message=brief_message(await request.commands.brief(request.channel)))

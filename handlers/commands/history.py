"""/minerpulse history: the channel's recent alerts."""

from __future__ import annotations

from handlers.render.history import history_message
from handlers.request import Reply, Request


async def run(request: Request) -> Reply:
    """List the channel's recent alerts."""
    return Reply(
        message=history_message(
            await request.commands.history(request.channel),
            await request.commands.votes(request.channel),
        )
    )

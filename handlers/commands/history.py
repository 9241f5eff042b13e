"""/minerpulse history: the last alerts of the channel."""

from __future__ import annotations

from handlers.render.history import history_message
from handlers.request import Reply, Request


async def answer(ask: Request) -> Reply:
    """List the last alerts of the channel."""
    return Reply(message=history_message(await ask.desk.history(ask.channel), await ask.desk.votes(ask.channel)))

"""/minerpulse history: the last alerts of the channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.request import Reply

if TYPE_CHECKING:
    from handlers.request import Request


async def answer(ask: Request) -> Reply:
    """List the last alerts of the channel."""
    return Reply(message=render.history(await ask.desk.history(ask.channel), await ask.desk.votes(ask.channel)))

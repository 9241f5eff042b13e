"""/minerpulse digest: proof that the silence means that nothing happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.request import Reply

if TYPE_CHECKING:
    from handlers.request import Request


async def answer(ask: Request) -> Reply:
    """Tell what was looked at in this session, or in the last one."""
    return Reply(message=render.daily(await ask.desk.proof(ask.channel)))

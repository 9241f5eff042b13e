"""/minerpulse digest: proof that the silence means that nothing happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.ask import Reply

if TYPE_CHECKING:
    from handlers.ask import Ask


async def answer(ask: Ask) -> Reply:
    """Tell what was looked at in this session, or in the last one."""
    return Reply(message=render.daily(await ask.desk.proof(ask.channel)))

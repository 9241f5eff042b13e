"""/minerpulse digest: proof that the silence means that nothing happened."""

from __future__ import annotations

from handlers.render.notices import coverage_message
from handlers.request import Reply, Request


async def answer(ask: Request) -> Reply:
    """Tell what was looked at in this session, or in the last one."""
    return Reply(message=coverage_message(await ask.desk.proof(ask.channel)))

"""/minerpulse digest: the monitoring report, which shows that no alert was missed."""

from __future__ import annotations

from handlers.render.notices import coverage_message
from handlers.request import Reply, Request


async def run(request: Request) -> Reply:
    """Show the checks of this session, or of the last one."""
    return Reply(message=coverage_message(await request.commands.coverage(request.channel)))

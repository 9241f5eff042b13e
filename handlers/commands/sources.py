"""/minerpulse sources: the price sources and their status."""

from __future__ import annotations

from handlers.render.sources import sources_message
from handlers.request import Reply, Request


async def run(request: Request) -> Reply:
    """List the sources of both legs."""
    return Reply(message=sources_message(await request.commands.source_status(), request.now))

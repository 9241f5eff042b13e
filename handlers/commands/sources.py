"""/minerpulse sources: which sources stand behind the prices, and how each of them does."""

from __future__ import annotations

from handlers.render.sources import sources_message
from handlers.request import Reply, Request


async def answer(ask: Request) -> Reply:
    """List the sources of both legs."""
    return Reply(message=sources_message(await ask.desk.provenance(), ask.now))

"""/minerpulse network: how hard bitcoin is to mine, and what it earns."""

from __future__ import annotations

from handlers.render.network import network_message
from handlers.request import Reply, Request


async def answer(ask: Request) -> Reply:
    """Show the network now."""
    return Reply(message=network_message(await ask.study.network(ask.now), ask.now))

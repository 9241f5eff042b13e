"""/minerpulse network: difficulty, fees and hashprice of the bitcoin network."""

from __future__ import annotations

from handlers.render.network import network_message
from handlers.request import Reply, Request


async def run(request: Request) -> Reply:
    """Show the current network data."""
    return Reply(message=network_message(await request.research.network(request.now), request.now))

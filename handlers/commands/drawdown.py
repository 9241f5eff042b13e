"""/minerpulse drawdown: drawdown of both legs from their highs."""

from __future__ import annotations

from handlers.render.drawdown import drawdown_message
from handlers.request import Reply, Request


async def run(request: Request) -> Reply:
    """Show both drawdowns at the last close."""
    return Reply(message=drawdown_message(await request.research.drawdowns(request.now)))

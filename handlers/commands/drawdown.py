"""/minerpulse drawdown: how far both legs are below their highs."""

from __future__ import annotations

from handlers.render.drawdown import drawdown_message
from handlers.request import Reply, Request


async def answer(ask: Request) -> Reply:
    """Show both drawdowns at the last close."""
    return Reply(message=drawdown_message(await ask.study.depths(ask.now)))

"""/minerpulse drawdown: how far both legs are below their highs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.request import Reply

if TYPE_CHECKING:
    from handlers.request import Request


async def answer(ask: Request) -> Reply:
    """Show both drawdowns at the last close."""
    return Reply(message=render.drawdown(await ask.study.depths(ask.now)))

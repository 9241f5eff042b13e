"""/minerpulse drawdown: how far both legs are below their highs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.ask import Reply

if TYPE_CHECKING:
    from handlers.ask import Ask


async def answer(ask: Ask) -> Reply:
    """Show both drawdowns at the last close."""
    return Reply(message=render.drawdown(await ask.study.depths(ask.now)))

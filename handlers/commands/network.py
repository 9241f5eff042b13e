"""/minerpulse network: how hard bitcoin is to mine, and what it earns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.request import Reply

if TYPE_CHECKING:
    from handlers.request import Request


async def answer(ask: Request) -> Reply:
    """Show the network now."""
    return Reply(message=render.network(await ask.study.network(ask.now), ask.now))

"""/minerpulse network: how hard bitcoin is to mine, and what it earns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.ask import Reply

if TYPE_CHECKING:
    from handlers.ask import Ask


async def answer(ask: Ask) -> Reply:
    """Show the network now."""
    return Reply(message=render.network(await ask.study.network(ask.now), ask.now))

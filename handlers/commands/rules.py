"""/minerpulse rules: what is watched in the channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.ask import Reply

if TYPE_CHECKING:
    from handlers.ask import Ask


async def answer(ask: Ask) -> Reply:
    """List the rules of the channel."""
    return Reply(message=render.rules(await ask.desk.listing(ask.channel), ask.now))

"""/minerpulse sources: which sources stand behind the prices, and how each of them does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.request import Reply

if TYPE_CHECKING:
    from handlers.request import Request


async def answer(ask: Request) -> Reply:
    """List the sources of both legs."""
    return Reply(message=render.sources(await ask.desk.provenance(), ask.now))

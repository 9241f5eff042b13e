"""/minerpulse explain WINDOW: why the ETF and bitcoin parted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.commands.arguments import refuse, return_window
from handlers.request import Reply
from services.market.measure import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.command import Command
    from handlers.render import Message
    from handlers.request import Request


def at_once(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what is no window."""
    return refuse(argument, commands, "explain")


async def answer(ask: Request) -> Reply:
    """Explain the window that was asked for, up to the last close."""
    found = await ask.study.explain(return_window(ask.value) or Window.YTD, ask.now)
    return Reply(message=render.explanation(found))

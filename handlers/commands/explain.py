"""/minerpulse explain WINDOW: why the ETF and bitcoin parted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.ask import Reply
from handlers.commands.span import refuse, window_meant
from services.domain.measure import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.ask import Ask
    from handlers.commands.command import Command
    from handlers.render import Message


def at_once(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what is no window."""
    return refuse(argument, commands, "explain")


async def answer(ask: Ask) -> Reply:
    """Explain the window that was asked for, up to the last close."""
    found = await ask.study.explain(window_meant(ask.value) or Window.YTD, ask.now)
    return Reply(message=render.explanation(found))

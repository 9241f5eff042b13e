"""/minerpulse miners WINDOW: what each holding of the fund added."""

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
    return refuse(argument, commands, "miners")


async def answer(ask: Ask) -> Reply:
    """Part the window that was asked for between the holdings."""
    found = await ask.study.constituents.miners(window_meant(ask.value) or Window.YTD, ask.now)
    return Reply(message=render.miners(found))

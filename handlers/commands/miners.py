"""/minerpulse miners WINDOW: what each holding of the fund added."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.command import Command
from handlers.commands.arguments import refuse, return_window
from handlers.render.message import Message
from handlers.render.miners import miners_message
from handlers.request import Reply, Request
from services.market.measure import Window


def at_once(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what is no window."""
    return refuse(argument, commands, "miners")


async def answer(ask: Request) -> Reply:
    """Part the window that was asked for between the holdings."""
    found = await ask.study.constituents.miners(return_window(ask.value) or Window.YTD, ask.now)
    return Reply(message=miners_message(found))

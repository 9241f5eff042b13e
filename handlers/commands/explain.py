"""/minerpulse explain WINDOW: why the ETF and bitcoin parted."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.command import Command
from handlers.commands.arguments import refuse, return_window
from handlers.render.explain import explain_message
from handlers.render.message import Message
from handlers.request import Reply, Request
from services.market.measure import Window


def at_once(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what is no window."""
    return refuse(argument, commands, "explain")


async def answer(ask: Request) -> Reply:
    """Explain the window that was asked for, up to the last close."""
    found = await ask.study.explain(return_window(ask.value) or Window.YTD, ask.now)
    return Reply(message=explain_message(found))

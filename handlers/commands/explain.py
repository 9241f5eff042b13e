"""/minerpulse explain [WINDOW]: return attribution of the ETF."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.command import Command
from handlers.commands.arguments import parse_return_window, validate_return_window
from handlers.render.explain import explain_message
from handlers.render.message import Message
from handlers.request import Reply, Request
from services.market.measure import Window


def validate(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage if the argument is not a window."""
    return validate_return_window(argument, commands, "explain")


async def run(request: Request) -> Reply:
    """Attribute the window's return, up to the last close."""
    result = await request.research.explain(parse_return_window(request.value) or Window.YTD, request.now)
    return Reply(message=explain_message(result))

"""/minerpulse miners [WINDOW]: contribution of each holding of the fund."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.command import Command
from handlers.commands.arguments import parse_return_window, validate_return_window
from handlers.render.message import Message
from handlers.render.miners import miners_message
from handlers.request import Reply, Request
from services.market.measure import Window


def validate(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage if the argument is not a window."""
    return validate_return_window(argument, commands, "miners")


async def run(request: Request) -> Reply:
    """Attribute the window's return to the holdings."""
    result = await request.research.holdings.report(parse_return_window(request.value) or Window.YTD, request.now)
    return Reply(message=miners_message(result))

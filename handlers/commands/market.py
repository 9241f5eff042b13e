"""/minerpulse board, status, chart, brief and sources: the market now."""

from collections.abc import Sequence

from handlers.command import Command, usage
from handlers.commands.arguments import WINDOWS, parse_window
from handlers.render.board import board_message, status_message
from handlers.render.brief import brief_message
from handlers.render.chart import chart_message, chart_picture
from handlers.render.message import Message
from handlers.render.sources import sources_message
from handlers.request import Reply, Request
from services.market.measure import Window

DEFAULT_CHART_WINDOW = Window.D20


def validate_window(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage of the commands with an optional window if the argument is not one."""
    if not argument or parse_window(argument):
        return None
    names = {command.name for command in commands if command.arguments == "[WINDOW]"}
    return usage(commands, names, f"Which window? There are {', '.join(WINDOWS)}:")


async def show_board(request: Request) -> Reply:
    """Show the board of the channel."""
    return Reply(message=board_message(await request.commands.board(request.channel), request.now))


async def show_status(request: Request) -> Reply:
    """Show the board, or the window that was typed."""
    window = parse_window(request.value)
    if window is None:
        return await show_board(request)
    return Reply(message=status_message(await request.commands.board(request.channel), window, request.now))


async def show_chart(request: Request) -> Reply:
    """Chart both legs over the window, 20 sessions by default."""
    result = await request.commands.chart(request.channel, parse_window(request.value) or DEFAULT_CHART_WINDOW)
    return Reply(message=chart_message(result, request.now), picture=chart_picture(result))


async def show_brief(request: Request) -> Reply:
    """Build a market brief for the person who asked."""
    return Reply(message=brief_message(await request.commands.brief(request.channel)))


async def show_sources(request: Request) -> Reply:
    """List the price sources of both legs and their status."""
    return Reply(message=sources_message(await request.commands.source_status(), request.now))

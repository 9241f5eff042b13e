"""Buttons of the board."""

from handlers.render.board import board_message
from handlers.request import Audience, Reply, Request
from handlers.rule_changes import announce_alerts
from services.rules.rule import DEFAULT_RULES


async def refresh(request: Request) -> Reply:
    """Replace the board with the current one."""
    message = board_message(await request.commands.board(request.channel), request.now)
    return Reply(message=message, audience=Audience.REPLACE_ORIGINAL)


async def share(request: Request) -> Reply:
    """Post the current board to the channel, with the name of who shared it."""
    message = board_message(await request.commands.board(request.channel), request.now, shared_by=request.user_id)
    return Reply(message=message, audience=Audience.CHANNEL)


async def start(request: Request) -> Reply:
    """Start alerts in a channel without rules, and refresh the board.

    Announces alerts first, which proves that the app can post; then adds the default rules.
    """
    async with request.locks.of(request.channel):
        if not await request.commands.rules(request.channel):
            await request.commands.check_editor(request.channel, request.user_id)
            await announce_alerts(request, DEFAULT_RULES, request.commands.pair)
            await request.commands.add_default_rules(request.channel, request.user_id)
    return await refresh(request)

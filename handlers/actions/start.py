"""Start Alerts button of the board, in a channel without rules."""

from __future__ import annotations

from handlers.render.board import board_message
from handlers.request import Audience, Reply, Request
from handlers.welcome_post import announce_alerts
from services.rules.rule import DEFAULT_RULES


async def run(request: Request) -> Reply:
    """Announce alerts first, which proves that the app can post; then add the default rules and refresh the board."""
    async with request.locks.of(request.channel):
        if not await request.commands.rules(request.channel):
            await request.commands.check_editor(request.channel, request.user_id)
            await announce_alerts(request, DEFAULT_RULES, request.commands.pair)
            await request.commands.add_default_rules(request.channel, request.user_id)
    return Reply(
        message=board_message(await request.commands.board(request.channel), request.now),
        audience=Audience.REPLACE_ORIGINAL,
    )

"""Start alerts here: the usual rules for a channel that has none."""

from __future__ import annotations

from handlers.render.board import board_message
from handlers.request import Audience, Reply, Request
from handlers.welcome_post import greet
from services.rules.rule import DEFAULT_RULES


async def answer(ask: Request) -> Reply:
    """Greet the channel, which proves that alerts can be posted, then add the rules and show the board again."""
    async with ask.turns.of(ask.channel):
        if not await ask.desk.rules(ask.channel):
            await ask.desk.check_editor(ask.channel, ask.by)
            await greet(ask, DEFAULT_RULES, ask.desk.pair)
            await ask.desk.start(ask.channel, ask.by)
    return Reply(message=board_message(await ask.desk.board(ask.channel), ask.now), place=Audience.SAME)

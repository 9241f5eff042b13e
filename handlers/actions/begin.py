"""Start alerts, from the welcome in a channel: the usual rules, and the welcome becomes the announcement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.request import Audience, Reply
from services.rules.rule import DEFAULT_RULES

if TYPE_CHECKING:
    from handlers.request import Request


async def answer(ask: Request) -> Reply:
    """Add the usual rules where there are none, and tell everyone in the welcome's place."""
    async with ask.turns.of(ask.channel):
        if await ask.desk.rules(ask.channel):
            return Reply(message=render.say("Alerts come here already. `/minerpulse rules` lists what is watched."))
        await ask.desk.start(ask.channel, ask.by)
    simulated = ask.desk.market.history.simulated
    told = render.started(ask.desk.pair, DEFAULT_RULES, ask.by, is_simulated=simulated)
    return Reply(message=told, place=Audience.SAME)

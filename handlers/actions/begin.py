"""Start alerts, from the welcome in a channel: the usual rules, and the welcome becomes the announcement."""

from __future__ import annotations

from handlers.render.message import text_message
from handlers.render.rules import alerts_started_message
from handlers.request import Audience, Reply, Request
from services.rules.rule import DEFAULT_RULES


async def answer(ask: Request) -> Reply:
    """Add the usual rules where there are none, and tell everyone in the welcome's place."""
    async with ask.turns.of(ask.channel):
        if await ask.desk.rules(ask.channel):
            return Reply(message=text_message("Alerts come here already. `/minerpulse rules` lists what is watched."))
        await ask.desk.start(ask.channel, ask.by)
    simulated = ask.desk.market.history.simulated
    told = alerts_started_message(ask.desk.pair, DEFAULT_RULES, ask.by, is_simulated=simulated)
    return Reply(message=told, place=Audience.SAME)

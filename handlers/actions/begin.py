"""Start Alerts button of the welcome message."""

from __future__ import annotations

from handlers.render.message import text_message
from handlers.render.rules import alerts_started_message
from handlers.request import Audience, Reply, Request
from services.rules.rule import DEFAULT_RULES


async def run(request: Request) -> Reply:
    """Add the default rules if there are none, and replace the welcome with the announcement."""
    async with request.locks.of(request.channel):
        if await request.commands.rules(request.channel):
            return Reply(message=text_message("Alerts come here already. `/minerpulse rules` lists what is watched."))
        await request.commands.add_default_rules(request.channel, request.user_id)
    simulated = request.commands.market.history.simulated
    message = alerts_started_message(request.commands.pair, DEFAULT_RULES, request.user_id, simulated=simulated)
    return Reply(message=message, audience=Audience.REPLACE_ORIGINAL)

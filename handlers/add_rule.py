"""Add a rule, typed or from the editor; the first one of a channel is announced there."""

from __future__ import annotations

from handlers.render.message import Message, stacked, text_message
from handlers.render.responses import error_message
from handlers.render.rules import rule_added_message
from handlers.request import Request
from handlers.welcome_post import greet
from services.core.errors import DeliveryError


async def add(ask: Request, text: str) -> Message:
    """Add the rule and tell what stands now; the announcement proves that alerts can be posted."""
    added = await ask.desk.add_rule(ask.channel, text, ask.by)
    told = rule_added_message(added)
    if added.new and len(await ask.desk.rules(ask.channel)) == 1:
        try:
            await greet(ask, [str(added.watch.rule)], added.watch.rule.pair)
        except DeliveryError as error:
            return stacked(told, _unannounced(error))
    return told


def _unannounced(error: DeliveryError) -> Message:
    """Tell why the channel was not told; what passes by itself needs nobody, as the rule stands."""
    if error.permanent:
        return error_message(error)
    return text_message(f"The channel was not told of it: {error} The rule stands, and nothing more is to be done.")

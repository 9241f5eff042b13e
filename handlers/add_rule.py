"""Add a rule, typed or from the editor; the first one of a channel is announced there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.welcome_post import greet
from services.core.errors import DeliveryError

if TYPE_CHECKING:
    from handlers.render import Message
    from handlers.request import Request


async def add(ask: Request, text: str) -> Message:
    """Add the rule and tell what stands now; the announcement proves that alerts can be posted."""
    added = await ask.desk.add_rule(ask.channel, text, ask.by)
    told = render.added(added)
    if added.new and len(await ask.desk.rules(ask.channel)) == 1:
        try:
            await greet(ask, [str(added.watch.rule)], added.watch.rule.pair)
        except DeliveryError as error:
            return render.together(told, _unannounced(error))
    return told


def _unannounced(error: DeliveryError) -> Message:
    """Tell why the channel was not told; what passes by itself needs nobody, as the rule stands."""
    if error.permanent:
        return render.complaint(error)
    return render.say(f"The channel was not told of it: {error} The rule stands, and nothing more is to be done.")

"""Add a rule from a command or the editor, and announce the channel's first rule."""

from __future__ import annotations

from handlers.render.message import Message, stack, text_message
from handlers.render.responses import error_message
from handlers.render.rules import rule_added_message
from handlers.request import Request
from handlers.welcome_post import announce_alerts
from services.core.errors import DeliveryError


async def add_rule(request: Request, text: str) -> Message:
    """Add the rule and return the confirmation.

    The first rule of a channel is announced there, which proves that the app can post. If that fails, the confirmation
    says why.
    """
    added = await request.commands.add_rule(request.channel, text, request.user_id)
    message = rule_added_message(added)
    if added.created and len(await request.commands.rules(request.channel)) == 1:
        try:
            await announce_alerts(request, [str(added.channel_rule.rule)], added.channel_rule.rule.pair)
        except DeliveryError as error:
            return stack(message, _announcement_failed(error))
    return message


def _announcement_failed(error: DeliveryError) -> Message:
    """Return why the channel wasn't notified; a transient error needs no action because the rule is stored."""
    if error.permanent:
        return error_message(error)
    return text_message(f"The channel was not told of it: {error} The rule stands, and nothing more is to be done.")

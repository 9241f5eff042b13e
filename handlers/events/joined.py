"""Event: someone joined a channel; if it is the app, it posts a welcome."""

from __future__ import annotations

from typing import Any

from handlers.render.home import welcome_message
from handlers.request import Request
from handlers.slack_errors import translate_slack_error


async def handle(request: Request, body: dict[str, Any]) -> None:
    """Welcome a channel that the app was added to; alerts from before may still be open. Raises DeliveryError."""
    if body["event"].get("user") not in _bot_user_ids(body):
        return
    await request.commands.rejoin(request.channel)
    rules = [str(rule.rule) for rule in await request.commands.rules(request.channel)]
    simulated = request.commands.market.history.simulated
    message = welcome_message(request.commands.pair, rules, simulated=simulated)
    with translate_slack_error():
        await request.client.chat_postMessage(
            channel=request.channel.id, text=message.text, blocks=message.blocks, unfurl_links=False
        )


def _bot_user_ids(body: dict[str, Any]) -> set[str]:
    """Return the app's own user ids, from the event's authorizations."""
    authorizations = body.get("authorizations") or ()
    return {str(authorization["user_id"]) for authorization in authorizations if authorization.get("is_bot")}

"""Someone has joined a channel; where it is the app itself, it says what it does and offers to begin."""

from __future__ import annotations

from typing import Any

from handlers.render.home import welcome_message
from handlers.request import Request
from handlers.slack_errors import translate_slack_error


async def hear(ask: Request, body: dict[str, Any]) -> None:
    """Welcome a channel that the app was added to, where alerts of before may stand. Raises DeliveryError."""
    if body["event"].get("user") not in _ourselves(body):
        return
    await ask.desk.come_back(ask.channel)
    rules = [str(watch.rule) for watch in await ask.desk.rules(ask.channel)]
    simulated = ask.desk.market.history.simulated
    message = welcome_message(ask.desk.pair, rules, is_simulated=simulated)
    with translate_slack_error():
        await ask.client.chat_postMessage(
            channel=ask.channel.id, text=message.text, blocks=message.blocks, unfurl_links=False
        )


def _ourselves(body: dict[str, Any]) -> set[str]:
    """Give the app's own user ids, as the event names those that it was sent for."""
    return {str(one["user_id"]) for one in body.get("authorizations") or () if one.get("is_bot")}

"""The first message in a channel: announces alerts, and proves that the app can post."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.render.rules import alerts_started_message
from handlers.request import Request
from handlers.slack_errors import translate_slack_error
from services.core.prices import Pair


async def announce_alerts(request: Request, rules: Sequence[str], pair: Pair) -> None:
    """Post that rules on a pair start here. Raises DeliveryError, which says whom to ask if the app can't post."""
    simulated = request.commands.market.history.simulated
    message = alerts_started_message(pair, rules, request.user_id, simulated=simulated)
    with translate_slack_error():
        await request.client.chat_postMessage(
            channel=request.channel.id, text=message.text, blocks=message.blocks, unfurl_links=False
        )

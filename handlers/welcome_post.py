"""The first message in a channel: it tells everyone that alerts come, and proves that they can."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.render.rules import alerts_started_message
from handlers.request import Request
from handlers.slack_errors import translate_slack_error
from services.core.prices import Pair


async def greet(ask: Request, rules: Sequence[str], pair: Pair) -> None:
    """Post that rules on a pair start here. Raises DeliveryError, which tells whom to ask where the app cannot post."""
    simulated = ask.desk.market.history.simulated
    message = alerts_started_message(pair, rules, ask.by, is_simulated=simulated)
    with translate_slack_error():
        await ask.client.chat_postMessage(
            channel=ask.channel.id, text=message.text, blocks=message.blocks, unfurl_links=False
        )

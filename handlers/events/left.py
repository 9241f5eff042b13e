"""Event: the app was removed from a channel, or the channel was deleted."""

from __future__ import annotations

import logging
from typing import Any

from handlers.request import Request

log = logging.getLogger(__name__)


async def handle(request: Request, body: dict[str, Any]) -> None:
    """Remove the channel's rules, end its alerts, and cancel its pending messages.

    The rules are logged, so that they can be added again.
    """
    event = body["event"]
    removed = await request.commands.leave(request.channel, str(event.get("actor_id") or request.user_id))
    if removed:
        rules = "; ".join(str(rule.rule) for rule in removed)
        log.warning("%s: removed %d rules of channel %s: %s", event["type"], len(removed), request.channel.id, rules)

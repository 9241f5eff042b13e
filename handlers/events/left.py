"""The app was taken out of a channel, or the channel is gone: nothing is watched there any more."""

from __future__ import annotations

import logging
from typing import Any

from handlers.request import Request

log = logging.getLogger(__name__)


async def hear(ask: Request, body: dict[str, Any]) -> None:
    """Remove the channel's rules and end its alerts, and tell nothing there any more.

    The log keeps the rules, so that they can be typed again.
    """
    event = body["event"]
    gone = await ask.desk.leave(ask.channel, str(event.get("actor_id") or ask.by))
    if gone:
        rules = "; ".join(str(watch.rule) for watch in gone)
        log.warning("%s: %d rules of channel %s are removed: %s", event["type"], len(gone), ask.channel.id, rules)

"""Snooze menu of an alert: mutes its thread for a while."""

from __future__ import annotations

from handlers.actions.payload import parse_snooze
from handlers.render.responses import no_close_message, unchanged_message
from handlers.request import Reply, Request
from services.core.errors import MarketClosedError


async def run(request: Request) -> Reply | None:
    """Snooze the alert; the outbox edits its message, so only a request without effect gets a reply."""
    alert_id, span = parse_snooze(request.value)
    try:
        outcome = await request.commands.snooze(request.channel, alert_id, request.user_id, span)
    except MarketClosedError as error:
        return Reply(message=no_close_message(error.next_open_at))
    return None if outcome.changed else Reply(message=unchanged_message(outcome.alert))

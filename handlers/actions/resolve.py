"""Resolve button of an alert."""

from __future__ import annotations

from handlers.actions.payload import parse_alert_id
from handlers.render.responses import unchanged_message
from handlers.request import Reply, Request


async def run(request: Request) -> Reply | None:
    """Resolve the alert; the outbox edits its message, so only a request without effect gets a reply."""
    outcome = await request.commands.resolve(request.channel, parse_alert_id(request.value), request.user_id, "")
    return None if outcome.changed else Reply(message=unchanged_message(outcome.alert))

"""Snooze: keep an alert's thread silent for a while."""

from __future__ import annotations

from handlers.actions.payload import alert_and_span
from handlers.render.responses import no_close_message, unchanged_message
from handlers.request import Reply, Request
from services.core.errors import MarketShutError


async def answer(ask: Request) -> Reply | None:
    """Mark the alert; its message is edited by the outbox, so only what changed nothing is told."""
    number, span = alert_and_span(ask.value)
    try:
        outcome = await ask.desk.snooze(ask.channel, number, ask.by, span)
    except MarketShutError as error:
        return Reply(message=no_close_message(error.next_open_at))
    return None if outcome.changed else Reply(message=unchanged_message(outcome.alert))

"""Snooze: keep an alert's thread silent for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.actions.payload import alert_and_span
from handlers.request import Reply
from services.core.errors import MarketShutError

if TYPE_CHECKING:
    from handlers.request import Request


async def answer(ask: Request) -> Reply | None:
    """Mark the alert; its message is edited by the outbox, so only what changed nothing is told."""
    number, span = alert_and_span(ask.value)
    try:
        outcome = await ask.desk.snooze(ask.channel, number, ask.by, span)
    except MarketShutError as error:
        return Reply(message=render.no_close(error.next_open_at))
    return None if outcome.changed else Reply(message=render.unchanged(outcome.alert))

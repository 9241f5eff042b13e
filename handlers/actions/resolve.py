"""Resolve: a person ends the alert."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.actions.payload import alert_id
from handlers.request import Reply

if TYPE_CHECKING:
    from handlers.request import Request


async def answer(ask: Request) -> Reply | None:
    """End the alert; its message is edited by the outbox, so only what changed nothing is told."""
    outcome = await ask.desk.resolve(ask.channel, alert_id(ask.value), ask.by, "")
    return None if outcome.changed else Reply(message=render.unchanged(outcome.alert))

"""Acknowledge: a person has seen the alert."""

from __future__ import annotations

from handlers.actions.payload import alert_id
from handlers.render.responses import unchanged_message
from handlers.request import Reply, Request


async def answer(ask: Request) -> Reply | None:
    """Mark the alert; its message is edited by the outbox, so only what changed nothing is told."""
    outcome = await ask.desk.acknowledge(ask.channel, alert_id(ask.value), ask.by)
    return None if outcome.changed else Reply(message=unchanged_message(outcome.alert))

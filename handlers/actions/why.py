"""Why: the receipt of an alert, for the person who pressed."""

from __future__ import annotations

from handlers.actions.payload import alert_id
from handlers.render.history import audit_message
from handlers.request import Reply, Request


async def answer(ask: Request) -> Reply:
    """Show what the alert rests on, and how its messages went."""
    receipt = await ask.desk.receipt(ask.channel, alert_id(ask.value))
    return Reply(message=audit_message(receipt, ask.now))

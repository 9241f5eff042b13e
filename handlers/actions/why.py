"""Why: the receipt of an alert, for the person who pressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.actions.payload import alert_id
from handlers.request import Reply

if TYPE_CHECKING:
    from handlers.request import Request


async def answer(ask: Request) -> Reply:
    """Show what the alert rests on, and how its messages went."""
    receipt = await ask.desk.receipt(ask.channel, alert_id(ask.value))
    return Reply(message=render.receipt(receipt, ask.now))

"""Why button: the audit log of an alert, for the person who pressed it."""

from __future__ import annotations

from handlers.actions.payload import parse_alert_id
from handlers.render.history import audit_message
from handlers.request import Reply, Request


async def run(request: Request) -> Reply:
    """Show the data behind the alert and the delivery of its messages."""
    audit = await request.commands.audit(request.channel, parse_alert_id(request.value))
    return Reply(message=audit_message(audit, request.now))

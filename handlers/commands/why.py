"""/minerpulse why [ID]: the audit log of an alert."""

from __future__ import annotations

import re
from collections.abc import Sequence

from handlers.command import Command
from handlers.render.help import usage_message
from handlers.render.history import audit_message
from handlers.render.message import Message
from handlers.request import Reply, Request

_NUMBER = re.compile(r"#?(\d{1,9})?", re.ASCII)


def validate(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage if the argument is not an alert id."""
    if _NUMBER.fullmatch(argument):
        return None
    rows = [command for command in commands if command.words in {("why",), ("history",)}]
    return usage_message(rows, "Which alert? Give its number, or none for the newest one:")


async def run(request: Request) -> Reply:
    """Show the audit log of the alert, by default of the channel's newest."""
    number = request.value.removeprefix("#")
    audit = await request.commands.audit(request.channel, int(number) if number else None)
    return Reply(message=audit_message(audit, request.now))

"""/minerpulse why ID: the receipt of an alert."""

from __future__ import annotations

import re
from collections.abc import Sequence

from handlers.command import Command
from handlers.render.help import usage_message
from handlers.render.history import audit_message
from handlers.render.message import Message
from handlers.request import Reply, Request

_NUMBER = re.compile(r"#?(\d{1,9})?", re.ASCII)


def at_once(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what is no number of an alert."""
    if _NUMBER.fullmatch(argument):
        return None
    rows = [command for command in commands if command.words in {("why",), ("history",)}]
    return usage_message(rows, "Which alert? Give its number, or none for the newest one:")


async def answer(ask: Request) -> Reply:
    """Show the receipt of the alert with that number, or of the channel's newest."""
    number = ask.value.removeprefix("#")
    receipt = await ask.desk.receipt(ask.channel, int(number) if number else None)
    return Reply(message=audit_message(receipt, ask.now))

"""/minerpulse why ID: the receipt of an alert."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from handlers import render
from handlers.request import Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.command import Command
    from handlers.render import Message
    from handlers.request import Request

_NUMBER = re.compile(r"#?(\d{1,9})?", re.ASCII)


def at_once(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what is no number of an alert."""
    if _NUMBER.fullmatch(argument):
        return None
    rows = [command for command in commands if command.words in {("why",), ("history",)}]
    return render.usage(rows, "Which alert? Give its number, or none for the newest one:")


async def answer(ask: Request) -> Reply:
    """Show the receipt of the alert with that number, or of the channel's newest."""
    number = ask.value.removeprefix("#")
    receipt = await ask.desk.receipt(ask.channel, int(number) if number else None)
    return Reply(message=render.receipt(receipt, ask.now))

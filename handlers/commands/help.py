"""/minerpulse help: every command, from memory."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from handlers import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.commands.command import Command
    from handlers.render import Message


@cache
def at_once(_argument: str, commands: Sequence[Command]) -> Message:
    """Explain the table; it does not change, so this is done once."""
    return render.help_on(commands)

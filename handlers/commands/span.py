"""Which window a command means: one of those that returns are taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from services.domain.measure import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.commands.command import Command
    from handlers.render import Message

WINDOWS = {window.value: window for window in Window}


def window_meant(argument: str) -> Window | None:
    """Read a window; nothing typed means this year. None where it is no window."""
    return WINDOWS.get("".join(argument.lower().split()) or Window.YTD.value)


def refuse(argument: str, commands: Sequence[Command], word: str) -> Message | None:
    """Show how to type a command whose window cannot be read."""
    if window_meant(argument):
        return None
    rows = [command for command in commands if command.words == (word,)]
    return render.usage(rows, f"Over which window? One of {', '.join(WINDOWS)}:")

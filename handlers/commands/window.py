"""Which window a command means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from services.domain.measure import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.commands.command import Command
    from handlers.render import Message

_WINDOWS = {window.value: window for window in Window}


def window_meant(argument: str) -> Window | None:
    """Find the window that was typed; None where nothing or something else was."""
    return _WINDOWS.get("".join(argument.lower().split()))


def window_alone(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what is no window."""
    if not argument or window_meant(argument):
        return None
    rows = [command for command in commands if command.takes == "[WINDOW]"]
    return render.usage(rows, f"Which window? There are {', '.join(_WINDOWS)}:")

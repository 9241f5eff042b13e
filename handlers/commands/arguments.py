"""Which window a command means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from handlers.command import Command
from handlers.render.alert_text import topic
from handlers.render.help import usage_message
from handlers.render.message import Message
from handlers.request import Request
from services.core.errors import NotFoundError
from services.core.text import unquoted
from services.market.measure import Window

_WINDOWS = {window.value: window for window in Window}


def window_meant(argument: str) -> Window | None:
    """Find the window that was typed; None where nothing or something else was."""
    return _WINDOWS.get("".join(argument.lower().split()))


def window_alone(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what is no window."""
    if not argument or window_meant(argument):
        return None
    rows = [command for command in commands if command.takes == "[WINDOW]"]
    return usage_message(rows, f"Which window? There are {', '.join(_WINDOWS)}:")


WINDOWS = {window.value: window for window in Window}


def return_window(argument: str) -> Window | None:
    """Read a window; nothing typed means this year. None where it is no window."""
    return WINDOWS.get("".join(argument.lower().split()) or Window.YTD.value)


def refuse(argument: str, commands: Sequence[Command], word: str) -> Message | None:
    """Show how to type a command whose window cannot be read."""
    if return_window(argument):
        return None
    rows = [command for command in commands if command.words == (word,)]
    return usage_message(rows, f"Over which window? One of {', '.join(WINDOWS)}:")


_NUMBERED = re.compile(r"(?:#?(?P<number>\d{1,9})(?!\S)\s*)?(?P<rest>.*)", re.ASCII | re.DOTALL)


class Wish(NamedTuple):
    """The number that was typed, None where none was, and what stands behind it."""

    number: int | None
    rest: str


def wish(argument: str) -> Wish:
    """Take the number off the front of what was typed, and the quotes off the rest, as in `3 “5d 12pp”`."""
    found = _NUMBERED.fullmatch(argument)
    number = found["number"] if found else None
    return Wish(None if number is None else int(number), unquoted(found["rest"] if found else argument))


async def alert_meant(ask: Request, number: int | None) -> int:
    """Give the alert's number. Raises NotFoundError where none or several are open and no number was typed."""
    if number is not None:
        return number
    match await ask.desk.open_alerts(ask.channel):
        case []:
            raise NotFoundError("No alert is open in this channel.")
        case [alone]:
            return alone.id
        case several:
            names = ", ".join(f"{alert.id} ({topic(alert)})" for alert in several)
            raise NotFoundError(f"Several alerts are open here; say which by its number: {names}.")

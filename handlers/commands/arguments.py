"""Parsers of command arguments: windows, numbers and alert ids."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from handlers.command import Command
from handlers.render.alert_text import alert_subject
from handlers.render.help import usage_message
from handlers.render.message import Message
from handlers.request import Request
from services.core.errors import NotFoundError
from services.core.text import strip_quotes
from services.market.measure import Window

_WINDOWS = {window.value: window for window in Window}


def parse_window(argument: str) -> Window | None:
    """Return the window; None if the argument is empty or not a window."""
    return _WINDOWS.get("".join(argument.lower().split()))


def validate_window(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage if the argument is not a window."""
    if not argument or parse_window(argument):
        return None
    rows = [command for command in commands if command.arguments == "[WINDOW]"]
    return usage_message(rows, f"Which window? There are {', '.join(_WINDOWS)}:")


def parse_return_window(argument: str) -> Window | None:
    """Return the window, year to date if the argument is empty; None if it is not a window."""
    return parse_window(argument) if argument.strip() else Window.YTD


def validate_return_window(argument: str, commands: Sequence[Command], name: str) -> Message | None:
    """Return the usage of the command `name` if its window can't be parsed."""
    if parse_return_window(argument):
        return None
    rows = [command for command in commands if command.words == (name,)]
    return usage_message(rows, f"Over which window? One of {', '.join(_WINDOWS)}:")


_NUMBERED = re.compile(r"(?:#?(?P<number>\d{1,9})(?!\S)\s*)?(?P<rest>.*)", re.ASCII | re.DOTALL)


class NumberedArgument(NamedTuple):
    """The leading number of an argument, None if there is none, and the rest."""

    number: int | None
    rest: str


def split_number(argument: str) -> NumberedArgument:
    """Split the number off an argument, and unquote the rest, as in `3 “5d 12pp”`."""
    match = _NUMBERED.fullmatch(argument)
    number = match["number"] if match else None
    return NumberedArgument(None if number is None else int(number), strip_quotes(match["rest"] if match else argument))


async def resolve_alert_id(request: Request, number: int | None) -> int:
    """Return the alert id; without a number, that of the only open alert.

    Raises NotFoundError if no alert or several are open.
    """
    if number is not None:
        return number
    match await request.commands.open_alerts(request.channel):
        case []:
            raise NotFoundError("No alert is open in this channel.")
        case [alert]:
            return alert.id
        case alerts:
            names = ", ".join(f"{alert.id} ({alert_subject(alert)})" for alert in alerts)
            raise NotFoundError(f"Several alerts are open here; say which by its number: {names}.")

"""Parsers of command arguments: windows, numbers and rules."""

import re
from typing import NamedTuple

from handlers.render.message import Message
from handlers.render.responses import error_message
from services.core.errors import RuleError
from services.core.text import strip_quotes
from services.market.measure import Window
from services.rules.grammar import parse_rule

WINDOWS = {window.value: window for window in Window}
_NUMBERED = re.compile(r"(?:#?(?P<number>\d{1,9})(?!\S)\s*)?(?P<rest>.*)", re.ASCII | re.DOTALL)


def parse_window(argument: str) -> Window | None:
    """Return the window; None if the argument is empty or not a window."""
    return WINDOWS.get("".join(argument.lower().split()))


class NumberedArgument(NamedTuple):
    """The leading number of an argument, None if there is none, and the rest."""

    number: int | None
    rest: str


def split_number(argument: str) -> NumberedArgument:
    """Split the number off an argument, and unquote the rest, as in `3 “5d 12pp”`."""
    match = _NUMBERED.fullmatch(argument)
    number = match["number"] if match else None
    return NumberedArgument(None if number is None else int(number), strip_quotes(match["rest"] if match else argument))


def rule_error(text: str) -> Message | None:
    """Return why a text is not a rule; None if it is one."""
    try:
        parse_rule(text)
    except RuleError as error:
        return error_message(error)
    return None

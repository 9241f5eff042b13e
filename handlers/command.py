"""A subcommand of /minerpulse: one row of the command table, and the parsers of its argument."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from handlers.render.message import Message
from handlers.render.responses import error_message
from handlers.request import Reply, Request
from services.channels.permissions import Act
from services.core.errors import RuleError
from services.core.scan import DIGITS, Scanner
from services.core.text import strip_quotes
from services.market.measure import Window
from services.rules.grammar import parse_new_rule

SLASH = "/minerpulse"
WINDOWS = {window.value: window for window in Window}
MAX_NUMBER_DIGITS = 9  # of a rule or an alert


class Topic(Enum):
    """Help topics; each command belongs to one."""

    MARKET = "market"
    RULES = "rules"
    ALERTS = "alerts"
    SOURCES = "sources"
    HELP = "help"


def accept_any(_argument: str, _commands: Sequence[Command]) -> Message | None:
    """Accept any argument; the command's `run` replies."""
    return None


Validate: TypeAlias = "Callable[[str, Sequence[Command]], Message | None]"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Command:
    """A subcommand of /minerpulse; help, usage and the manifest's hint derive from its fields.

    Attributes:
        words: The words that name it.
        arguments: Placeholder of what follows the words.
        act: What it does, which decides who may use it.
        bare_act: What it does without an argument, if that is something else.
        is_study: Whether it measures years of history; a person runs one of these at a time.
        validate: Returns the immediate answer to an argument, from the command table and without I/O; None if `run`
            must answer.
        run: Does the work after the acknowledgement; None if `validate` always answers.

    Rows compare by identity, so that cache lookups by table are fast.
    """

    words: tuple[str, ...]
    arguments: str = ""
    summary: str
    example: str
    act: Act
    bare_act: Act | None = None
    topic: Topic = Topic.MARKET
    is_study: bool = False
    validate: Validate = accept_any
    run: Callable[[Request], Awaitable[Reply | None]] | None = None

    @property
    def name(self) -> str:
        """The words joined by spaces."""
        return " ".join(self.words)

    @property
    def syntax(self) -> str:
        """The words and arguments as typed after /minerpulse."""
        return " ".join([*self.words, self.arguments]).strip()

    def act_of(self, argument: str) -> Act:
        """Return what the command does with this argument."""
        return self.bare_act if self.bare_act is not None and not argument else self.act

    @property
    def usage(self) -> str:
        """The full command line."""
        return f"{SLASH} {self.syntax}"


def parse_window(argument: str) -> Window | None:
    """Return the window; None if the argument is empty or not a window."""
    return WINDOWS.get("".join(argument.lower().split()))


def is_optional_window(argument: str) -> bool:
    """Return whether an argument is empty or a window."""
    return not argument or parse_window(argument) is not None


class NumberedArgument(NamedTuple):
    """The leading number of an argument, None if there is none, and the rest."""

    number: int | None
    rest: str


def split_number(argument: str) -> NumberedArgument:
    """Split the number off an argument, and unquote the rest, as in `3 “5d 12pp”`."""
    scanner = Scanner(argument)
    scanner.skip("#")
    number = scanner.run(DIGITS, MAX_NUMBER_DIGITS)
    if not number or not (scanner.is_done or scanner.next.isspace()):
        return NumberedArgument(None, strip_quotes(argument))
    return NumberedArgument(int(number), strip_quotes(scanner.rest))


def rule_error(text: str) -> Message | None:
    """Return why a text is not a rule; None if it is one."""
    try:
        parse_new_rule(text)
    except RuleError as error:
        return error_message(error)
    return None

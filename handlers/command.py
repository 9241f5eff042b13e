"""A subcommand of /minerpulse: one row of the command table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from handlers.render.help import usage_message
from handlers.render.message import Message
from handlers.request import Reply, Request

SLASH = "/minerpulse"


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Command:
    """A subcommand of /minerpulse; help, usage and the manifest's hint derive from its fields.

    Attributes:
        words: The words that name it.
        arguments: Placeholder of what follows the words.
        validate: Returns the immediate answer to an argument, from the command table and without I/O; None if `run`
            must answer.
        run: Does the work after the acknowledgement; None if `validate` always answers.

    Rows compare by identity, so that cache lookups by table are fast.
    """

    words: tuple[str, ...]
    arguments: str = ""
    summary: str
    example: str
    topic: Topic = Topic.MARKET
    validate: Callable[[str, Sequence[Command]], Message | None] = accept_any
    run: Callable[[Request], Awaitable[Reply | None]] | None = None

    @property
    def name(self) -> str:
        """The words joined by spaces."""
        return " ".join(self.words)

    @property
    def syntax(self) -> str:
        """The words and arguments as typed after /minerpulse."""
        return " ".join([*self.words, self.arguments]).strip()

    @property
    def usage(self) -> str:
        """The full command line."""
        return f"{SLASH} {self.syntax}"


def usage(commands: Sequence[Command], names: Collection[str], opening: str) -> Message:
    """Return the usage of the commands with these names, in the order of the table, after an opening line."""
    return usage_message([command for command in commands if command.name in names], opening)

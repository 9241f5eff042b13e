"""A subcommand: one row of the table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from handlers.render.message import Message
from handlers.request import Reply, Request

SLASH = "/minerpulse"


class Topic(Enum):
    """What `help` can be asked about; each row of the table belongs to one."""

    MARKET = "market"
    RULES = "rules"
    ALERTS = "alerts"
    SOURCES = "sources"
    HELP = "help"


def never(_argument: str, _commands: Sequence[Command]) -> Message | None:
    """Leave every answer to the slow part."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Command:
    """A subcommand of /minerpulse; help, usage and the manifest's hint derive from its fields.

    `words` call it, `takes` names what stands after them. `at_once` gets that and the table, does no I/O, and gives
    None where only `answer` can tell. A row is equal to itself alone, so that a cache finds the table quickly.
    """

    words: tuple[str, ...]
    takes: str = ""
    summary: str
    example: str
    topic: Topic = Topic.MARKET
    at_once: Callable[[str, Sequence[Command]], Message | None] = never
    answer: Callable[[Request], Awaitable[Reply | None]] | None = None

    @property
    def name(self) -> str:
        """The words that call it."""
        return " ".join(self.words)

    @property
    def form(self) -> str:
        """What is typed after /minerpulse."""
        return " ".join([*self.words, self.takes]).strip()

    @property
    def usage(self) -> str:
        """What is typed."""
        return f"{SLASH} {self.form}"

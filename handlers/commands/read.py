"""Read what was typed after /minerpulse: which row of the table is meant, and with what."""

from __future__ import annotations

import difflib
import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handlers.render.help import help_on, usage
from handlers.render.markup import escape
from handlers.render.message import say, together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.commands.command import Command
    from handlers.render.message import Message

QUOTES = " \t\r\n`'\"“”„‘’«»"  # noqa: RUF001 -- what phones make of quotes
LONGEST_ECHO = 40
NEAR = 0.55


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A command with its argument, or `told`: what memory alone has to say."""

    command: Command | None = None
    argument: str = ""
    told: Message | None = None


def read(text: str, commands: Sequence[Command]) -> Read:
    """Find the row that is meant; letter case does not matter, and nothing typed means the first row."""
    words = tidy(text).split()
    if not words:
        return Read(command=commands[0], told=commands[0].at_once("", commands))
    for command in commands:
        count = len(command.words)
        if tuple(word.lower() for word in words[:count]) == command.words and (command.takes or len(words) == count):
            argument = tidy(tidy(text).split(maxsplit=count)[count]) if len(words) > count else ""
            return Read(command=command, argument=argument, told=command.at_once(argument, commands))
    return Read(told=_unknown(words, commands))


def tidy(text: str) -> str:
    """Take off what phones and copying put around a text: quotes, backticks, and Slack's own escapes."""
    return html.unescape(text).strip(QUOTES)


def _unknown(words: list[str], commands: Sequence[Command]) -> Message:
    """Show the commands that begin alike, else the nearest one, else all."""
    typed = " ".join(words[:2]).lower()
    family = [command for command in commands if command.words[0] == words[0].lower() and len(command.words) > 1]
    near = family or _nearest(typed, commands) or _nearest(words[0].lower(), commands)
    echo = escape(typed if len(typed) <= LONGEST_ECHO else words[0][:LONGEST_ECHO])
    opening = f"There is no “{echo}”."
    if near:
        return usage(near, f"{opening} You can type:")
    return together(say(opening), help_on(commands))


def _nearest(typed: str, commands: Sequence[Command]) -> list[Command]:
    by_words = {" ".join(command.words): command for command in commands}
    return [by_words[near] for near in difflib.get_close_matches(typed, by_words, n=1, cutoff=NEAR)]

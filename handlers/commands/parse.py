"""Read what was typed after /minerpulse: which row of the table is meant, and with what."""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

from handlers.command import SLASH, Command
from handlers.render.help import help_message, usage_message
from handlers.render.limits import clip
from handlers.render.markup import code, escape
from handlers.render.message import Message, stacked, text_message
from services.core.text import normalize, unquoted

LONGEST_ECHO = 40
LONGEST_MEANT = 200
NEAR = 0.55
SHORTEST_BEGINNING = 3  # letters of a command that stand for it
_ADDRESSED = re.compile(rf"(?:<@[UW][A-Z0-9]+(?:\|[^>]*)?>|@minerpulse\b|{SLASH}\b)[\s,:]*", re.ASCII | re.IGNORECASE)
_REPEATED = re.compile(rf"(?:@minerpulse\b|{SLASH}\b)[\s,:]*", re.ASCII | re.IGNORECASE)
_LINK = re.compile(r"<(?:https?|mailto):[^<>|]*\|([^<>]+)>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A command with its argument, or `told`: what memory alone has to say."""

    command: Command | None = None
    argument: str = ""
    told: Message | None = None


def read(text: str, commands: Sequence[Command]) -> Read:
    """Find the row that is meant; letter case does not matter, and nothing typed means the first row."""
    typed = tidy(text)
    words = typed.split()
    if not words:
        return Read(command=commands[0], told=commands[0].at_once("", commands))
    lowered = tuple(word.lower() for word in words)
    for command in commands:
        count = len(command.words)
        if lowered[:count] == command.words and (command.takes or len(words) == count):
            argument = tidy(typed.split(maxsplit=count)[count], _REPEATED) if len(words) > count else ""
            return Read(command=command, argument=argument, told=command.at_once(argument, commands))
    return Read(told=_unknown(words, commands))


def tidy(text: str, address: re.Pattern[str] = _ADDRESSED) -> str:
    """Take off what phones, copying and Slack put around and into a text.

    Quotes and backticks around it, Slack's escapes, the address of a link that it made of a word, minus signs and
    spaces of other kinds, and in front the command itself or a mention of the app. Other mentions are left as they are,
    also one right behind a command, as in `resolve @ann sees to it`.
    """
    typed = unquoted(normalize(html.unescape(_LINK.sub(r"\1", text))))
    addressed = address.match(typed)
    return tidy(typed[addressed.end() :], address) if addressed else typed


def _unknown(words: list[str], commands: Sequence[Command]) -> Message:
    """Show the commands that begin or end alike, else the nearest one, else all."""
    first, typed = words[0].lower(), " ".join(words[:2]).lower()
    several = [command for command in commands if len(command.words) > 1]
    family = [command for command in several if first == command.words[0]]
    near = family or _ending(first, several) or _nearest(typed, commands) or _nearest(first, commands)
    echo = escape(typed if len(typed) <= LONGEST_ECHO else words[0][:LONGEST_ECHO])
    opening = f"There is no “{echo}”."
    if not near:
        return stacked(text_message(opening), help_message(commands))
    if len(near) == 1:
        opening = f"{opening} {_meant(words, near[0])}"
    return usage_message(near, f"{opening} You can type:")


def _nearest(typed: str, commands: Sequence[Command]) -> list[Command]:
    by_words = {command.name: command for command in commands}
    if near := difflib.get_close_matches(typed, by_words, n=1, cutoff=NEAR):
        return [by_words[near[0]]]
    return [row for name, row in by_words.items() if _begins(typed, name)][:1]


def _begins(typed: str, name: str) -> bool:
    """Tell whether one is the beginning of the other, as in `acknowledge` for `ack`."""
    shorter, longer = sorted((typed, name), key=len)
    return len(shorter) >= SHORTEST_BEGINNING and longer.startswith(shorter)


def _ending(word: str, commands: Sequence[Command]) -> list[Command]:
    """Find what was meant by its last word alone, as in `add 1d 8pp`."""
    return [row for row in commands if row.words[-1] == word]


def _meant(words: list[str], command: Command) -> str:
    """Write what was meant, with what was typed behind it."""
    best = max(range(1, min(len(words), len(command.words)) + 1), key=lambda count: _alike(words[:count], command))
    rest = words[best:] if command.takes else []
    return f"Did you mean {code(clip(' '.join([SLASH, *command.words, *rest]), LONGEST_MEANT))}?"


def _alike(words: list[str], command: Command) -> float:
    typed = [word.lower() for word in words]
    if sorted(typed) == sorted(command.words):  # as in `add rule 5d 15pp`
        return 1.0
    return difflib.SequenceMatcher(None, " ".join(typed), command.name).ratio()

"""Parse the text after /minerpulse into a command and its argument, and answer what needs no I/O: help and typos."""

import difflib
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from handlers.command import SLASH, Command, Topic
from handlers.render.help import help_message, topic_help_message, unknown_topic_message, usage_message
from handlers.render.markup import code, escape
from handlers.render.message import Message, clip, stack, text_message
from services.core.text import normalize, strip_quotes

MAX_ECHO = 40
MAX_SUGGESTION = 200
MIN_SIMILARITY = 0.55
MIN_TOPIC_SIMILARITY = 0.6
MIN_PREFIX = 3  # shortest prefix of a command that is recognized
_ADDRESSED = re.compile(rf"(?:<@[UW][A-Z0-9]+(?:\|[^>]*)?>|@minerpulse\b|{SLASH}\b)[\s,:]*", re.ASCII | re.IGNORECASE)
_REPEATED = re.compile(rf"(?:@minerpulse\b|{SLASH}\b)[\s,:]*", re.ASCII | re.IGNORECASE)
_LINK = re.compile(r"<(?:https?|mailto):[^<>|]*\|([^<>]+)>")
_TOPICS = {topic.value: topic for topic in Topic}


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedCommand:
    """A command with its argument; `response` is the immediate answer, if there is one."""

    command: Command | None = None
    argument: str = ""
    response: Message | None = None


def parse_command(text: str, commands: Sequence[Command]) -> ParsedCommand:
    """Find the command, ignoring letter case; an empty text means the first row."""
    text = clean_text(text)
    words = text.split()
    if not words:
        return ParsedCommand(command=commands[0], response=commands[0].validate("", commands))
    lowercase = tuple(word.lower() for word in words)
    for command in commands:
        count = len(command.words)
        if lowercase[:count] == command.words and (command.arguments or len(words) == count):
            argument = clean_text(text.split(maxsplit=count)[count], _REPEATED) if len(words) > count else ""
            return ParsedCommand(command=command, argument=argument, response=command.validate(argument, commands))
    return ParsedCommand(response=_unknown(words, commands))


def clean_text(text: str, address: re.Pattern[str] = _ADDRESSED) -> str:
    """Remove what phones, copying and Slack add to a text.

    Removes surrounding quotes and backticks, Slack's escapes, the URL of an automatic link, typographic minus signs and
    spaces, and a leading command or mention of the app. Other mentions stay, including one right after a command, as in
    `resolve @ann sees to it`.
    """
    text = strip_quotes(normalize(html.unescape(_LINK.sub(r"\1", text))))
    prefix = address.match(text)
    return clean_text(text[prefix.end() :], address) if prefix else text


def _unknown(words: list[str], commands: Sequence[Command]) -> Message:
    """Return the usage of commands with the same first or last word, else of the most similar one, else of all."""
    first, text = words[0].lower(), " ".join(words[:2]).lower()
    compound = [command for command in commands if len(command.words) > 1]
    family = [command for command in compound if first == command.words[0]]
    matches = family or _with_last_word(first, compound) or _nearest(text, commands) or _nearest(first, commands)
    echo = escape(text if len(text) <= MAX_ECHO else words[0][:MAX_ECHO])
    opening = f"There is no “{echo}”."
    if not matches:
        return stack(text_message(opening), help_message(commands))
    if len(matches) == 1:
        opening = f"{opening} {_suggestion(words, matches[0])}"
    return usage_message(matches, f"{opening} You can type:")


def _nearest(text: str, commands: Sequence[Command]) -> list[Command]:
    by_words = {command.name: command for command in commands}
    if matches := difflib.get_close_matches(text, by_words, n=1, cutoff=MIN_SIMILARITY):
        return [by_words[matches[0]]]
    return [row for name, row in by_words.items() if _is_prefix(text, name)][:1]


def _is_prefix(text: str, name: str) -> bool:
    """Return whether one is a prefix of the other, as in `acknowledge` for `ack`."""
    shorter, longer = sorted((text, name), key=len)
    return len(shorter) >= MIN_PREFIX and longer.startswith(shorter)


def _with_last_word(word: str, commands: Sequence[Command]) -> list[Command]:
    """Return the commands that end with this word, as in `add 1d 8pp`."""
    return [row for row in commands if row.words[-1] == word]


def _suggestion(words: list[str], command: Command) -> str:
    length = max(
        range(1, min(len(words), len(command.words)) + 1), key=lambda count: _similarity(words[:count], command)
    )
    remainder = words[length:] if command.arguments else []
    return f"Did you mean {code(clip(' '.join([SLASH, *command.words, *remainder]), MAX_SUGGESTION))}?"


def _similarity(words: list[str], command: Command) -> float:
    text = [word.lower() for word in words]
    if sorted(text) == sorted(command.words):  # as in `add rule 5d 15pp`
        return 1.0
    return difflib.SequenceMatcher(None, " ".join(text), command.name).ratio()


def show_help(argument: str, commands: Sequence[Command]) -> Message:
    """Return help on the topic or command that matches best; all commands if the argument is empty."""
    typed = argument.lower()
    if not typed:
        return _full_help(commands)
    by_name = {row.name: row for row in commands}
    matches = difflib.get_close_matches(typed, [*_TOPICS, *by_name], n=1, cutoff=MIN_TOPIC_SIMILARITY)
    if not matches:
        return unknown_topic_message(typed, list(_TOPICS))
    if matches[0] in _TOPICS:
        return _topic_help(_TOPICS[matches[0]], commands)
    return usage_message([by_name[matches[0]]], "You can type:")


@cache
def _full_help(commands: Sequence[Command]) -> Message:
    """Return help on all commands; cached because the table doesn't change."""
    return help_message(commands)


@cache
def _topic_help(topic: Topic, commands: Sequence[Command]) -> Message:
    rows = [row for row in commands if row.topic is topic]
    return topic_help_message(topic.value, rows)

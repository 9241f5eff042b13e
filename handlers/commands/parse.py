"""Parse the text after /minerpulse into a command and its argument, and answer what needs no I/O: help and typos."""

import difflib
import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from handlers.command import SLASH, Command, Topic
from handlers.render.help import (
    help_message,
    too_long_message,
    topic_help_message,
    unknown_topic_message,
    usage_message,
)
from handlers.render.markup import Reference, code, escape, parse_reference, split_references
from handlers.render.message import Message, clip, stack, text_message
from services.core.scan import WHITESPACE, WORD, Scanner
from services.core.text import MAX_TYPED, QUOTES, normalize, strip_quotes

MAX_ECHO = 40
MAX_ESCAPED = 10 * MAX_TYPED  # characters, with Slack's escapes and labels
MAX_SUGGESTION = 200
MIN_SIMILARITY = 0.55
MIN_TOPIC_SIMILARITY = 0.6
MIN_PREFIX = 3  # shortest prefix of a command that is recognized
_ADDRESSES = ("@minerpulse", SLASH)
_SEPARATORS = WHITESPACE | {",", ":"}
_QUOTES = frozenset(QUOTES)
_TOPICS = {topic.value: topic for topic in Topic}


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedCommand:
    """A command with its argument; `response` is the immediate answer, if there is one."""

    command: Command | None = None
    argument: str = ""
    response: Message | None = None


def parse_command(text: str, commands: Sequence[Command]) -> ParsedCommand:
    """Find the command, ignoring letter case; an empty text means the first row.

    A text that is too long is refused unread. Slack's labels of mentions are not typed, so they don't count.
    """
    length = len(text) if len(text) > MAX_ESCAPED else _typed_length(text)
    if length > MAX_TYPED:
        return ParsedCommand(response=too_long_message(length))
    text = clean_text(text)
    words = text.split()
    if not words:
        return ParsedCommand(command=commands[0], response=commands[0].validate("", commands))
    lowercase = tuple(word.lower() for word in words)
    for command in commands:
        count = len(command.words)
        if lowercase[:count] == command.words and (command.arguments or len(words) == count):
            argument = _after_addresses(text.split(maxsplit=count)[count]) if len(words) > count else ""
            return ParsedCommand(command=command, argument=argument, response=command.validate(argument, commands))
    return ParsedCommand(response=_unknown(words, commands))


def _typed_length(text: str) -> int:
    parts = split_references(html.unescape(text))
    return sum(len(part if isinstance(part, str) else part.id) for part in parts)


def clean_text(text: str) -> str:
    """Remove what phones, copying and Slack add to a text.

    Removes surrounding quotes and backticks, Slack's escapes, the URL of an automatic link, typographic minus signs and
    spaces, and a leading command or mention of the app. Other mentions stay, including one right after a command, as in
    `resolve @ann is on it`.
    """
    typed = "".join(_link_label(part) for part in split_references(text))
    return _after_addresses(normalize(html.unescape(typed)), mentions=True)


def _link_label(part: str | Reference) -> str:
    """Return the label of a link, or the part itself."""
    return part.label if isinstance(part, Reference) and not part.kind and part.label else str(part)


def _after_addresses(text: str, *, mentions: bool = False) -> str:
    """Remove the commands and names of the app, and the mentions if wanted, before a text, and the quotes around it."""
    scanner, start = Scanner(text), 0
    while True:
        scanner.run(_QUOTES)
        if not _skip_address(scanner, mentions=mentions):
            return strip_quotes(text[start:])
        scanner.run(_SEPARATORS)
        start = scanner.at


def _skip_address(scanner: Scanner, *, mentions: bool) -> bool:
    for address in _ADDRESSES:
        end = scanner.at + len(address)
        if scanner.text[scanner.at : end].lower() == address and scanner.text[end : end + 1] not in WORD:
            scanner.at = end
            return True
    if not mentions or scanner.next != "<":
        return False
    end = scanner.text.find(">", scanner.at)
    reference = parse_reference(scanner.text[scanner.at + 1 : end]) if end > 0 else None
    if reference is None or reference.kind != "@":
        return False
    scanner.at = end + 1
    return True


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

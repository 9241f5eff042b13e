"""Parse the text after /minerpulse into a command and its argument, and answer what needs no I/O: help and typos.

A text is read as, in this order: the words of a command, another word for one, a symbol or a window (as `status`). What
is none of these gets the likeliest command, with a button that runs it.
"""

import difflib
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

from handlers.command import SLASH, Command, Topic, is_known_symbol, parse_market_argument
from handlers.render.help import (
    ALL,
    MENU,
    Suggestion,
    command_help_message,
    did_you_mean_message,
    full_help_message,
    help_message,
    rule_error_message,
    too_long_message,
    topic_help_message,
    unknown_command_message,
    unknown_topic_message,
)
from handlers.render.markup import Reference, parse_reference, split_references
from handlers.render.message import Message, clip
from services.core.errors import RuleError
from services.core.scan import DIGITS, WHITESPACE, WORD, Scanner
from services.core.text import MAX_TYPED, QUOTES, normalize, skip_pictures, strip_quotes, trim_end
from services.rules.grammar import parse_new_rule, suggest_rules

MAX_ECHO = 40
MAX_ESCAPED = 10 * MAX_TYPED  # characters, with Slack's escapes and labels
MAX_SUGGESTION = 120
MIN_SIMILARITY = 0.55
MIN_TOPIC_SIMILARITY = 0.6
MIN_FAMILY_SIMILARITY = 0.85  # to a command with the same first word
MIN_PREFIX = 3  # shortest prefix of a command that is recognized
MAX_NAME_WORDS = 2  # of a command or another word for it
_ADDRESSES = ("@minerpulse", SLASH)
_SEPARATORS = WHITESPACE | {",", ":"}
_QUOTES = frozenset(QUOTES)
_TOPICS = {topic.value: topic for topic in Topic}
STATUS, RULE_ADD, RULE_EDIT = "status", "rule add", "rule edit"


@dataclass(frozen=True, kw_only=True)
class ParsedCommand:
    """A command with its argument; `response` is the immediate answer, if there is one."""

    command: Command | None = None
    argument: str = ""
    response: Message | None = None

    @cached_property
    def acknowledgement(self) -> str:
        """The immediate answer as the JSON that Slack reads in an acknowledgement; empty without an answer."""
        return "" if self.response is None else json.dumps(self.response._asdict())


def parse_command(text: str, commands: Sequence[Command]) -> ParsedCommand:
    """Find the command, ignoring letter case; an empty text means the first row.

    A text that is too long is refused unread. Slack's labels of mentions are not typed, so they don't count.
    """
    is_name = not text or text in _names(commands)
    return _parse_name(text, commands) if is_name else _parse(text, commands)


@cache
def _parse_name(name: str, commands: Sequence[Command]) -> ParsedCommand:
    """Parse a text that is all name; cached, with its acknowledgement, because the table doesn't change."""
    return _parse(name, commands)


def _parse(text: str, commands: Sequence[Command]) -> ParsedCommand:
    length = len(text) if len(text) > MAX_ESCAPED else _typed_length(text)
    if length > MAX_TYPED:
        return ParsedCommand(response=too_long_message(length))
    text = clean_text(text)
    words = text.split()
    if not words:
        return ParsedCommand(command=commands[0], response=commands[0].validate("", commands))
    found = _find_command(text, words, commands) or _find_market(text, commands)
    if found is None:
        return ParsedCommand(response=_unknown(text, words, commands))
    command, argument = found
    return ParsedCommand(command=command, argument=argument, response=command.validate(argument, commands))


def parse_exactly(text: str, commands: Sequence[Command]) -> ParsedCommand | None:
    """Parse the value of a button: the words of a command in the table and its argument, as the app writes them.

    Return None for anything else.
    """
    parsed = parse_command(text, commands)
    if parsed.command is None or f"{parsed.command.name} {parsed.argument}".strip() != text:
        return None
    return parsed


class _Found(NamedTuple):
    command: Command
    argument: str


def _find_command(text: str, words: list[str], commands: Sequence[Command]) -> _Found | None:
    """Return the command that the text begins with, by its longest name; None if none fits."""
    names = _names(commands)
    for count in range(min(MAX_NAME_WORDS, len(words)), 0, -1):
        name = " ".join(word.lower() for word in words[:count])
        named = names.get(name) or names.get(trim_end(name))
        if named is None:
            continue
        command, before = named
        rest = text.split(maxsplit=count)[count] if len(words) > count else ""
        rest = rest if command.is_text else trim_end(rest)
        if not rest or (command.arguments and not before):
            return _Found(command, _after_addresses(rest) or before)
    return None


@cache
def _names(commands: Sequence[Command]) -> Mapping[str, tuple[Command, str]]:
    """Return the commands by their names and by other words for them, each with the argument that it stands for."""
    aliases = {alias: (row, argument) for row in commands for alias, argument in row.aliases.items()}
    return aliases | {row.name: (row, "") for row in commands}


def _find_market(text: str, commands: Sequence[Command]) -> _Found | None:
    """Return `status` for a symbol, a window or both; None if the text is nearer to a command."""
    typed = trim_end(text)
    if not typed or parse_market_argument(typed) is None:
        return None
    word = typed.split()[0]
    is_near = len(typed.split()) == 1 and not is_known_symbol(word) and bool(_nearest(word.lower(), commands))
    return None if is_near else _Found(_names(commands)[STATUS][0], typed)


def _typed_length(text: str) -> int:
    parts = split_references(html.unescape(text))
    return sum(len(part if isinstance(part, str) else part.id) for part in parts)


def clean_text(text: str) -> str:
    """Remove what phones, copying and Slack add to a text.

    Removes emoji before it, surrounding quotes and backticks, Slack's escapes, the URL of an automatic link,
    typographic minus signs and spaces, and a leading command or mention of the app. Other mentions stay, including
    one right after a command, as in `resolve @ann is on it`.
    """
    typed = "".join(_link_label(part) for part in split_references(text))
    return _after_addresses(skip_pictures(normalize(html.unescape(typed))), mentions=True)


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


def _unknown(text: str, words: list[str], commands: Sequence[Command]) -> Message:
    """Return the likeliest command, with a button that runs it; else the commands with the same first word.

    A rule without a command is probably to be added.
    """
    first, start = trim_end(words[0].lower()), " ".join(words[:2]).lower()
    echo = clip(text, MAX_ECHO)
    if rules := _meant_rules(text):
        suggestion = Suggestion(f"{RULE_ADD} {rules[0]}", f"Add {rules[0]}")
        return did_you_mean_message(echo, suggestion, _names(commands)[RULE_ADD][0])
    compound = [command for command in commands if len(command.words) > 1]
    family = [command for command in compound if first == command.words[0]]
    matches = family or _with_last_word(first, compound) or _nearest(start, commands) or _nearest(first, commands)
    matches = _only_similar(start, family) or matches
    if len(matches) == 1:
        return did_you_mean_message(echo, _suggestion(words, matches[0], commands), matches[0])
    return unknown_command_message(echo, matches)


def _meant_rules(text: str) -> tuple[str, ...]:
    """Return the rule that a text without a command is, or nearly is; nothing if it does not begin like a rule."""
    if not DIGITS & set(text.split(maxsplit=1)[0]):
        return ()
    try:
        return (str(parse_new_rule(trim_end(text))),)
    except RuleError as error:
        return suggest_rules(error)


def _only_similar(text: str, family: Sequence[Command]) -> list[Command]:
    """Return the one command of a family that a text is a slip of, as in `rule ad`; nothing if none is near."""
    by_name = {command.name: command for command in family}
    return [by_name[name] for name in difflib.get_close_matches(text, by_name, n=1, cutoff=MIN_FAMILY_SIMILARITY)]


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


def _suggestion(words: list[str], command: Command, commands: Sequence[Command]) -> Suggestion:
    """Return the command with the rest of the text as its argument, and the label of its button if it can run so."""
    length = max(
        range(1, min(len(words), len(command.words)) + 1), key=lambda count: _similarity(words[:count], command)
    )
    rest = trim_end(" ".join(words[length:])) if command.arguments else ""
    text = clip(f"{command.name} {rest}".strip(), MAX_SUGGESTION)
    parsed = parse_exactly(text, commands)
    if parsed is None or (parsed.response is not None and command.run is not None):
        return Suggestion(command.syntax)
    return Suggestion(text, f"{command.label} {rest}" if rest and command.run else command.label)


def _similarity(words: list[str], command: Command) -> float:
    text = [word.lower() for word in words]
    if sorted(text) == sorted(command.words):  # as in `add rule 5d 15pp`
        return 1.0
    return difflib.SequenceMatcher(None, " ".join(text), command.name).ratio()


def rule_error(text: str, refusal: str, verb: str, prefix: str, editor: str = "{}") -> Message | None:
    """Return why a text is not a rule, with buttons that run `prefix` with the rules it may mean; None if it is one.

    `refusal` is what was not done, `verb` what the buttons do, `editor` the value of the button that opens the editor
    with the first of these rules; empty for no such button.
    """
    try:
        parse_new_rule(text)
    except RuleError as error:
        rules = suggest_rules(error)[:2]
        suggestions = [Suggestion(f"{prefix} {rule}", f"{verb} {rule}") for rule in rules]
        return rule_error_message(error, refusal, *suggestions, editor=editor.format(rules[0] if rules else "new"))
    return None


def show_help(argument: str, commands: Sequence[Command]) -> Message:
    """Return help on the topic or command that matches best; without an argument, on the main commands."""
    typed = argument.lower()
    if not typed or typed == "me":
        return _short_help(commands)
    by_name = {name: row for name, (row, _) in _names(commands).items()}
    matches = difflib.get_close_matches(typed, [ALL, *_TOPICS, *by_name], n=1, cutoff=MIN_TOPIC_SIMILARITY)
    if not matches:
        return unknown_topic_message(typed, [*MENU, ALL])
    if matches[0] == ALL:
        return _full_help(commands)
    if matches[0] in _TOPICS:
        return _topic_help(_TOPICS[matches[0]], commands)
    return command_help_message(by_name[matches[0]])


@cache
def _short_help(commands: Sequence[Command]) -> Message:
    """Return help on the main commands; cached because the table doesn't change."""
    return help_message(commands)


@cache
def _full_help(commands: Sequence[Command]) -> Message:
    return full_help_message(commands)


@cache
def _topic_help(topic: Topic, commands: Sequence[Command]) -> Message:
    return topic_help_message(topic, [row for row in commands if row.topic is topic])

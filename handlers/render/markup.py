"""Slack's mrkdwn: mentions, code, and escaping of external text."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from handlers.render.reasons import Text, sentence
from services.core.identity import ERASED_PERSON
from services.core.scan import DIGITS, UPPERCASE, consists_of

SIMULATED = "SIMULATED"
MINUS = "−"

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_ID = UPPERCASE | DIGITS
_PREFIXES = {"@": ("U", "W"), "#": ("C", "G")}  # of the IDs of members and of channels
_LINKS = ("https:", "http:", "mailto:")


class Reference(NamedTuple):
    """What Slack writes in angle brackets for a member (@), a channel (#), a group or command (!) or a link (empty)."""

    kind: str
    id: str
    label: str = ""

    def __str__(self) -> str:
        return f"<{self.kind}{self.id}{'|' if self.label else ''}{self.label}>"


def parse_reference(inner: str) -> Reference | None:
    """Parse the text between angle brackets; return None if Slack wouldn't write it, as in `@everyone`.

    Members and channels are referred to by ID only.
    """
    target, _, label = inner.partition("|")
    kind, name = target[:1], target[1:]
    if target.startswith(_LINKS):
        return Reference("", target, label)
    if kind in _PREFIXES:
        return Reference(kind, name, label) if name.startswith(_PREFIXES[kind]) and consists_of(name, _ID) else None
    is_command = kind == "!" and name and not any(character.isspace() for character in name)
    return Reference(kind, name, label) if is_command else None


def split_references(text: str) -> Iterator[str | Reference]:
    """Return the parts of a text in order: plain text and references."""
    plain, *parts = text.split("<")
    yield plain
    for part in parts:
        inner, closed, rest = part.partition(">")
        reference = parse_reference(inner) if closed else None
        if reference is None:
            yield f"<{part}"
        else:
            yield reference
            yield rest


def user_mention(user: str) -> str:
    """Return a mention of a user by Slack id; words for someone whose data was erased."""
    return "someone whose data was erased" if user == ERASED_PERSON else f"<@{user}>"


def channel_link(channel: str) -> str:
    """Return a link to a channel by Slack id; Slack shows its name only to users who may see it."""
    return f"<#{channel}>"


def code(text: str) -> str:
    """Return a short text as inline code."""
    return f"`{escape(text).replace('`', '')}`"


def code_block(text: str) -> str:
    """Return lines as a code block."""
    return f"```{escape(text).replace('`', ' ')}```"


def escape(text: str) -> str:
    """Return external text escaped, so that it can neither mention anyone nor link anywhere."""
    return text.translate(_ESCAPES)


def escape_typed(text: str) -> str:
    """Return typed text: users and channels as mentions, groups by name without notifying them, the rest escaped."""
    return " ".join("".join(_without_ping(part) for part in split_references(text)).split())


def _without_ping(part: str | Reference) -> str:
    match part:
        case str():
            return escape(part)
        case Reference(kind=("@" | "#") as kind, id=number):
            return f"<{kind}{number}>"
        case Reference(kind="!", id=name, label=label):
            return escape(f"@{(label or name.partition('^')[0]).removeprefix('@')}")
        case Reference(id=url, label=label):
            return escape(label or url)


def reason(why: Text) -> str:
    """Return a reason's sentence without its final period, escaped and with true minus signs."""
    return escape(_sentence_end(sentence(why)))


def user_reason(why: Text) -> str:
    """Return the sentence of a reason that a user wrote in whole or in part, escaped by `escape_typed`."""
    return escape_typed(_sentence_end(sentence(why)))


def _sentence_end(text: str) -> str:
    """Replace the hyphen before a number that isn't part of a word or a range, and drop the final periods."""
    characters = list(text)
    for at, (character, after) in enumerate(pairwise(text)):
        before = text[at - 1] if at else " "
        if character == "-" and after.isdigit() and not (before.isalnum() or before in "_."):
            characters[at] = MINUS
    return "".join(characters).rstrip(".")


def mark_simulated(text: str, *, when: bool) -> str:
    """Return the text, prefixed if it is about simulated prices."""
    return f"{SIMULATED}: {text}" if when else text

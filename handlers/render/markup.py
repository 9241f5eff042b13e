"""Slack's mrkdwn: mentions, code, and escaping of external text."""

from collections.abc import Iterator
from typing import NamedTuple

from services.core.identity import ERASED_PERSON, FILE_PREFIX
from services.core.scan import DIGITS, UPPERCASE, consists_of

SIMULATED = "SIMULATED"
MINUS = "−"
NBSP = "\u00a0"  # keeps a number and its unit on one line
DATE_PREFIX = "date^"

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
    is_date = kind == "!" and name.startswith(DATE_PREFIX)
    is_command = is_date or (kind == "!" and name and not any(character.isspace() for character in name))
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
    """Return a mention of a user by Slack id; words for someone whose data was erased, and for a rules file."""
    if user.startswith(FILE_PREFIX):
        return f"the rules file {escape(user.removeprefix(FILE_PREFIX))}"
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


def escape_sentence(text: str) -> str:
    """Return a sentence of ours that may quote external text: escaped, with date tokens intact."""
    return "".join(_date_or_escaped(part) for part in split_references(text))


def _date_or_escaped(part: str | Reference) -> str:
    is_date = isinstance(part, Reference) and part.kind == "!" and part.id.startswith(DATE_PREFIX)
    return f"{part}" if is_date else escape(f"{part}")


def plain(text: str) -> str:
    """Return the text for a notification: without code and bold marks, with each date token as its fallback."""
    parts = (part.label if isinstance(part, Reference) and part.label else f"{part}" for part in split_references(text))
    return "".join(parts).replace("`", "").replace("*", "")


def mark_simulated(text: str, *, when: bool) -> str:
    """Return the text, prefixed if it is about simulated prices."""
    return f"{SIMULATED} · {text}" if when else text

"""Slack's markup: names of people, fixed width, and texts from elsewhere made safe."""

from __future__ import annotations

import re

from services.core.identity import Channel

SIMULATED = "SIMULATED"
MINUS = "−"

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_NAMED = re.compile(r"<(?P<kind>[@#!])(?P<id>[^<>|\s]+)(?:\|(?P<label>[^<>]*))?>")
_HYPHEN_MINUS = re.compile(r"(?<![\w.])-(?=\d)")


def person(user: str) -> str:
    """Name a person by their Slack id."""
    return f"<@{user}>"


def place(channel: Channel) -> str:
    """Name a channel; Slack shows the name only to those who may see it."""
    return f"<#{channel.id}>"


def conversation(channel: str) -> str:
    """Name a channel by its Slack id; whoever may not see it is not shown its name."""
    return f"<#{channel}>"


def code(text: str) -> str:
    """Set a short text in fixed width."""
    return f"`{escape(text).replace('`', '')}`"


def block(text: str) -> str:
    """Set lines in fixed width."""
    return f"```{escape(text).replace('`', ' ')}```"


def escape(text: str) -> str:
    """Make a text from elsewhere safe to show, so that it can call nobody and link nowhere."""
    return text.translate(_ESCAPES)


def typed(text: str) -> str:
    """Show what somebody typed: people and channels by ID, groups by name, which calls none, the rest as text."""
    parts, at = list[str](), 0
    for found in _NAMED.finditer(text):
        parts += [escape(text[at : found.start()]), _name(found)]
        at = found.end()
    return " ".join("".join([*parts, escape(text[at:])]).split())


def _name(found: re.Match[str]) -> str:
    if found["kind"] in "@#":
        return f"<{found['kind']}{found['id']}>"
    return escape(f"@{(found['label'] or found['id'].partition('^')[0]).removeprefix('@')}")


def reason(text: str) -> str:
    """Write a reason as a sentence's end, with real minus signs."""
    return escape(_sentence_end(text))


def said(text: str) -> str:
    """Write a reason that a person gave, or has a part in, with names as `typed` shows them."""
    return typed(_sentence_end(text))


def _sentence_end(text: str) -> str:
    return _HYPHEN_MINUS.sub(MINUS, text).rstrip(".")


def simulated(text: str, *, when: bool) -> str:
    """Mark a line that tells of simulated prices."""
    return f"{SIMULATED}: {text}" if when else text

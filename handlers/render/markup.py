"""Slack's mrkdwn: mentions, code, and escaping of external text."""

import re

from handlers.render.reasons import Text, sentence

SIMULATED = "SIMULATED"
MINUS = "−"

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MENTION = re.compile(r"<(?P<kind>[@#!])(?P<id>[^<>|\s]+)(?:\|(?P<label>[^<>]*))?>")
_HYPHEN_MINUS = re.compile(r"(?<![\w.])-(?=\d)")


def user_mention(user: str) -> str:
    """Return a mention of a user by Slack id."""
    return f"<@{user}>"


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
    parts, position = list[str](), 0
    for match in _MENTION.finditer(text):
        parts += [escape(text[position : match.start()]), _mention_without_ping(match)]
        position = match.end()
    return " ".join("".join([*parts, escape(text[position:])]).split())


def _mention_without_ping(match: re.Match[str]) -> str:
    if match["kind"] in "@#":
        return f"<{match['kind']}{match['id']}>"
    return escape(f"@{(match['label'] or match['id'].partition('^')[0]).removeprefix('@')}")


def reason(why: Text) -> str:
    """Return a reason's sentence without its final period, escaped and with true minus signs."""
    return escape(_sentence_end(sentence(why)))


def user_reason(why: Text) -> str:
    """Return the sentence of a reason that a user wrote in whole or in part, escaped by `escape_typed`."""
    return escape_typed(_sentence_end(sentence(why)))


def _sentence_end(text: str) -> str:
    return _HYPHEN_MINUS.sub(MINUS, text).rstrip(".")


def mark_simulated(text: str, *, when: bool) -> str:
    """Return the text, prefixed if it is about simulated prices."""
    return f"{SIMULATED}: {text}" if when else text

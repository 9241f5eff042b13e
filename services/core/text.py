"""Normalization of typed or pasted text: one minus sign, one kind of space, no invisible or control characters."""

import re
from collections.abc import Sequence
from unicodedata import category

MINUS_SIGNS = "−‐‑‒–—﹣－"  # noqa: RUF001 -- what phones and copied tables make of a minus
SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
QUOTES = " \t\r\n`'\"“”„‘’«»"  # noqa: RUF001 -- what phones make of quotes
MAX_PLAIN = 1e5  # from here on, `g` would write an exponent
MAX_TYPED = 500  # characters of a command or a rule
MAX_EMOJI_NAME = 40  # characters, with its colons
MAX_QUOTED = 200  # characters of a value from a file or a setting that an error quotes
INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if not chr(code).isspace()]

# What moves a cursor, colors a terminal, breaks a line or reverses the direction of text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_PICTURES = frozenset({"So", "Sk", "Me", "Mn"})  # Unicode categories of emoji, skin tones and what joins them
_FINAL = frozenset(".,;:!?…")
_EMOJI_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_+-")
_PAIRED_QUOTES = frozenset('"“”„«»')
_FULL_WIDTH = {chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F)}  # as East Asian keyboards type them
_TRANSLATION = str.maketrans(
    _FULL_WIDTH
    | dict.fromkeys(MINUS_SIGNS, "-")
    | dict.fromkeys(SPACES, " ")
    | dict.fromkeys((*INVISIBLE, *CONTROLS), "")
)


def normalize(text: str) -> str:
    """Return the text in plain characters: `1d −8 pp` with a real minus and a thin space becomes `1d -8 pp`."""
    return text.translate(_TRANSLATION)


def skip_pictures(text: str) -> str:
    """Remove emoji, and their names as in `:eyes:`, from the beginning of a text, with the spaces beside them."""
    at = 0
    while at < len(text) and (size := _picture_size(text, at)):
        at += size
    return text[at:]


def trim_end(text: str) -> str:
    """Remove the punctuation and emoji that end a message but mean nothing to a command, as in `rules.`."""
    end = len(text)
    while end and (text[end - 1] in _FINAL or text[end - 1].isspace() or category(text[end - 1]) in _PICTURES):
        end -= 1
    return text[:end]


def _picture_size(text: str, at: int) -> int:
    """Return how many characters an emoji, its name or a space takes at this place; 0 if there is something else."""
    if text[at].isspace() or category(text[at]) in _PICTURES:
        return 1
    if text[at] != ":":
        return 0
    end = text.find(":", at + 1, at + MAX_EMOJI_NAME)
    return end + 1 - at if end > at + 1 and _EMOJI_NAME.issuperset(text[at + 1 : end]) else 0


def strip_quotes(text: str) -> str:
    """Remove the quotes around a text; quotes around a part of it remain, as in `he said “no”`."""
    inner = text.strip(QUOTES)
    return text.strip() if _PAIRED_QUOTES & set(inner) else inner


def escape_control(text: str, keep: str = "\n\t") -> str:
    """Return the text with each control character replaced by its escape sequence, except those in `keep`."""
    return _CONTROL.sub(
        lambda match: match[0] if match[0] in keep else _ESCAPES.get(match[0], f"\\u{ord(match[0]):04x}"), text
    )


def quote(text: str) -> str:
    """Return a text in quotation marks, cut if it is long: “abc”."""
    return f"“{cut(text)}”"


def cut(text: str) -> str:
    """Return a text of at most 200 characters, which ends with … if it was longer."""
    return text if len(text) <= MAX_QUOTED else f"{text[: MAX_QUOTED - 1]}…"


def bind_failure(error: OSError) -> str:
    """Return why an address cannot be bound, without the address that `socket.create_server` adds in parentheses."""
    return (error.strerror or str(error)).partition(" (while ")[0]


def any_of(names: Sequence[str]) -> str:
    """Return alternatives as a phrase: `1d, 5d or 20d`."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def counted(count: float, noun: str) -> str:
    """Return a number with its noun, which takes an s unless there is one: `1 session`, `1,200 sessions`."""
    return f"{count:,g} {noun}{'' if count == 1 else 's'}" if count < MAX_PLAIN else f"{count:,.0f} {noun}s"

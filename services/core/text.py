"""What was typed or pasted, in plain characters: one minus sign, one kind of space, nothing that cannot be seen."""

from __future__ import annotations

MINUS_SIGNS = "−‐‑‒–—﹣－"  # noqa: RUF001 -- what phones and copied tables make of a minus
SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
QUOTES = " \t\r\n`'\"“”„‘’«»"  # noqa: RUF001 -- what phones make of quotes
UNSEEN = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"

_PAIRED = frozenset('"“”„«»')
_PLAIN = str.maketrans(dict.fromkeys(MINUS_SIGNS, "-") | dict.fromkeys(SPACES, " ") | dict.fromkeys(UNSEEN, ""))


def normalize(text: str) -> str:
    """Write a text as a keyboard would have: `1d −8 pp` with a real minus and a thin space is `1d -8 pp`."""
    return text.translate(_PLAIN)


def unquoted(text: str) -> str:
    """Take the quotes off that stand around a text; those around a part of it stay, as in `he said “no”`."""
    inner = text.strip(QUOTES)
    return text.strip() if _PAIRED & set(inner) else inner

"""Normalization of typed or pasted text: one minus sign, one kind of space, no invisible characters."""

MINUS_SIGNS = "−‐‑‒–—﹣－"  # noqa: RUF001 -- what phones and copied tables make of a minus
SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
QUOTES = " \t\r\n`'\"“”„‘’«»"  # noqa: RUF001 -- what phones make of quotes
INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"

_PAIRED_QUOTES = frozenset('"“”„«»')
_TRANSLATION = str.maketrans(
    dict.fromkeys(MINUS_SIGNS, "-") | dict.fromkeys(SPACES, " ") | dict.fromkeys(INVISIBLE, "")
)


def normalize(text: str) -> str:
    """Return the text in plain characters: `1d −8 pp` with a real minus and a thin space becomes `1d -8 pp`."""
    return text.translate(_TRANSLATION)


def strip_quotes(text: str) -> str:
    """Remove the quotes around a text; quotes around a part of it remain, as in `he said “no”`."""
    inner = text.strip(QUOTES)
    return text.strip() if _PAIRED_QUOTES & set(inner) else inner

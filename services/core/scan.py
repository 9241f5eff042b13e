"""Linear-time scanning of text from people and vendors: each character is looked at once, and nothing backtracks."""

from collections.abc import Iterator
from typing import NamedTuple

DIGITS = frozenset("0123456789")
LOWERCASE = frozenset("abcdefghijklmnopqrstuvwxyz")
UPPERCASE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
WORD = DIGITS | LOWERCASE | UPPERCASE | {"_"}
WHITESPACE = frozenset(" \t\n\r\v\f")
MAX_SYMBOL = 10  # characters of a ticker


class Scanner:
    """A cursor over a text that only moves forward.

    Attributes:
        at: Offset of the next character.
    """

    def __init__(self, text: str, at: int = 0) -> None:
        self.text, self.at = text, at

    @property
    def next(self) -> str:
        """The next character; empty at the end."""
        return self.text[self.at : self.at + 1]

    @property
    def is_done(self) -> bool:
        """Whether the whole text was taken."""
        return self.at == len(self.text)

    @property
    def rest(self) -> str:
        """The text that was not taken yet."""
        return self.text[self.at :]

    def run(self, allowed: frozenset[str], limit: int | None = None) -> str:
        """Take the longest run of these characters, at most `limit` of them."""
        start, end = self.at, len(self.text) if limit is None else min(len(self.text), self.at + limit)
        while self.at < end and self.text[self.at] in allowed:
            self.at += 1
        return self.text[start : self.at]

    def skip(self, *literals: str) -> str:
        """Take the first of these literals that comes next, and return it; return nothing if none does."""
        for literal in literals:
            if self.text.startswith(literal, self.at):
                self.at += len(literal)
                return literal
        return ""

    def number(self) -> str:
        """Take an unsigned decimal number, such as `8`, `8.5` or `.5`; return nothing if there is none."""
        start = self.at
        whole = self.run(DIGITS)
        if self.next == "." and self.text[self.at + 1 : self.at + 2] in DIGITS:
            self.at += 1
            self.run(DIGITS)
        elif not whole:
            return ""
        return self.text[start : self.at]


class Word(NamedTuple):
    """A word and its offset in its text."""

    text: str
    at: int


def words(text: str) -> Iterator[Word]:
    """Return the words of a text, which any whitespace separates."""
    at = 0
    for word in text.split():
        at = text.index(word, at)
        yield Word(word, at)
        at += len(word)


def consists_of(text: str, allowed: frozenset[str]) -> bool:
    """Return whether a text is not empty and has only these characters."""
    return bool(text) and Scanner(text).run(allowed) == text


def is_symbol(text: str, extra: str = "") -> bool:
    """Return whether a text is a symbol: a capital letter, then up to nine capitals, digits or `extra` characters."""
    return text[:1] in UPPERCASE and len(text) <= MAX_SYMBOL and consists_of(text, UPPERCASE | DIGITS | set(extra))

"""A subcommand of /minerpulse: one row of the command table, and the parsers of its argument."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import NamedTuple, TypeAlias

from handlers.render.message import Message
from handlers.request import Reply, Request
from services.channels.permissions import Act
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.core.scan import DIGITS, Scanner, is_symbol
from services.core.text import strip_quotes
from services.market.measure import Window
from services.market.sources.files.cohorts import read_cohorts
from services.rules.grammar import parse_window

SLASH = "/minerpulse"
WINDOWS = {window.value: window for window in Window}
MAX_NUMBER_DIGITS = 9  # of a rule or an alert
MAX_BARE_SYMBOL = 5  # characters of a symbol that is typed without its pair, as on US exchanges


class Topic(Enum):
    """Help topics; each command belongs to one."""

    MARKET = "market"
    RULES = "rules"
    ALERTS = "alerts"
    CHANNEL = "channel"
    SOURCES = "sources"
    HELP = "help"


def accept_any(_argument: str, _commands: Sequence[Command]) -> Message | None:
    """Accept any argument; the command's `run` replies."""
    return None


Validate: TypeAlias = "Callable[[str, Sequence[Command]], Message | None]"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Command:
    """A subcommand of /minerpulse; help, usage and the manifest's hint derive from its fields.

    Attributes:
        words: The words that name it.
        aliases: Other words for it that people type, each with the argument that it stands for.
        arguments: Placeholder of what follows the words.
        is_text: Whether what follows is free text, whose punctuation is kept.
        summary: What it does, in the third person, as it reads after “It”.
        note: More about it, in its own help.
        label: A button that runs it.
        short: What it does, in the short help; empty if it is not listed there.
        act: What it does, which decides who may use it.
        bare_act: What it does without an argument, if that is something else.
        is_study: Whether it measures years of history; a person runs one of these at a time.
        validate: Returns the immediate answer to an argument, from the command table and without I/O; None if `run`
            must answer.
        run: Does the work after the acknowledgement; None if `validate` always answers.

    Rows compare by identity, so that cache lookups by table are fast.
    """

    words: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    arguments: str = ""
    is_text: bool = False
    summary: str
    note: str = ""
    example: str
    label: str
    short: str = ""
    act: Act
    bare_act: Act | None = None
    topic: Topic = Topic.MARKET
    is_study: bool = False
    validate: Validate = accept_any
    run: Callable[[Request], Awaitable[Reply | None]] | None = None

    @property
    def name(self) -> str:
        """The words joined by spaces."""
        return " ".join(self.words)

    @property
    def syntax(self) -> str:
        """The words and arguments as typed after /minerpulse."""
        return " ".join([*self.words, self.arguments]).strip()

    def act_of(self, argument: str) -> Act:
        """Return what the command does with this argument."""
        return self.bare_act if self.bare_act is not None and not argument else self.act

    @property
    def usage(self) -> str:
        """The full command line."""
        return f"{SLASH} {self.syntax}"


def is_optional_window(argument: str) -> bool:
    """Return whether an argument is empty or a window."""
    return not argument or parse_window(argument) is not None


class MarketArgument(NamedTuple):
    """A pair and a window; None for the usual ones."""

    pair: Pair | None
    window: Window | None


def parse_market_argument(argument: str) -> MarketArgument | None:
    """Parse a window, a pair, or both in any order, such as `MARA 60 days`; None if the text is something else."""
    window, typed = parse_window(argument), argument.replace(",", " ").split()
    if window is not None or not typed:
        return MarketArgument(None, window)
    for symbol, rest in ((typed[0], typed[1:]), (typed[-1], typed[:-1])):
        window = parse_window(" ".join(rest))
        if (window is not None or not rest) and _is_pair(symbol):
            return MarketArgument(_parse_pair(symbol), window)
    return None


def _is_pair(word: str) -> bool:
    """Return whether a word is a pair or one of its symbols: a known one in any letter case, else in capitals."""
    etf, slash, crypto = word.removeprefix("$").partition("/")
    if slash:
        return is_symbol(etf.upper(), extra=".") and is_symbol(crypto.upper())
    return is_known_symbol(etf) or (len(etf) <= MAX_BARE_SYMBOL and is_symbol(etf, extra="."))


def is_known_symbol(word: str) -> bool:
    """Return whether a word is a symbol of the usual pair or a miner's, in any letter case."""
    return word.upper().removeprefix("$") in _known_symbols()


@cache
def _known_symbols() -> frozenset[str]:
    return frozenset({WGMI_BTC.etf, WGMI_BTC.crypto, *read_cohorts()})


def _parse_pair(word: str) -> Pair | None:
    """Return the pair of a symbol; None for bitcoin, which every usual pair has."""
    etf, _, crypto = word.upper().removeprefix("$").partition("/")
    if etf == WGMI_BTC.crypto:
        return None
    return Pair(etf=Symbol(etf), crypto=Symbol(crypto or WGMI_BTC.crypto))


class NumberedArgument(NamedTuple):
    """The leading number of an argument, None if there is none, and the rest."""

    number: int | None
    rest: str


def split_number(argument: str) -> NumberedArgument:
    """Split the number off an argument, and unquote the rest, as in `3 “5d 12pp”`."""
    scanner = Scanner(argument)
    scanner.skip("#")
    number = scanner.run(DIGITS, MAX_NUMBER_DIGITS)
    if number:
        scanner.skip(":", ",", ".", ")")
    if not number or not (scanner.is_done or scanner.next.isspace()):
        return NumberedArgument(None, strip_quotes(argument))
    return NumberedArgument(int(number), strip_quotes(scanner.rest))

"""Everything that can go wrong, in words that say what to do next.

MinerPulseError
├── RuleError           a rule could not be read; points at the offending word
├── ConfigurationError       a setting is missing or cannot be used
├── PriceFileError      a file of prices or holdings could not be read; carries the line number
├── SourceError         a market-data vendor gave no usable answer
├── NoHistoryError      a pair has no stored or fetched history to measure, a fund no holdings, or no network answers
├── HoldingsConflictError  more is known of a fund's holdings on a day than what was to take their place
├── ReplayError         a replay was asked for something it cannot decide
├── PlaygroundError     the stand-in for Slack in the browser cannot be had or started
├── StoreError          the database is unreachable, or older than this program
├── ChannelSettingError        what a channel was to set could not be read
├── NotFoundError       a rule or an alert with that number does not exist here
├── NotAllowedError     a person may not change rules; carries who may
├── MarketShutError     there is no close to wait for; carries the next opening
├── ConflictError       what was to be changed has changed meanwhile; read it again
├── LeaseLostError      a tick came too late: another process has taken it over, or done a later one
├── AccessError         Slack grants the app no token
├── MessageLookupDeniedError  what was posted in a channel may not be read, so a lost answer cannot be cleared up
└── DeliveryError       a message was not accepted, and no other of its channel would be
    ├── DeniedError         the app lacks the permission for what it tried
    ├── SendDeadlineError           it was not sent, as another process may have sent it by now
    ├── MessageRefusedError this message is not accepted; others of its channel may be
    ├── MessageGoneError    the message to edit, or to answer, is not there any more
    └── MessageNotEditableError  the message to edit stands, but cannot be changed any more
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

LONGEST_ECHO = 100  # of a word: what is expected in its place must not be pushed out of sight


class MinerPulseError(Exception):
    """The root of the tree; its text is one or two sentences that a trader or an operator can act on."""


class RuleError(MinerPulseError):
    """A rule could not be read.

    `text` is what was typed, `word` the offending word (empty at the end of the text), `at` its offset in
    characters, and `expected` what would have been understood.
    """

    def __init__(self, text: str, *, word: str, at: int, expected: str) -> None:
        self.text, self.word, self.at, self.expected = text, word, at, expected
        shown = word if len(word) <= LONGEST_ECHO else f"{word[: LONGEST_ECHO - 1]}…"
        found = f"“{shown}”" if word else "the end of the rule"
        super().__init__(f"Cannot read {found}: expected {expected}.")

    @property
    def pointer(self) -> str:
        """The rule with a line beneath it that marks the offending word, for a fixed-width font."""
        return f"{self.text}\n{' ' * self.at}{'^' * max(1, len(self.word))}"


class ConfigurationError(MinerPulseError):
    """A setting is missing or cannot be used."""


class PriceFileError(MinerPulseError):
    """A file of prices or holdings could not be read; `line` counts from 1, None means the whole file."""

    def __init__(self, path: Path, problem: str, *, remedy: str, line: int | None = None) -> None:
        self.path, self.line = path, line
        where = f"{path}, line {line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {problem}. {remedy}.")


class SourceError(MinerPulseError):
    """A market-data vendor gave no usable answer.

    `retryable` tells whether the same call may succeed later; `retry_after` is the vendor's own wish.
    """

    def __init__(
        self,
        problem: str,
        *,
        source: str,
        symbol: str,
        retryable: bool,
        retry_after: timedelta | None = None,
    ) -> None:
        self.problem, self.source, self.symbol = problem, source, symbol
        self.retryable, self.retry_after = retryable, retry_after
        super().__init__(f"{source} on {symbol}: {problem}")

    def on(self, symbol: str) -> SourceError:
        """Tell the same of another symbol that was asked for in the same call."""
        return SourceError(
            self.problem, source=self.source, symbol=symbol, retryable=self.retryable, retry_after=self.retry_after
        )


class NoHistoryError(MinerPulseError):
    """There is no history of a pair to measure, no holdings of a fund at the time that was asked for, or no network.

    `remedy` is what a trader can do; empty where the text tells it, or nothing helps.
    """

    def __init__(self, text: str, *, remedy: str = "Try again in a minute, or check the symbols.") -> None:
        self.remedy = remedy
        super().__init__(text)


class HoldingsConflictError(MinerPulseError):
    """More is known of a fund's holdings on a day than what was to take their place; nothing was written."""


class ReplayError(MinerPulseError):
    """A replay was asked for something that it cannot decide."""


class PlaygroundError(MinerPulseError):
    """The stand-in for Slack in the browser cannot be fetched or started on this machine."""


class StoreError(MinerPulseError):
    """The database is unreachable, or its schema is older than this program."""


class ChannelSettingError(MinerPulseError):
    """What a channel was to set could not be read; nothing was set."""


class NotFoundError(MinerPulseError):
    """A rule or an alert with that number does not exist in this channel."""


class NotAllowedError(MinerPulseError):
    """A person may not change the rules of a channel; `people` are those who may."""

    def __init__(self, people: Sequence[str]) -> None:
        self.people = tuple(people)
        super().__init__(f"Rules are changed here by {', '.join(people)} only; ask one of them.")


class MarketShutError(MinerPulseError):
    """The market is shut, so there is no close to wait for; it opens at `next_open_at`."""

    def __init__(self, next_open_at: datetime) -> None:
        self.next_open_at = next_open_at
        super().__init__("The market is shut, so there is no close to wait for.")


class ConflictError(MinerPulseError):
    """What was to be changed has changed meanwhile; nothing was written, and it must be read again."""


class LeaseLostError(MinerPulseError):
    """A tick came too late: another process has taken it over, or has begun a later one; nothing was written."""


class AccessError(MinerPulseError):
    """Slack grants the app no token; `refused` tells that it said so, and not just that no answer came."""

    def __init__(self, problem: str, *, refused: bool) -> None:
        self.refused = refused
        super().__init__(problem)


class MessageLookupDeniedError(MinerPulseError):
    """What was posted in a channel cannot be read, so nobody can tell whether a message is there."""


class DeliveryError(MinerPulseError):
    """A message was not accepted by the place it was sent to, and no other of its channel would be for now.

    What concerns one message alone is one of the errors below. `permanent` tells that a retry cannot help until a
    person acts. `surely_not_posted` tells that the message did not arrive; where it is False the message may be there
    although no answer came back.
    """

    def __init__(
        self,
        problem: str,
        *,
        permanent: bool,
        surely_not_posted: bool,
        retry_after: timedelta | None = None,
    ) -> None:
        self.problem, self.permanent, self.surely_not_posted = problem, permanent, surely_not_posted
        self.retry_after = retry_after
        super().__init__(problem)


class DeniedError(DeliveryError):
    """The app lacks the permission for what it tried; it may well be allowed to do something else there."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, permanent=True, surely_not_posted=True)


class SendDeadlineError(DeliveryError):
    """The message was about to be sent after the last moment for it, and was not: another process may have sent it."""

    def __init__(self) -> None:
        super().__init__("It took too long until it could be sent.", permanent=False, surely_not_posted=True)


class MessageRefusedError(DeliveryError):
    """This one message is not accepted; others of its channel may be."""


class MessageGoneError(DeliveryError):
    """The message to edit, or whose thread was to go on, is not there any more; post it anew."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, permanent=False, surely_not_posted=True)


class MessageNotEditableError(DeliveryError):
    """The message to edit stands as it is, but cannot be changed any more."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, permanent=True, surely_not_posted=True)

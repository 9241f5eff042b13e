"""Every error that MinerPulse raises, in one tree with five branches.

MinerPulseError
├── UserInputError                a person typed or clicked something that cannot be done
│   ├── RuleError                 a rule cannot be parsed; points at the wrong word
│   ├── ChannelSettingError       a channel setting cannot be parsed
│   ├── NotFoundError             no rule or alert with this number exists here
│   │   └── AlertNotFoundError    the database has no alert with this number in this channel
│   ├── NotAllowedError           this person may not do this in this channel; carries who may
│   ├── ManagedRuleError          a rule comes from a file, so it can only be changed there
│   ├── RuleLimitError            the channel or the workspace has as many rules as it may have
│   ├── TooManyRequestsError      this person asks for more at once than one person may
│   └── MarketClosedError         there is no close to wait for; carries the next open
├── DataError                     data is missing, unreadable or insufficient
│   ├── SourceError               a data vendor gave no usable answer
│   ├── NoHistoryError            no prices, holdings or network data to measure
│   ├── PriceFileError            a file of prices or holdings cannot be read; carries the line number
│   ├── HoldingsConflictError     a partial list of holdings would replace a complete one
│   └── ReplayError               a replay cannot evaluate what was asked for
├── StorageError                  the database cannot be used, or a write lost a race
│   ├── DatabaseUnavailableError  the database is unreachable, unreadable, or has another version's schema
│   │   └── DatabaseBusyError     too many requests at once; the same request may succeed later
│   ├── ConflictError             the row changed since it was read; read it again
│   └── LeaseLostError            another process took over the tick, or finished a later one
├── DeliveryError                 Slack did not accept a request; raised as such if it holds for the whole channel
│   ├── TokenExchangeError        Slack issued no token
│   ├── MessageLookupDeniedError  the channel's messages cannot be searched for an earlier attempt
│   ├── AppPermissionError        the app lacks a permission
│   ├── SendDeadlineError         the time to send is over; another process may have sent it
│   ├── MessageRefusedError       this message is not accepted; others in its channel may be
│   ├── MessageGoneError          the message to edit, or to reply to, no longer exists
│   └── MessageNotEditableError   the message exists but can no longer be edited
└── ConfigurationError            this installation or machine is not set up
    ├── InvalidSettingsError      a setting is missing or invalid
    └── PlaygroundError           the local Slack simulator cannot be downloaded or started

Modules may subclass a branch or a leaf for an error of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

from services.core.reason import Reason
from services.core.text import any_of

MAX_ECHO = 100  # characters of a typed word; a longer one would hide what is expected


class MinerPulseError(Exception):
    """Root of the tree. The text is one or two sentences that a trader or an operator can act on."""


class UserInputError(MinerPulseError):
    """A person typed or clicked something that cannot be done."""


class DataError(MinerPulseError):
    """Data is missing, unreadable or insufficient; the cause may be a reason, whose sentence is the text."""

    def __init__(self, cause: Reason | str) -> None:
        self.reason = cause
        super().__init__(cause)


class StorageError(MinerPulseError):
    """The database cannot be used, or a write lost a race."""


class DeliveryError(MinerPulseError):
    """Slack did not accept a request.

    Raised as such if nothing in the channel is accepted for now. Errors of a single message are subclasses.

    Attributes:
        problem: What went wrong, in one sentence.
        permanent: Whether retrying is useless until a person acts.
        surely_not_posted: Whether the message certainly did not arrive. If False, it may be there without an answer.
        retry_after: How long Slack asks to wait.
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


class ConfigurationError(MinerPulseError):
    """This installation or machine is not set up."""


class InvalidSinkError(ConfigurationError):
    """A sink can't be used as its operator defined it."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"Sink {name}: {problem}" if name else problem)


class RuleError(UserInputError):
    """A rule cannot be parsed.

    Attributes:
        text: The rule as typed.
        word: The wrong word; empty at the end of the text.
        offset: Position of the word in `text`, in characters.
        expected: What would have been valid.
        role: What the word should have been, such as “threshold”; empty if it is not allowed at that place.
        problem: What is wrong, as a sentence; empty if it follows from the word and its role.
        remedy: What to do, as a sentence; empty if it follows from `expected`.
        replacements: What the word probably means, the likeliest first.
    """

    def __init__(
        self,
        text: str,
        *,
        word: str,
        offset: int,
        expected: str,
        role: str = "",
        problem: str = "",
        remedy: str = "",
        replacements: Sequence[str] = (),
    ) -> None:
        self.text, self.word, self.offset, self.expected = text, word, offset, expected
        self.role, self.problem, self.replacements = role, problem, tuple(replacements)
        self.remedy = remedy or f"Use {expected}."
        super().__init__(f"{self.describe(lambda shown: f'“{shown}”')} {self.remedy}")

    def describe(self, quote: Callable[[str], str]) -> str:
        """Return what is wrong; `quote` formats the word."""
        if self.problem:
            return self.problem
        if not self.word:
            return f"The {self.role or 'end of the rule'} is missing."
        shown = self.word if len(self.word) <= MAX_ECHO else f"{self.word[: MAX_ECHO - 1]}…"
        return f"{quote(shown)} isn't {f'a valid {self.role}' if self.role else 'allowed here'}."

    @property
    def pointer(self) -> str:
        """The rule and a second line that underlines the wrong word, for a terminal."""
        return f"{self.text}\n{' ' * self.offset}{'^' * max(1, len(self.word))}"


class ChannelSettingError(UserInputError):
    """A channel setting cannot be parsed; nothing was saved."""


class NotFoundError(UserInputError):
    """No rule or alert with this number exists in this channel."""


class AlertNotFoundError(NotFoundError):
    """The database has no alert with this number in this channel."""


class NotAllowedError(UserInputError):
    """A person may not do something in a channel.

    Attributes:
        act: What it is, as it reads after “can”.
        editors: People who may; empty if the people of the workspace may.
        is_outsider: Whether the person belongs to another organization.
    """

    def __init__(self, act: str, editors: Sequence[str], *, is_outsider: bool = False) -> None:
        self.act, self.editors, self.is_outsider = act, tuple(editors), is_outsider
        super().__init__(self.describe(str))

    def describe(self, name: Callable[[str], str]) -> str:
        """Return what was refused and who can do it; `name` formats a person."""
        people = any_of([name(one) for one in self.editors]) if self.editors else ""
        if not self.is_outsider:
            return f"Nothing was changed. Only {people} can {self.act} here."
        refusal = f"Nothing was changed. People from another organization can't {self.act} here"
        return f"{refusal} unless they are editors. Ask {people or 'someone from this workspace'}."


class ManagedRuleError(UserInputError):
    """A rule comes from a rules file, so it can only be edited or removed there; nothing was changed."""

    def __init__(self, rule_id: int, file: str, key: str) -> None:
        super().__init__(
            f"Nothing was changed: rule {rule_id} is managed by {file}/{key}, so it can't be edited or removed here. "
            f"Change it in {file}, which your MinerPulse administrator applies."
        )


class RuleLimitError(UserInputError):
    """The channel or the workspace has as many rules as it may have; nothing was added."""


class TooManyRequestsError(UserInputError):
    """A person asks for more at once than one person may; nothing was done."""


class MarketClosedError(UserInputError):
    """The market is closed, so there is no close to wait for; it opens at `next_open_at`."""

    def __init__(self, next_open_at: datetime) -> None:
        self.next_open_at = next_open_at
        super().__init__("The market is closed, so there is no close to wait for.")


class SourceFault(Enum):
    """What a failing source says, as far as a person can act on it."""

    OTHER = "other"
    UNKNOWN_SYMBOL = "unknown_symbol"
    KEY_REFUSED = "key_refused"


class SourceError(DataError):
    """A market-data vendor gave no usable answer.

    Attributes:
        problem: What went wrong, without the names of vendor and symbol.
        source: Name of the vendor.
        symbol: The symbol of the request.
        retryable: Whether the same request may succeed later.
        retry_after: How long the vendor asks to wait.
        fault: Whether the vendor doesn't know the symbol, or refuses the API key.
    """

    def __init__(
        self,
        problem: str,
        *,
        source: str,
        symbol: str,
        retryable: bool,
        retry_after: timedelta | None = None,
        fault: SourceFault = SourceFault.OTHER,
    ) -> None:
        self.problem, self.source, self.symbol = problem, source, symbol
        self.retryable, self.retry_after, self.fault = retryable, retry_after, fault
        super().__init__(f"{source} ({symbol}): {problem}")

    def for_symbol(self, symbol: str) -> SourceError:
        """Return the same error for another symbol of the same request."""
        return SourceError(
            self.problem,
            source=self.source,
            symbol=symbol,
            retryable=self.retryable,
            retry_after=self.retry_after,
            fault=self.fault,
        )


class NoHistoryError(DataError):
    """A pair has no history to measure, a fund no holdings at the time asked for, or no network source answers.

    `remedy` is what a trader can do; empty if the text says it or nothing helps.
    """

    def __init__(self, cause: Reason | str, *, remedy: str = "Try again in a minute, or check the symbols.") -> None:
        self.remedy = remedy
        super().__init__(cause)


class PriceFileError(DataError):
    """A file of prices or holdings cannot be read; `line` counts from 1, None for the whole file."""

    def __init__(self, path: Path, problem: str, *, remedy: str, line: int | None = None) -> None:
        self.path, self.line = path, line
        where = f"{path}, line {line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {problem}. {remedy}.")


class HoldingsConflictError(DataError):
    """A partial list of a fund's holdings would replace a complete one; nothing was saved."""


class ReplayError(DataError):
    """A replay cannot evaluate what was asked for."""


class DatabaseUnavailableError(StorageError):
    """The database is unreachable, its schema is of another version, or something stored in it cannot be read.

    Attributes:
        is_logged: Whether the storage has logged this outage, so that no caller logs it again.
    """

    is_logged = False


class DatabaseBusyError(DatabaseUnavailableError):
    """The database is used by too many requests at once, or locked; the same request may succeed later."""


class ConflictError(StorageError):
    """The row changed since it was read; nothing was saved, and it must be read again."""


class LeaseLostError(StorageError):
    """A tick came too late: another process took it over or started a later one; nothing was saved."""


class TokenExchangeError(DeliveryError):
    """Slack issued no token; `refused` is False if no usable answer came."""

    def __init__(self, problem: str, *, refused: bool) -> None:
        self.refused = refused
        super().__init__(problem, permanent=refused, surely_not_posted=True)


class MessageLookupDeniedError(DeliveryError):
    """The channel's messages cannot be searched, so it stays unknown whether an earlier attempt was posted."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, permanent=True, surely_not_posted=False)


class AppPermissionError(DeliveryError):
    """The app lacks a permission; other actions in the same channel may be allowed."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, permanent=True, surely_not_posted=True)


class SendDeadlineError(DeliveryError):
    """The message was not sent, because its deadline was over: another process may have sent it."""

    def __init__(self) -> None:
        super().__init__("It couldn't be sent in time.", permanent=False, surely_not_posted=True)


class MessageRefusedError(DeliveryError):
    """This message is not accepted; others in its channel may be."""


class MessageGoneError(DeliveryError):
    """The message to edit, or whose thread to reply in, no longer exists; post it again."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, permanent=False, surely_not_posted=True)


class MessageNotEditableError(DeliveryError):
    """The message to edit exists but can no longer be changed."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, permanent=True, surely_not_posted=True)


class InvalidSettingsError(ConfigurationError):
    """A setting is missing or invalid."""


class PlaygroundError(ConfigurationError):
    """The local Slack simulator cannot be downloaded or started on this machine."""

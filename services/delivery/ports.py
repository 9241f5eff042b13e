"""What Slack must be made to show, and who makes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from services.alerting.alert import Alert, Entry
from services.alerting.notice import Notice
from services.core.identity import Channel, Mention


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """An alert's own message; where it is posted, and only then, it calls whom `calls` names."""

    alert: Alert
    calls: Mention | None = None

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"alert {self.alert.id}"

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.alert.closed_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadMessage:
    """One line of an alert's thread, which never changes; a `broadcast` one is shown in the channel too."""

    alert: Alert
    entry: Entry
    broadcast: bool = False

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"alert {self.alert.id}"

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeMessage:
    """A notice."""

    notice: Notice

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"notice {self.notice.id}"

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.notice.closed_at is not None


MessageRef: TypeAlias = AlertMessage | ThreadMessage | NoticeMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message that Slack must be made to show in `channel`, and what it tells.

    `key` names the message for ever. `version` is the newest wording, `sent_version` the one that was delivered (0
    for none) and `message_id` where it stands once posted. `thread_id` is the alert's own message, for its lines.
    `attempts` counts the failures in a row that were the message's own; `attempting` tells that an attempt may have
    posted it without anyone knowing: a crash cut it off, or its answer was lost. `leased_until` is the end of this
    process's own attempt, None where it has begun none.
    """

    id: int
    key: str
    channel: Channel
    told: MessageRef
    version: int
    sent_version: int
    message_id: str | None
    thread_id: str | None
    attempts: int
    attempting: bool
    leased_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How many messages wait and how many have been given up, and how long the oldest that waits has done so.

    `withheld` are kept back by the silence of their channels, and do not count as waiting.
    """

    waiting: int
    dead: int
    oldest: timedelta | None
    withheld: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryProblem:
    """Messages of a channel that do not arrive for a reason that a person must mend: they wait, or were `given_up`."""

    channel: Channel
    problem: str
    messages: int
    since: datetime
    given_up: bool


class OutboxStore(Protocol):
    """What delivery reads and writes.

    What is noted of a leased message counts only while that lease is the last one: a process that was frozen, and
    comes back after another has taken its message over, changes nothing.
    """

    async def due(self, now: datetime, limit: int = 100) -> list[Delivery]:
        """Load of each channel the first message that is not as it should be and whose time has come, oldest first.

        An entry is due only once its alert's message stands, and nothing is while its channel rests. In a silent
        channel only what stands already is due. A message whose attempt was cut off comes up again a minute after that
        attempt began, whoever had begun it. One that cannot be read is given up.
        """
        ...

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> Delivery | None:
        """Note, before the call, that delivery is being tried, and keep others from trying it for a minute.

        Gives the message with its lease; None, with nothing noted, where it is not as it was read, another process
        tries it, or its channel has fallen silent and it stands nowhere yet.
        """
        ...

    async def mark_sent(self, delivery: Delivery, message_id: str, at: datetime) -> None:
        """Note that this version stands at `message_id`; a newer one is due at once."""
        ...

    async def tried_since(self, delivery: Delivery) -> datetime:
        """Tell when the first attempt began that may have posted this message as it is wanted now."""
        ...

    async def mark_failed(
        self,
        delivery: Delivery,
        problem: str,
        retry_at: datetime,
        *,
        gone: bool = False,
        counts: bool = True,
        unsure: bool = False,
    ) -> None:
        """Note a failure that a later attempt may mend; `unsure` where the message may be there nevertheless.

        With `gone` the message of an alert or a notice is posted anew; for a line of a thread, its alert's message is
        edited once more, which shows whether it stands. A failure that does not count, such as being asked to wait,
        leaves `attempts` as it is.
        """
        ...

    async def mark_dead(self, delivery: Delivery, problem: str, at: datetime, *, unsure: bool = False) -> None:
        """Note that only a person can mend this; it is not tried again until its wording changes."""
        ...

    async def hold(self, channel: Channel, until: datetime, problem: str | None = None) -> None:
        """Let a channel rest at least until then: none of its messages is due before, whenever it is recorded.

        The `problem` is what a person must mend; without one, waiting is enough.
        """
        ...

    async def next_due_at(self, now: datetime) -> datetime | None:
        """Tell when the next undelivered message may be tried; None where none waits but for a silence to end."""
        ...

    async def backlog(self, now: datetime) -> Backlog:
        """Count what is not delivered."""
        ...

    async def troubles(self, team: str | None = None) -> list[DeliveryProblem]:
        """List what only a person can mend, of one workspace or of all: channels at rest first, then dead letters."""
        ...


class Notifier(Protocol):
    """Where alerts and notices are told.

    Every method raises DeliveryError; an edit of a lost message, MessageGoneError. What cannot begin to be sent `by`
    the last moment for it is not sent at all: SendDeadlineError.
    """

    async def post(
        self, channel: Channel, told: MessageRef, *, key: str, thread_id: str | None = None, by: datetime | None = None
    ) -> str:
        """Post a message in a channel, a line in its thread; return the message's id."""
        ...

    async def edit(self, channel: Channel, told: MessageRef, message_id: str, *, by: datetime | None = None) -> None:
        """Make a posted message say what `told` says; whom it called is not called again."""
        ...

    async def find(self, channel: Channel, key: str, since: datetime, thread_id: str | None) -> str | None:
        """Look for a message by its key, among those posted since then in the channel or in that thread.

        None where it is surely not there. Raises MessageLookupDeniedError where nobody can tell.
        """
        ...

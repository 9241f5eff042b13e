"""Messages to deliver, and what delivery needs from storage and from Slack."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol, TypeAlias

from services.alerting.alert import Alert, TimelineEntry
from services.alerting.notice import Notice
from services.core.identity import Channel, Mention
from services.core.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """An alert's own message. Only posting it notifies `mention`; edits don't."""

    alert: Alert
    mention: Mention | None = None

    @property
    def log_name(self) -> str:
        """Name in logs."""
        return f"alert {self.alert.id}"

    @property
    def is_final(self) -> bool:
        """Whether the message will not change again."""
        return self.alert.closed_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadMessage:
    """A reply in an alert's thread, which never changes. With `broadcast` it is also shown in the channel."""

    alert: Alert
    entry: TimelineEntry
    broadcast: bool = False

    @property
    def log_name(self) -> str:
        """Name in logs."""
        return f"alert {self.alert.id}"

    @property
    def is_final(self) -> bool:
        """Whether the message will not change again."""
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeMessage:
    """The message of a notice."""

    notice: Notice

    @property
    def log_name(self) -> str:
        """Name in logs."""
        return f"notice {self.notice.id}"

    @property
    def is_final(self) -> bool:
        """Whether the message will not change again."""
        return self.notice.closed_at is not None


OutboxMessage: TypeAlias = AlertMessage | ThreadMessage | NoticeMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message that Slack must show in `channel`.

    Attributes:
        key: Permanent, unique key of the message.
        version: The newest version.
        sent_version: The version that was delivered, 0 for none.
        message_id: Slack's id once it is posted.
        thread_id: The alert's own message, for thread replies.
        attempts: Consecutive failures of the message itself.
        attempting: An earlier attempt may have posted it, as a crash cut it off or its response was lost.
        leased_until: End of this process's own attempt, None if it has started none.
        since: When it became outdated; None if that was not read.
    """

    id: int
    key: str
    channel: Channel
    message: OutboxMessage
    version: int
    sent_version: int
    message_id: str | None
    thread_id: str | None
    attempts: int
    attempting: bool
    leased_until: datetime | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DueKey:
    """A message that is due, without its content."""

    id: int
    channel: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Undelivered messages.

    Attributes:
        waiting: How many wait, without those withheld.
        dead_lettered: How many were dead-lettered.
        oldest_age: Age of the oldest waiting message.
        withheld: How many are held back by quiet periods.
    """

    waiting: int
    dead_lettered: int
    oldest_age: timedelta | None
    withheld: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryProblem:
    """Messages of a channel that a person must unblock. They wait, or were `dead_lettered`."""

    channel: Channel
    problem: Reason | str
    messages: int
    since: datetime
    dead_lettered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedAlert:
    """The message of an alert in a channel, by its id there."""

    alert_id: int
    channel: Channel
    message_id: str


class PermalinkStore(Protocol):
    """What the look-up of permalinks reads and writes."""

    async def messages_without_permalink(self, exclude: Collection[int], limit: int) -> list[PostedAlert]:
        """Load messages of recent alerts that have no permalink, newest first, except of the alerts in `exclude`."""
        ...

    async def save_permalink(self, message: PostedAlert, permalink: str) -> None:
        """Save the permalink of an alert's message, unless the message has been posted again since."""
        ...


class PermalinkSource(Protocol):
    """Knows the address of each message."""

    async def permalink(self, channel: Channel, message_id: str) -> str:
        """Return the permalink of a message. Raises DeliveryError."""
        ...


class OutboxStore(Protocol):
    """What delivery reads and writes.

    An outcome counts only while its lease is the last one of the message. A process that was frozen, and resumes after
    another has taken its message over, changes nothing.
    """

    async def due_keys(self, now: datetime, limit: int, exclude_teams: Collection[str] = ()) -> list[DueKey]:
        """Return the first outdated message of each channel whose time has come: by priority, then by age.

        A thread reply is due only once its alert's message is posted, and nothing is due while its channel is paused.
        In a silent channel only posted messages are due. A message whose attempt was cut off is due again a minute
        after that attempt started, in any process. Messages of `exclude_teams` are left out.
        """
        ...

    async def load_due(self, keys: Sequence[DueKey], now: datetime) -> list[Delivery]:
        """Load those of these messages that are still due, in this order. One that can't be read is dead-lettered."""
        ...

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> Delivery | None:
        """Record, before the call, that a message is being sent, and lease it for a minute.

        Returns the message with its lease. Returns None, with nothing recorded, if the message has changed since it was
        read, another process is sending it, or its channel has become silent and it isn't posted yet.
        """
        ...

    async def mark_sent(self, delivery: Delivery, message_id: str, at: datetime) -> None:
        """Record that this version is posted as `message_id`; a newer version is due at once."""
        ...

    async def first_attempt_at(self, delivery: Delivery) -> datetime:
        """Return when the first attempt started that may have posted the current version."""
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
        """Record a failure that a later attempt may fix; `unsure` if the message may have been posted nevertheless.

        With `gone` the message of an alert or a notice is posted again; for a thread reply, its alert's message is
        edited once more, which shows whether it still exists. A failure that doesn't count, such as a rate limit,
        leaves `attempts` as it is.
        """
        ...

    async def mark_dead(self, delivery: Delivery, problem: str, at: datetime, *, unsure: bool = False) -> None:
        """Dead-letter a message that only a person can fix; it is not retried until it changes."""
        ...

    async def pause_channel(self, channel: Channel, until: datetime, problem: str | None = None) -> None:
        """Pause a channel at least until then: none of its messages is due before, including those saved later.

        `problem` is what a person must fix; None if waiting is enough.
        """
        ...

    async def pause_workspace(self, team: str, until: datetime) -> None:
        """Pause all channels of a workspace at least until then."""
        ...

    async def next_due_at(self, now: datetime, exclude_teams: Collection[str] = ()) -> datetime | None:
        """Return when the next message may be sent; None if none waits except for a quiet period to end.

        Messages of `exclude_teams` don't count.
        """
        ...

    async def backlog(self, now: datetime) -> Backlog:
        """Count undelivered messages."""
        ...

    async def delivery_problems(self, team: str | None = None) -> list[DeliveryProblem]:
        """Return what only a person can fix, of one workspace or of all: paused channels first, then dead letters."""
        ...


class AttemptOutcome(Enum):
    """How one attempt to deliver a message ended.

    - SENT: accepted.
    - RETRY: not accepted; it is tried again.
    - UNSURE: the response was lost, so it may have been accepted; it is tried again.
    - REFUSED: a person must fix the channel, the token or the message; it is tried again.
    - DEAD_LETTERED: refused too often; it is not tried again by itself.
    """

    SENT = "sent"
    RETRY = "retry"
    UNSURE = "unsure"
    REFUSED = "refused"
    DEAD_LETTERED = "dead_lettered"


class DeliveryMeter(Protocol):
    """Counts the attempts to deliver messages."""

    def count_attempt(self, sink: str, outcome: AttemptOutcome, seconds: float, latency: timedelta | None) -> None:
        """Count an attempt with its duration, and the time since the message was recorded if it was accepted."""
        ...


class Notifier(Protocol):
    """Posts and edits messages.

    Every method raises DeliveryError; an edit of a deleted message raises MessageGoneError. A message that can't be
    sent before `send_by` is not sent at all: SendDeadlineError.
    """

    async def post(
        self,
        channel: Channel,
        message: OutboxMessage,
        *,
        key: str,
        thread_id: str | None = None,
        send_by: datetime | None = None,
    ) -> str:
        """Post a message in a channel or, with `thread_id`, in its thread; return the message's id."""
        ...

    async def edit(
        self, channel: Channel, message: OutboxMessage, message_id: str, *, send_by: datetime | None = None
    ) -> None:
        """Edit a posted message. Its mention is not notified again."""
        ...

    async def find(self, channel: Channel, key: str, since: datetime, thread_id: str | None) -> str | None:
        """Find a message by its key, among those posted since then in the channel or thread; return its id.

        None if it certainly isn't there. Raises MessageLookupDeniedError if that can't be determined.
        """
        ...

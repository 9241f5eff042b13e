"""What alerting needs from storage: channels and their quiet periods, notices, and what a tick reads and writes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.alerting.alert import Alert
from services.alerting.channel_settings import ChannelSettings
from services.alerting.notice import Content, Notice
from services.alerting.records import (
    AlertChange,
    Rulebook,
    StateChange,
    StoredAlert,
)
from services.alerting.tick_log import Claim, Job, Tick, TickResult
from services.core.identity import Channel
from services.core.prices import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChannel:
    """A channel's settings as stored.

    Attributes:
        revision: Named by the next change; 0 if the channel has set nothing.
        silent_from: From then on no new message is posted.
        released_at: When the last quiet period ended.
    """

    channel: Channel
    settings: ChannelSettings
    revision: int
    silent_from: datetime | None = None
    released_at: datetime | None = None

    def is_silent(self, now: datetime) -> bool:
        """Return whether new messages are withheld."""
        return self.silent_from is not None and self.silent_from <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChange:
    """Who changed a setting of a channel, when, and to what."""

    by: str
    at: datetime
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithheldMessages:
    """What happened in a channel during a quiet period.

    Attributes:
        unposted: Ids of the alerts whose message was certainly never posted.
        notices: Notices that wait.
    """

    alerts: tuple[Alert, ...]
    unposted: frozenset[int]
    notices: tuple[Notice, ...]


class ChannelStore(Protocol):
    """Stores channel settings and quiet periods."""

    async def channel(self, channel: Channel) -> StoredChannel:
        """Load a channel's settings; if it has set nothing, the defaults at revision 0."""
        ...

    async def channels(self) -> list[StoredChannel]:
        """Load every channel that has set something."""
        ...

    async def change_channel(
        self, after: StoredChannel, change: SettingChange, alerts: Sequence[AlertChange] = ()
    ) -> None:
        """Save a person's change, with who and when, and the alerts that report it under the settings until then.

        Raises ConflictError, with nothing written.
        """
        ...

    async def disconnect_channel(self, channel: Channel, change: SettingChange) -> None:
        """Stop all messages in a channel that the app was removed from, until something is set there again.

        Resets the settings that cause messages, records `change` if there were any, and drops waiting messages.
        """
        ...

    async def reconnect_channel(self, channel: Channel, at: datetime) -> None:
        """Update the messages that were in a channel when the app was removed from it."""
        ...

    async def channel_changes(self, channel: Channel, limit: int) -> list[SettingChange]:
        """Load a channel's setting changes, newest first."""
        ...

    async def schedule_silence(self, after: StoredChannel) -> None:
        """Save when a channel's next quiet period starts. Raises ConflictError."""
        ...

    async def withheld_messages(self, channel: Channel, since: datetime) -> WithheldMessages:
        """Load what happened in a channel since its quiet period started, and what was withheld."""
        ...

    async def end_silence(
        self,
        after: StoredChannel,
        digest: Notice | None,
        at: datetime,
        *,
        alerts: Collection[int] = (),
        notices: Collection[int] = (),
    ) -> None:
        """End a channel's quiet period in one transaction: withheld messages become due, after the digest.

        The messages of `alerts` and `notices`, by id, are replaced by the digest. Raises ConflictError, with nothing
        written,
        if the channel has changed since it was read.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNotice:
    """A notice with the revision that the next change must name."""

    notice: Notice
    revision: int


class NoticeStore(Protocol):
    """Stores messages that belong to no alert."""

    async def open_notices(self, kind: type[Content]) -> list[StoredNotice]:
        """Load the notices of one kind that may still change, oldest first."""
        ...

    async def add_notices(self, notices: Sequence[Notice], at: datetime) -> int:
        """Save new notices in one transaction; return how many did not exist yet."""
        ...

    async def has_notice(self, channel: Channel, name: str) -> bool:
        """Return whether a channel has a notice with that name."""
        ...

    async def update_notice(self, stored: StoredNotice, at: datetime) -> None:
        """Save a changed notice. Raises ConflictError if it has changed since it was read."""
        ...


class MonitorStore(Protocol):
    """What one tick reads and writes."""

    async def claim_tick(self, job: Job, boundary: datetime, at: datetime) -> Claim:
        """Claim one tick of a job; an unfinished claim is taken over after a minute."""
        ...

    async def finish_tick(self, tick: Tick, result: TickResult | None = None) -> None:
        """Mark a tick as done unless another process has taken it over, and save its result."""
        ...

    async def release_tick(self, job: Job, boundary: datetime, at: datetime) -> None:
        """Release a claim made at `at`, so the tick can be retried."""
        ...

    async def rulebook(self, since: int = 0) -> Rulebook:
        """Load the rules that changed after a revision, with their states; all existing rules if `since` is 0."""
        ...

    async def open_alerts(self, channel: Channel | None = None, *, pair: Pair | None = None) -> list[StoredAlert]:
        """Load the open alerts, oldest first, of one channel or pair or of all."""
        ...

    async def closed_alerts(self, pair: Pair, since: datetime) -> list[StoredAlert]:
        """Load the alerts on a pair that closed since then, oldest first."""
        ...

    async def alerted_pairs(self) -> list[Pair]:
        """Return the pairs that have open alerts."""
        ...

    async def record(
        self,
        states: Sequence[StateChange],
        alerts: Sequence[AlertChange],
        at: datetime,
        *,
        tick: Tick | None = None,
    ) -> None:
        """Save a tick in one transaction: states, alerts, timeline entries and the messages to deliver.

        Raises, with nothing written, ConflictError if a state or an alert has changed since it was read, and
        LeaseLostError
        if `tick` has been taken over, as after this process was frozen.
        """
        ...

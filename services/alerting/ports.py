"""What channels set, their silences, and the notices that belong to no alert."""

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
    """What a channel has set, with the revision that the next change must name; 0 where it has set nothing.

    No new message goes out into it from `silent_from` on. `released_at` is when its last silence ended.
    """

    channel: Channel
    settings: ChannelSettings
    revision: int
    silent_from: datetime | None = None
    released_at: datetime | None = None

    def is_silent(self, now: datetime) -> bool:
        """Tell whether new messages are kept back."""
        return self.silent_from is not None and self.silent_from <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChange:
    """Who has set what in a channel, and when."""

    by: str
    at: datetime
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptBack:
    """What has happened in a silent channel: alerts, and notices that wait.

    The message of an `unposted` alert, by number, surely stands nowhere.
    """

    alerts: tuple[Alert, ...]
    unposted: frozenset[int]
    notices: tuple[Notice, ...]


class ChannelStore(Protocol):
    """What channels set, and their silences."""

    async def channel(self, channel: Channel) -> StoredChannel:
        """Load what a channel has set; the defaults, at revision 0, where it has set nothing."""
        ...

    async def channels(self) -> list[StoredChannel]:
        """Load every channel that has set something."""
        ...

    async def change_channel(
        self, after: StoredChannel, change: SettingChange, alerts: Sequence[AlertChange] = ()
    ) -> None:
        """Record what a person has set, with who and when, and the alerts that tell it, by the settings until then.

        Raises ConflictError, with nothing written.
        """
        ...

    async def abandon(self, channel: Channel, change: SettingChange) -> None:
        """Have nothing told any more in a channel that the app was taken out of, for as long as nothing is set anew.

        Takes back the settings that have anything told, as `change` notes where there were any, and lets what waits go.
        """
        ...

    async def return_to(self, channel: Channel, at: datetime) -> None:
        """Bring the messages up to date that stood in a channel when the app was taken out of it."""
        ...

    async def channel_changes(self, channel: Channel, limit: int) -> list[SettingChange]:
        """Load who has set what in a channel, newest first."""
        ...

    async def expect_silence(self, after: StoredChannel) -> None:
        """Note when a channel falls silent next. Raises ConflictError."""
        ...

    async def kept_back(self, channel: Channel, since: datetime) -> KeptBack:
        """Load what has happened in a channel since it fell silent, and what was kept back."""
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
        """End a channel's silence in one transaction: what was kept back is due, after the digest.

        The messages of these `alerts` and `notices`, by number, are told in the digest in their stead. Raises
        ConflictError, with nothing written, where the channel has changed since it was read.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNotice:
    """A notice with the revision that the next change must name."""

    notice: Notice
    revision: int


class NoticeStore(Protocol):
    """Messages for a channel that belong to no alert of it."""

    async def open_notices(self, kind: type[Content]) -> list[StoredNotice]:
        """Load the notices of one kind that may still change, oldest first."""
        ...

    async def add_notices(self, notices: Sequence[Notice], at: datetime) -> int:
        """Record new notices in one transaction; give how many there were that nobody had recorded yet."""
        ...

    async def has_notice(self, channel: Channel, name: str) -> bool:
        """Tell whether a channel has a notice of that name."""
        ...

    async def amend_notice(self, stored: StoredNotice, at: datetime) -> None:
        """Let a notice tell something else from now on. Raises ConflictError where it has changed since it was read."""
        ...


class MonitorStore(Protocol):
    """What one tick reads and writes."""

    async def claim_tick(self, job: Job, boundary: datetime, at: datetime) -> Claim:
        """Claim one round of a job; a claim that was made a minute ago and is not done is taken over."""
        ...

    async def finish_tick(self, tick: Tick, look: TickResult | None = None) -> None:
        """Note that a round is done, where nobody has taken it over, together with what it saw of its pair."""
        ...

    async def release_tick(self, job: Job, boundary: datetime, at: datetime) -> None:
        """Give back a claim that was made at `at`, so that the tick can be tried again."""
        ...

    async def rulebook(self, since: int = 0) -> Rulebook:
        """Load the rules that have changed after a revision, with their states; every one that stands after 0."""
        ...

    async def open_alerts(self, channel: Channel | None = None, *, pair: Pair | None = None) -> list[StoredAlert]:
        """Load the open alerts, of one channel or of all, on one pair or on all, oldest first."""
        ...

    async def ended_alerts(self, pair: Pair, since: datetime) -> list[StoredAlert]:
        """Load the alerts on a pair that have ended since then, oldest first."""
        ...

    async def alerted_pairs(self) -> list[Pair]:
        """List the pairs that have open alerts."""
        ...

    async def record(
        self,
        states: Sequence[StateChange],
        alerts: Sequence[AlertChange],
        at: datetime,
        *,
        tick: Tick | None = None,
    ) -> None:
        """Record a tick in one transaction: states, alerts, timeline entries and the messages to deliver.

        Raises, with nothing written, ConflictError where a state or an alert has changed since it was read, and
        LeaseLostError where `tick` is not this process's any more, as after it was frozen.
        """
        ...

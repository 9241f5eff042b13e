"""What a tick needs from storage, and stored channels and notices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.alerting.alert import Alert
from services.alerting.channel_settings import ChannelSettings
from services.alerting.notice import Notice
from services.alerting.records import (
    AlertChange,
    Rulebook,
    StateChange,
    StoredAlert,
)
from services.alerting.tick_log import Claim, Job, Tick, TickResult
from services.core.identity import Channel
from services.core.prices import Pair
from services.core.reason import Reason


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
    summary: Reason | str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNotice:
    """A notice with the revision that the next change must name."""

    notice: Notice
    revision: int


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
        LeaseLostError if `tick` has been taken over, as after this process was frozen.
        """
        ...

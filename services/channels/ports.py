"""Storage protocols of the channel services."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.alerting.alert import Alert
from services.alerting.feedback import Votes
from services.alerting.notice import MessageCounts
from services.alerting.ports import ChannelStore, MonitorStore, NoticeStore
from services.alerting.records import (
    AlertAudit,
    AlertChange,
    ChannelRule,
    RuleAudit,
    RuleChange,
    StateChange,
    StoredAlert,
    UnreadableRule,
)
from services.alerting.tick_log import Tick, TickResultStore
from services.core.identity import Channel
from services.core.prices import Pair
from services.delivery.ports import DeliveryProblem, OutboxStore
from services.market.ports import HistoryStore, HoldingsStore
from services.rules.rule import Rule


class CoverageStore(TickResultStore, Protocol):
    """Storage that coverage reports read."""

    async def rules(self, channel: Channel) -> list[ChannelRule]:
        """Return a channel's rules by id; unreadable ones are left out."""
        ...

    async def history(self, channel: Channel, limit: int) -> list[Alert]:
        """Return a channel's last alerts, newest first."""
        ...

    async def posted(self, channel: Channel, since: datetime) -> MessageCounts:
        """Count a channel's messages: delivered since `since`, waiting, and dead-lettered."""
        ...


class CommandStore(CoverageStore, ChannelStore, Protocol):
    """Storage of people's commands."""

    async def delivery_problems(self, team: str | None = None) -> list[DeliveryProblem]:
        """Return the problems that only a person can fix, of one workspace or of all.

        Paused channels come first, then dead letters.
        """
        ...

    async def add_rules(
        self, channel: Channel, rules: Sequence[Rule], by: str, at: datetime, *, alerts: Sequence[AlertChange] = ()
    ) -> list[ChannelRule]:
        """Add rules to a channel in one transaction; return an existing rule unchanged.

        If any rule is new, the `alerts` that mention it are recorded too. Raises ConflictError if one has changed.
        """
        ...

    async def rule(self, channel: Channel, rule_id: int) -> ChannelRule | UnreadableRule:
        """Return one rule of this channel. Raises NotFoundError."""
        ...

    async def channels_of(self, team: str, person: str) -> list[Channel]:
        """Return the channels of a workspace in which a person has changed a rule or acted on an alert."""
        ...

    async def unreadable_rules(self, channel: Channel) -> list[UnreadableRule]:
        """Return the stored rules of a channel that cannot be parsed."""
        ...

    async def rule_audits(self, channel: Channel, limit: int) -> list[RuleAudit]:
        """Return the last changes to a channel's rules, newest first."""
        ...

    async def alert(self, channel: Channel, alert_id: int) -> StoredAlert:
        """Return one alert of this channel, open or closed. Raises NotFoundError."""
        ...

    async def vote(self, channel: Channel, alert_id: int, by: str, at: datetime, *, noise: bool) -> Votes:
        """Save a person's vote on an alert, replacing an earlier one; return all votes on it.

        Raises NotFoundError.
        """
        ...

    async def votes(self, channel: Channel) -> dict[int, Votes]:
        """Return the votes on each alert of a channel that has any, by alert id."""
        ...

    async def alert_audit(self, channel: Channel | None, alert_id: int | None) -> AlertAudit:
        """Return the audit log of an alert, of this channel or of any; without an id, of the newest alert.

        Raises NotFoundError, and DatabaseUnavailableError if its rows cannot be read.
        """
        ...

    async def open_alerts(self, channel: Channel | None = None, *, pair: Pair | None = None) -> list[StoredAlert]:
        """Return the open alerts, of one channel or all, on one pair or all, oldest first."""
        ...

    async def record(
        self,
        states: Sequence[StateChange],
        alerts: Sequence[AlertChange],
        at: datetime,
        *,
        rules: Sequence[RuleChange] = (),
    ) -> None:
        """Record changes in one transaction, as MonitorStore does, together with a person's rule changes.

        Also raises ConflictError if a rule has changed since it was read, or if the new rule already exists in the
        channel.
        """
        ...


class MaintenanceStore(CoverageStore, ChannelStore, NoticeStore, MonitorStore, Protocol):
    """Storage of the maintenance job."""

    async def alert(self, channel: Channel, alert_id: int) -> StoredAlert:
        """Return one alert of this channel, open or closed. Raises NotFoundError."""
        ...

    async def unposted_alerts(self) -> frozenset[int]:
        """Return the ids of alerts with a message that waits to be posted; edits do not count."""
        ...


class Store(HistoryStore, HoldingsStore, CommandStore, MaintenanceStore, OutboxStore, Protocol):
    """The whole storage interface; one transaction per method."""

    async def record(
        self,
        states: Sequence[StateChange],
        alerts: Sequence[AlertChange],
        at: datetime,
        *,
        rules: Sequence[RuleChange] = (),
        tick: Tick | None = None,
    ) -> None:
        """Record a tick or a person's action; see MonitorStore and CommandStore."""
        ...

"""What each part of the services asks of the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.alerting.alert import Alert
from services.alerting.feedback import Votes
from services.alerting.notice import Posted
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
    """What the proof of a silent day is made of."""

    async def rules(self, channel: Channel) -> list[ChannelRule]:
        """Load a channel's rules by id; those that cannot be read are left out."""
        ...

    async def history(self, channel: Channel, limit: int) -> list[Alert]:
        """Load a channel's last alerts, newest first."""
        ...

    async def posted(self, channel: Channel, since: datetime) -> Posted:
        """Count a channel's messages: those delivered since then, those that wait, and those given up."""
        ...


class CommandStore(CoverageStore, ChannelStore, Protocol):
    """What people's commands read and write."""

    async def troubles(self, team: str | None = None) -> list[DeliveryProblem]:
        """List what only a person can mend, of one workspace or of all: channels at rest first, then dead letters."""
        ...

    async def add_rules(
        self, channel: Channel, rules: Sequence[Rule], by: str, at: datetime, *, alerts: Sequence[AlertChange] = ()
    ) -> list[ChannelRule]:
        """Add rules to a channel in one transaction; a rule that stands there already is returned as it is.

        Where one is new, the `alerts` that tell it are recorded with it. Raises ConflictError where one has changed.
        """
        ...

    async def rule(self, channel: Channel, rule_id: int) -> ChannelRule | UnreadableRule:
        """Load one rule of this channel. Raises NotFoundError."""
        ...

    async def channels_of(self, team: str, person: str) -> list[Channel]:
        """List the channels of a workspace in which a person has changed a rule or acted on an alert."""
        ...

    async def lost_rules(self, channel: Channel) -> list[UnreadableRule]:
        """Load the rules of a channel that stand although they cannot be read."""
        ...

    async def acts(self, channel: Channel, limit: int) -> list[RuleAudit]:
        """Load what people last did to a channel's rules, newest first."""
        ...

    async def alert(self, channel: Channel, alert_id: int) -> StoredAlert:
        """Load one alert of this channel, open or closed. Raises NotFoundError."""
        ...

    async def vote(self, channel: Channel, alert_id: int, by: str, at: datetime, *, noise: bool) -> Votes:
        """Keep what a person says of an alert, in place of what they said before; give all votes on it.

        Raises NotFoundError.
        """
        ...

    async def votes(self, channel: Channel) -> dict[int, Votes]:
        """Count the votes on each alert of a channel that has any, by the alert's number."""
        ...

    async def receipt(self, channel: Channel | None, alert_id: int | None) -> AlertAudit:
        """Load all that is known of an alert, of this channel or of any; of the newest one without a number.

        Raises NotFoundError, and StoreError where its rows cannot be read.
        """
        ...

    async def open_alerts(self, channel: Channel | None = None, *, pair: Pair | None = None) -> list[StoredAlert]:
        """Load the open alerts, of one channel or of all, on one pair or on all, oldest first."""
        ...

    async def record(
        self,
        states: Sequence[StateChange],
        alerts: Sequence[AlertChange],
        at: datetime,
        *,
        rules: Sequence[RuleChange] = (),
    ) -> None:
        """Record changes in one transaction, as MonitorStore does, together with what a person did to rules.

        Raises ConflictError also where a rule is no longer as it was read, or now stands in the channel already.
        """
        ...


class MaintenanceStore(CoverageStore, ChannelStore, NoticeStore, MonitorStore, Protocol):
    """What upkeep reads and writes."""

    async def alert(self, channel: Channel, alert_id: int) -> StoredAlert:
        """Load one alert of this channel, open or closed. Raises NotFoundError."""
        ...

    async def unposted(self) -> frozenset[int]:
        """Give the numbers of the alerts of which a message waits to be posted; edits do not count."""
        ...


class Store(HistoryStore, HoldingsStore, CommandStore, MaintenanceStore, OutboxStore, Protocol):
    """Everything that is remembered; one transaction for each method."""

    async def record(
        self,
        states: Sequence[StateChange],
        alerts: Sequence[AlertChange],
        at: datetime,
        *,
        rules: Sequence[RuleChange] = (),
        tick: Tick | None = None,
    ) -> None:
        """Record a tick or a person's act; see MonitorStore and CommandStore."""
        ...

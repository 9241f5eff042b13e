"""Storage of the channel services."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Protocol

from services.alerting.alert import Alert, Votes
from services.alerting.notice import Content, MessageCounts, Notice
from services.alerting.ports import (
    AlertAudit,
    AlertChange,
    ChannelRule,
    ChannelRules,
    ChannelUpdate,
    Deleted,
    ManagedRule,
    MonitorStore,
    RuleAudit,
    RuleCaps,
    RuleChange,
    RulesFileChange,
    SettingChange,
    StateChange,
    StoredAlert,
    StoredChannel,
    StoredNotice,
    UnreadableRule,
    WithheldMessages,
)
from services.alerting.tick_log import Extreme, PairStatus, Tick
from services.core.identity import Channel
from services.core.prices import Pair
from services.delivery.ports import DeliveryProblem
from services.rules.rule import Rule


class ChannelStore(MonitorStore, Protocol):
    """What people's commands and the maintenance job read and write.

    That is: channels, notices, rules, alerts, their delivery, and the results of ticks.
    """

    async def channel(self, channel: Channel) -> StoredChannel:
        """Load a channel's settings; if it has set nothing, the defaults at revision 0."""
        ...

    async def channels(self) -> list[StoredChannel]:
        """Load every channel that has set something."""
        ...

    async def delete_older(self, before: datetime) -> Deleted:
        """Delete a batch of closed alerts, final notices, attempts and records of changes from `before` a time."""
        ...

    async def change_channel(
        self,
        after: StoredChannel,
        change: SettingChange,
        alerts: Sequence[AlertChange] = (),
        notice: Notice | None = None,
        *,
        others: Sequence[ChannelUpdate] = (),
    ) -> None:
        """Save a person's change, with who and when, and the alerts and the notice that report it.

        The alerts are posted under the settings until then. `others` are what the change causes in other channels,
        saved in the same transaction.

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
        """Load what happened in a channel since its quiet period started, and what was withheld; no test alerts."""
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
        written, if the channel changed after it was read.
        """
        ...

    async def open_notices(self, kind: type[Content]) -> list[StoredNotice]:
        """Load the notices of one kind that may still change, oldest first."""
        ...

    async def add_notices(self, notices: Sequence[Notice], at: datetime) -> int:
        """Save new notices in one transaction; return how many did not exist yet."""
        ...

    async def claim_key(self, key: str, *, now: datetime, ttl: timedelta) -> bool:
        """Claim a key until `now` + `ttl`; return whether no process had claimed it."""
        ...

    async def release_key(self, key: str) -> None:
        """Release a key whose work failed."""
        ...

    async def has_notice(self, channel: Channel, name: str) -> bool:
        """Return whether a channel has a notice with that name."""
        ...

    async def update_notice(self, stored: StoredNotice, at: datetime) -> None:
        """Save a changed notice. Raises ConflictError if it changed after it was read."""
        ...

    async def rules(self, channel: Channel) -> list[ChannelRule]:
        """Return a channel's rules by id; unreadable ones are left out."""
        ...

    async def rule(self, channel: Channel, rule_id: int) -> ChannelRule | UnreadableRule:
        """Return one rule of this channel. Raises NotFoundError."""
        ...

    async def unreadable_rules(self, channel: Channel) -> list[UnreadableRule]:
        """Return the stored rules of a channel that cannot be parsed."""
        ...

    async def add_rules(
        self,
        channel: Channel,
        rules: Sequence[Rule],
        by: str,
        at: datetime,
        *,
        alerts: Sequence[AlertChange] = (),
        notices: Sequence[Notice] = (),
        caps: RuleCaps | None = None,
    ) -> list[ChannelRule]:
        """Add rules to a channel in one transaction; return an existing rule unchanged.

        If any rule is new, the `alerts` and `notices` that report it are recorded too. Raises ConflictError if one has
        changed, and RuleLimitError if there were more rules than `caps` allows; then nothing is added.
        """
        ...

    async def managed_rules(self, channel: Channel) -> list[ManagedRule]:
        """Return the rules of a channel that a rules file has made, by key; some may not exist any more."""
        ...

    async def rule_audits(self, channel: Channel, limit: int) -> list[RuleAudit]:
        """Return the last changes to a channel's rules, newest first."""
        ...

    async def channels_of(self, team: str, person: str) -> list[Channel]:
        """Return the channels of a workspace in which a person has changed a rule or acted on an alert."""
        ...

    async def active_channels(self, team: str) -> dict[str, bool]:
        """Return the channels of a workspace with rules or open alerts, each with whether it has open alerts."""
        ...

    async def alert(self, channel: Channel, alert_id: int) -> StoredAlert:
        """Return one alert of this channel, open or closed. Raises NotFoundError."""
        ...

    async def history(self, channel: Channel, limit: int) -> list[Alert]:
        """Return a channel's last alerts, newest first, without test alerts."""
        ...

    async def alert_audit(self, channel: Channel | None, alert_id: int | None) -> AlertAudit:
        """Return the audit log of an alert, of this channel or of any; without an id, of the newest alert.

        Raises NotFoundError, and DatabaseUnavailableError if its rows cannot be read.
        """
        ...

    async def vote(self, channel: Channel, alert_id: int, by: str, at: datetime, *, noise: bool) -> Votes:
        """Save a person's vote on an alert, replacing an earlier one; return all votes on it.

        Raises NotFoundError.
        """
        ...

    async def votes(self, channel: Channel) -> dict[int, Votes]:
        """Return the votes on each alert of a channel that has any, by alert id."""
        ...

    async def posted(self, channel: Channel, since: datetime) -> MessageCounts:
        """Count a channel's messages, except those of test alerts: delivered since `since`, waiting, dead-lettered."""
        ...

    async def unposted_alerts(self) -> frozenset[int]:
        """Return the ids of alerts with a message that waits to be posted; edits do not count."""
        ...

    async def delivery_problems(self, team: str | None = None) -> list[DeliveryProblem]:
        """Return the problems that only a person can fix, of one workspace or of all.

        Paused channels come first, then dead letters.
        """
        ...

    async def pair_statuses(self) -> list[PairStatus]:
        """Load the status of each pair."""
        ...

    async def verdicts(self, pair: Pair, begin: datetime, end: datetime) -> dict[str, int]:
        """Count the ticks of a pair done from `begin` until before `end`, by verdict."""
        ...

    async def extremes(self, pair: Pair, session: date) -> dict[str, Extreme]:
        """Load the extremes of each metric key of a pair in a session."""
        ...

    async def record(
        self,
        states: Sequence[StateChange],
        alerts: Sequence[AlertChange],
        at: datetime,
        *,
        rules: Sequence[RuleChange] = (),
        notices: Sequence[Notice] = (),
        tick: Tick | None = None,
    ) -> None:
        """Record changes in one transaction, as MonitorStore does, with a person's rule changes and their notices.

        Also raises ConflictError if a rule changed after it was read, or if the new rule already exists in the
        channel.
        """
        ...


class RulesFileStore(ChannelStore, Protocol):
    """What applying a rules file reads and writes."""

    async def channel_rules(self, channel: Channel) -> ChannelRules:
        """Return all that a rules file is compared with in a channel."""
        ...

    async def managed_channels(self, team: str, file: str) -> list[Channel]:
        """Return the channels of a workspace in which a file manages rules, by id."""
        ...

    async def teams(self) -> list[str]:
        """Return the workspaces with rules or settings, by id."""
        ...

    async def apply_rules_file(
        self, changes: Sequence[RulesFileChange], by: str, at: datetime, *, caps: RuleCaps
    ) -> None:
        """Apply a rules file to all its channels in one transaction.

        Raises ConflictError if a channel's rules, their owners or its settings changed after they were read, and
        RuleLimitError; then nothing is saved.
        """
        ...

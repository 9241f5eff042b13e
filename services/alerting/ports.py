"""Rules, alerts, channels and notices as stored, their changes and audit logs, and what a tick needs from storage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol

from services.alerting.alert import NO_VOTES, Alert, TimelineEntry, Votes
from services.alerting.channel_settings import ChannelSettings
from services.alerting.notice import Notice
from services.alerting.tick_log import Claim, Job, Tick, TickOutcome, TickResult
from services.core.errors import NoHistoryError
from services.core.identity import Channel
from services.core.prices import Pair
from services.core.reason import Reason
from services.market.metrics import Subject
from services.rules.decide import RuleState, RuleStatus
from services.rules.market_view import MarketView
from services.rules.rule import Rule


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """A rule's change of state.

    Saved only if the store still has `before`, at the edition that it was decided on.
    """

    rule_id: int
    before: RuleState
    after: RuleState
    edition: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """An alert to save, with its new timeline entries.

    The store assigns the id of a new alert, whose `alert.id` is 0. `revision` is the one that the alert had when it was
    read, 0 for a new one. The store saves the change only if that revision is still current.
    """

    alert: Alert
    revision: int
    entries: tuple[TimelineEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelUpdate:
    """A person's change of a channel's settings, with the alerts and the notice that report it."""

    after: StoredChannel
    change: SettingChange
    alerts: Sequence[AlertChange] = ()
    notice: Notice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRule:
    """A rule in its channel, with its state.

    Attributes:
        id: Number by which people refer to it in that channel.
        paused_at: Not evaluated since then; None if it is active.
        edition: How often people have changed it.
    """

    id: int
    channel: Channel
    rule: Rule
    state: RuleState
    created_by: str
    created_at: datetime
    paused_at: datetime | None = None
    edition: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """How many rows one batch has deleted.

    Attributes:
        changes: Records of people's changes of rules and settings.
        more: At least one kind had a full batch, so there may be more.
    """

    alerts: int
    notices: int
    attempts: int
    changes: int
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCaps:
    """How many rules a channel and a workspace may have."""

    channel: int = 50
    workspace: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """Changes of the rules of all channels, up to a revision.

    Attributes:
        revision: Grows with every change of any rule or rule state.
        rules: Changed rules by id, paused ones included.
        removed: Ids of removed rules.
        unreadable: Ids of rules that exist but whose row cannot be read.
    """

    revision: int
    rules: tuple[ChannelRule, ...] = ()
    removed: frozenset[int] = frozenset()
    unreadable: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAlert:
    """An alert with the revision that the next change must name."""

    alert: Alert
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCounts:
    """What the database has now, of all workspaces.

    Attributes:
        rules: Active rules by status.
        alerts: Open alerts by subject, without test alerts.
        installations: Workspaces and organizations that installed the app themselves.
    """

    rules: Mapping[RuleStatus, int]
    paused_rules: int
    alerts: Mapping[Subject, int]
    installations: int


class TickMeter(Protocol):
    """Counts the ticks of each pair, and records what they found."""

    def count_tick(self, pair: Pair, outcome: TickOutcome) -> None:
        """Count a tick that this process claimed."""
        ...

    def record_market(self, result: TickResult, view: MarketView | NoHistoryError, rules: int) -> None:
        """Record what a tick found, and the number of rules that it evaluated."""
        ...


class MonitorStore(Protocol):
    """What one tick reads and writes."""

    async def claim_tick(self, job: Job, boundary: datetime, at: datetime) -> Claim:
        """Claim one tick of a job; an unfinished claim is taken over after a minute, and ticks ahead are discarded."""
        ...

    async def discard_ahead(self, at: datetime) -> None:
        """Discard the ticks of all jobs that lie ahead of `at`, because the clock was set back since."""
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
        """Load the alerts on a pair that closed since then, oldest first, without test alerts."""
        ...

    async def alerted_pairs(self) -> list[Pair]:
        """Return the pairs that have open alerts, except test alerts."""
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

        Raises, with nothing written, ConflictError if a state or an alert changed after it was read, and
        LeaseLostError if `tick` has been taken over, as after this process was frozen.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRule:
    """A rule whose stored row cannot be read; `rule` is the text in the row."""

    id: int
    channel: Channel
    rule: str


class RuleAuditKind(Enum):
    """What a person did to a rule."""

    ADDED = "added"
    EDITED = "edited"
    PAUSED = "paused"
    RESUMED = "resumed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleAudit:
    """A rule's audit log entry: the rule's text `before` and `after`, None if there was none."""

    kind: RuleAuditKind
    rule_id: int
    by: str
    at: datetime
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """A person's change of a rule.

    Attributes:
        channel_rule: The rule as it was read; the change is saved only if the store still has it.
        rule: The new rule; ignored for a removal.
        state: The new state; ignored for a removal. An unreadable rule starts from the initial state.
    """

    kind: RuleAuditKind
    channel_rule: ChannelRule | UnreadableRule
    by: str
    rule: Rule | None = None
    state: RuleState = field(default_factory=RuleState)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedRule:
    """A rule that a rules file has made, as the file made it last; the rule itself may have changed since, or be gone.

    Attributes:
        key: Names the rule in its file.
        file: Name of the file, without its folder.
        rule: Text of the rule.
        paused: Whether the file pauses the rule.
    """

    key: str
    file: str
    rule_id: int
    rule: str
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRules:
    """All that a rules file is compared with in one channel.

    Attributes:
        editions: By rule id, how often people have changed the rule; unreadable rules included.
        stored: The channel's settings.
    """

    channel: Channel
    stored: StoredChannel
    rules: tuple[ChannelRule, ...] = ()
    unreadable: tuple[UnreadableRule, ...] = ()
    managed: tuple[ManagedRule, ...] = ()
    editions: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRule:
    """A rule that a rules file adds."""

    key: str
    file: str
    rule: Rule
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesFileChange:
    """What a rules file changes in one channel.

    Attributes:
        before: What was read; the change is saved only if rules and ownership are still the same.
        rules: Changes of existing rules, in the order in which they are saved.
        taken: Ids of rules that are otherwise unchanged, but belong to the file from now on.
        managed: Every rule that a file manages afterwards, without `additions`.
        settings: The new settings; None without a change.
        setting_changes: One for each setting that changed.
        route_keys: By sink, the key of the new rule which alone pages it.
    """

    before: ChannelRules
    rules: Sequence[RuleChange] = ()
    taken: Sequence[int] = ()
    additions: Sequence[NewRule] = ()
    managed: Sequence[ManagedRule] = ()
    alerts: Sequence[AlertChange] = ()
    notices: Sequence[Notice] = ()
    settings: StoredChannel | None = None
    setting_changes: Sequence[SettingChange] = ()
    route_keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt to deliver a message; `outcome` is None if it was never learned."""

    at: datetime
    version: int
    outcome: str | None
    problem: Reason | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One message of an alert, with every attempt to deliver it.

    Attributes:
        entry: Timeline entry of a thread reply, None for the alert's own message.
        delivered: Whether Slack shows the newest version.
        given_up_at: When it was dead-lettered.
        next_at: When an undelivered message is retried.
        digest_at: When a digest replaced it.
        silent_from: Start of the channel's current or next quiet period.
        blocked_by: What a person must fix before anything reaches the channel.
    """

    key: str
    entry: TimelineEntry | None
    message_id: str | None
    delivered: bool
    given_up_at: datetime | None
    next_at: datetime
    attempts: tuple[Attempt, ...]
    digest_at: datetime | None = None
    silent_from: datetime | None = None
    blocked_by: Reason | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageStatus:
    """The page of an alert at one sink.

    Attributes:
        stage: What the sink accepted last; None for nothing.
        is_current: Whether the sink has the newest version, or needs none.
        problem: Why not, or why it needed no call.
        given_up_at: When it was dead-lettered.
    """

    sink: str
    stage: str | None
    is_current: bool
    problem: str | None
    given_up_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertAudit:
    """The audit log of an alert: every decision in order, every message and page with its delivery, and the votes."""

    alert: Alert
    entries: tuple[TimelineEntry, ...]
    postings: tuple[Posting, ...]
    votes: Votes = NO_VOTES
    pages: tuple[PageStatus, ...] = ()

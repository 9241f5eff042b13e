"""Stored rules and alerts, their changes, and their audit logs."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from services.alerting.alert import (
    Alert,
    TimelineEntry,
)
from services.alerting.feedback import NO_VOTES, Votes
from services.core.identity import Channel
from services.core.reason import Reason
from services.rules.decide import RuleState
from services.rules.rule import Rule


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
class UnreadableRule:
    """A rule whose stored row cannot be read; `rule` is the text in the row."""

    id: int
    channel: Channel
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """A rule's change of state.

    Saved only if the store still has `before`, at the edition that it was decided on.
    """

    rule_id: int
    before: RuleState
    after: RuleState
    edition: int = 0


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
class AlertChange:
    """An alert to save, with its new timeline entries.

    The store assigns the id of a new alert, whose `alert.id` is 0. `revision` is the one that the alert had when it was
    read, 0 for a new one. The store saves the change only if that revision is still current.
    """

    alert: Alert
    revision: int
    entries: tuple[TimelineEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAlert:
    """An alert with the revision that the next change must name."""

    alert: Alert
    revision: int


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
class AlertAudit:
    """The audit log of an alert: every decision in order, every message with its delivery, and the votes."""

    alert: Alert
    entries: tuple[TimelineEntry, ...]
    postings: tuple[Posting, ...]
    votes: Votes = NO_VOTES

"""Rules as they stand in channels, and what is done to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from services.alerting.alert import (
    Alert,
    Entry,
)
from services.alerting.feedback import NO_VOTES, Votes
from services.core.identity import Channel
from services.rules.decide import RuleState
from services.rules.rule import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRule:
    """A rule in its channel, with its state; `id` is what people call it by within that channel.

    `edition` counts how often people have changed it. A paused rule is not watched.
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
    """A rule that stands in its channel but whose row cannot be read; `rule` is what the row says."""

    id: int
    channel: Channel
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """A rule's move from one state to the next.

    Recorded only where `before` is still what the store holds, of the edition that it was decided on.
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
    """What a person did to a rule, as it is kept: the rule's text `before` and `after`, None where there was none."""

    kind: RuleAuditKind
    rule_id: int
    by: str
    at: datetime
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """A person's change of a rule, recorded only where `watch` is still what the store holds.

    `rule` and `state` are those that it has from then on; both are of no meaning for a rule that is removed, and a rule
    whose row cannot be read begins anew.
    """

    kind: RuleAuditKind
    watch: ChannelRule | UnreadableRule
    by: str
    rule: Rule | None = None
    state: RuleState = field(default_factory=RuleState)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """What has changed among the rules of every channel, up to a revision.

    `revision` grows with every change of any rule or rule state. `watches`, paused ones among them, are by id;
    `removed` are numbers of rules, and `unreadable` those of rules that stand although nobody can watch them.
    """

    revision: int
    watches: tuple[ChannelRule, ...] = ()
    removed: frozenset[int] = frozenset()
    unreadable: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """An alert as it is to be told from now on, with the entries that its timeline gains.

    `alert.id` is 0 for an episode that opens; the store gives it its number. `revision` is that of the alert when
    it was read, 0 for a new one. The store records the change only where it still holds.
    """

    alert: Alert
    revision: int
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAlert:
    """An alert with the revision that the next change must name."""

    alert: Alert
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to make Slack show a message: `outcome` is None where it was never learned."""

    at: datetime
    version: int
    outcome: str | None
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One message of an alert, its own (`entry` None) or a line of its thread, with every try to deliver it.

    `delivered` tells that Slack shows its newest wording; where not, it is tried again at `next_at`, or was given up.
    `digest_at` is when a digest told it in its stead, `silent_from` when its channel falls silent, or has done so, and
    `stuck` what a person must mend before anything reaches that.
    """

    key: str
    entry: Entry | None
    message_id: str | None
    delivered: bool
    given_up_at: datetime | None
    next_at: datetime
    attempts: tuple[Attempt, ...]
    digest_at: datetime | None = None
    silent_from: datetime | None = None
    stuck: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertAudit:
    """All that is known of an alert: what it rests on, every decision in order, every message with its fate, votes."""

    alert: Alert
    entries: tuple[Entry, ...]
    postings: tuple[Posting, ...]
    votes: Votes = NO_VOTES

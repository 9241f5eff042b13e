"""Rules as they stand in channels, and what is done to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from services.domain.decide import RuleState

if TYPE_CHECKING:
    from datetime import datetime

    from services.domain.episode import Channel
    from services.domain.rule import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
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
class LostWatch:
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


class ActKind(Enum):
    """What a person did to a rule."""

    ADDED = "added"
    EDITED = "edited"
    PAUSED = "paused"
    RESUMED = "resumed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a person did to a rule, as it is kept: the rule's text `before` and `after`, None where there was none."""

    kind: ActKind
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

    kind: ActKind
    watch: Watch | LostWatch
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
    watches: tuple[Watch, ...] = ()
    removed: frozenset[int] = frozenset()
    unreadable: frozenset[int] = frozenset()

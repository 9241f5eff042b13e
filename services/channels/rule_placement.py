"""Slots: where a rule that somebody found belongs among those of a channel: in the place of one, or beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.alerting.records import ChannelRule
from services.rules.rule import Rule

MARK = 12  # hex digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What a found rule would become in a channel: `rule`, in the place of the one in `target`, None for a new one.

    `standing` is the rule that reads so already. `mark` is the same as long as nobody changes a rule that watches the
    same, so that a preview which is out of date is known.
    """

    rule: Rule
    target: ChannelRule | None
    standing: ChannelRule | None
    mark: str


def find_placement(watches: Sequence[ChannelRule], found: Rule) -> Placement:
    """Find the place of a rule: that of one on the same pair, metric and window, best of the same direction.

    How long that one holds and keeps, how often it is told, and whether it is decided at closes stays as it is: none of
    this was found. A paused rule is left alone.
    """
    alike = [one for one in watches if one.paused_at is None and _look(one.rule) == _look(found)]
    alike.sort(key=lambda one: (one.rule.direction is not found.direction, one.id))
    target = alike[0] if alike else None
    rule = found if target is None else _as(target.rule, found)
    told = "\n".join(f"{one.id} {one.rule}" for one in sorted(alike, key=lambda one: one.id))
    return Placement(
        rule=rule,
        target=target,
        standing=next((one for one in watches if one.rule == rule), None),
        mark=hashlib.sha256(told.encode()).hexdigest()[:MARK],
    )


def _as(before: Rule, found: Rule) -> Rule:
    return replace(before, threshold=found.threshold, clear=found.clear, direction=found.direction)


def _look(rule: Rule) -> tuple[object, ...]:
    return rule.pair, rule.metric, rule.window

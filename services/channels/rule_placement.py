"""Decide where a tuned rule goes in a channel: in place of an existing rule, or as a new one."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.alerting.ports import ChannelRule
from services.rules.rule import Rule

VERSION_LENGTH = 12  # hex digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a tuned rule goes in a channel.

    Attributes:
        rule: The rule to save.
        target: Rule to replace; None for a new rule.
        existing: Rule of the channel that already equals `rule`.
        version: Changes when a rule on the same metric changes, so that an outdated preview is detected.
    """

    rule: Rule
    target: ChannelRule | None
    existing: ChannelRule | None
    version: str


def find_placement(rules: Sequence[ChannelRule], found: Rule) -> Placement:
    """Find the rule to replace: one on the same pair, metric and window, preferably of the same direction.

    Its hold, keep and repeat times and `at close` do not change, because tuning does not set them. Paused rules are
    ignored.
    """
    same_metric = [
        candidate
        for candidate in rules
        if candidate.paused_at is None and _metric_key(candidate.rule) == _metric_key(found)
    ]
    same_metric.sort(key=lambda candidate: (candidate.rule.direction is not found.direction, candidate.id))
    target = same_metric[0] if same_metric else None
    rule = found if target is None else _with_threshold(target.rule, found)
    fingerprint = "\n".join(
        f"{candidate.id} {candidate.rule}" for candidate in sorted(same_metric, key=lambda candidate: candidate.id)
    )
    return Placement(
        rule=rule,
        target=target,
        existing=next((candidate for candidate in rules if candidate.rule == rule), None),
        version=hashlib.sha256(fingerprint.encode()).hexdigest()[:VERSION_LENGTH],
    )


def _with_threshold(before: Rule, found: Rule) -> Rule:
    return replace(before, threshold=found.threshold, clear=found.clear, direction=found.direction)


def _metric_key(rule: Rule) -> tuple[object, ...]:
    return rule.pair, rule.metric, rule.window

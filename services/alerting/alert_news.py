"""Telling: which news of an open alert's rules its thread must hear, and in what words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.alerting.rule_hit import Correction, LastReported, RuleHit, is_past
from services.rules.decide import Side, cleared, format_against, format_value
from services.rules.grammar import parse_rule
from services.rules.rule import print_value

WORSE_BY = 0.5  # of its threshold a rule's peak must grow to be told again
ROUNDING = 9  # decimals; returns carry far fewer that mean anything


def report_changes(fact: RuleHit, now: datetime) -> RuleHit:
    """Note that the thread knows by `now` what the fact shows."""
    return replace(fact, told=LastReported(at=now, of=fact.at, peak=fact.peak))


def is_recovering(fact: RuleHit, side: Side) -> bool:
    """Tell whether a rule that still fires is inside its clear level."""
    return fact.active and cleared(fact.value, parse_rule(fact.rule), side)


def worsened(fact: RuleHit, side: Side) -> str | None:
    """Tell by how much a peak has grown since it was told; None where that is less than half the threshold."""
    rule = parse_rule(fact.rule)
    grown = 0.0 if fact.told is None else (fact.peak - fact.told.peak) * side.sign
    if round(grown - WORSE_BY * rule.threshold, ROUNDING) < 0:
        return None
    return f"by {format_value(abs(grown), rule)} to {format_value(fact.peak, rule)} ({rule})"


def repeated(fact: RuleHit, side: Side, now: datetime) -> str | None:
    """Tell how a rule that fires on stands; None where it is not to be repeated yet, and without newer prices."""
    rule, told = parse_rule(fact.rule), fact.told
    if rule.repeat is None or told is None or now - told.at < rule.repeat or fact.at <= told.of:
        return None
    if is_recovering(fact, side):
        return None
    return f"{rule} at {format_value(fact.value, rule)}, peak {format_value(fact.peak, rule)}"


def corrected(before: RuleHit, after: RuleHit, side: Side, corrections: Sequence[Correction]) -> str | None:
    """Tell what was corrected of what the message says; None where none of it is.

    That is the close that it shows, and of those before it what moved the peak or is not past the threshold any more.
    """
    moved = format_value(before.peak, parse_rule(after.rule)) != format_value(after.peak, parse_rule(after.rule))
    told = [
        one
        for one in corrections
        if one.shown or moved or is_past(one.old, after, side) is not is_past(one.new, after, side)
    ]
    if not told:
        return None
    rule = parse_rule(after.rule)
    peak = f", peak now {format_value(after.peak, rule)}" if moved and not all(one.shown for one in told) else ""
    return f"{rule}: {_corrections(told, after)}{peak}"


def retracted(
    before: RuleHit, after: RuleHit, side: Side, corrections: Sequence[Correction], value: float | None
) -> str | None:
    """Say why a rule would not have fired on what is known by now; None where it would, or is past its threshold now.

    `value` is what the rule sees now, None for nothing.
    """
    if not is_past(before.peak, after, side) or is_past(after.peak, after, side):
        return None
    if value is not None and is_past(value, after, side):
        return None
    rule = parse_rule(after.rule)
    told = _corrections(corrections, after)
    return f"{rule}: corrected {told}, not past {print_value(rule.threshold, rule.unit)} any more"


def _corrections(corrections: Sequence[Correction], fact: RuleHit) -> str:
    """Tell each with its close; one alone that the message shows needs none."""
    alone = len(corrections) == 1 and corrections[0].shown
    return "; ".join(_correction(one, fact, dated=not alone) for one in corrections)


def _correction(one: Correction, fact: RuleHit, *, dated: bool) -> str:
    rule = parse_rule(fact.rule)
    values = [format_against(value, rule.threshold, rule) for value in (one.old, one.new)]
    when = f"at the close of {one.session:%a} {one.session.day} {one.session:%b} " if dated else ""
    return f"{when}from {values[0]} to {values[1]}"

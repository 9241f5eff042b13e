"""Decide which developments of an open alert's rules its thread reports, and word them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.alerting.rule_hit import Correction, LastReported, RuleHit, is_breach
from services.rules.decide import Side, format_against, format_value, is_cleared
from services.rules.grammar import parse_rule
from services.rules.rule import print_value

WORSENING_STEP = 0.5  # fraction of the threshold by which a peak must grow to be reported again
ROUNDING = 9  # decimals, far more than are significant in a return


def mark_reported(hit: RuleHit, now: datetime) -> RuleHit:
    """Return the hit with its current peak marked as reported in the thread at `now`."""
    return replace(hit, last_reported=LastReported(at=now, prices_at=hit.at, peak=hit.peak))


def is_recovering(hit: RuleHit, side: Side) -> bool:
    """Return whether a firing rule is inside its clear level."""
    return hit.active and is_cleared(hit.value, parse_rule(hit.rule), side)


def worsening_text(hit: RuleHit, side: Side) -> str | None:
    """Return by how much the peak has grown since the last report; None if by less than half the threshold."""
    rule = parse_rule(hit.rule)
    growth = 0.0 if hit.last_reported is None else (hit.peak - hit.last_reported.peak) * side.sign
    if round(growth - WORSENING_STEP * rule.threshold, ROUNDING) < 0:
        return None
    return f"by {format_value(abs(growth), rule)} to {format_value(hit.peak, rule)} ({rule})"


def repeat_text(hit: RuleHit, side: Side, now: datetime) -> str | None:
    """Return the repeat of a firing rule; None if it isn't due, has no newer prices, or is recovering."""
    rule, last = parse_rule(hit.rule), hit.last_reported
    if rule.repeat is None or last is None or now - last.at < rule.repeat or hit.at <= last.prices_at:
        return None
    if is_recovering(hit, side):
        return None
    return f"{rule} at {format_value(hit.value, rule)}, peak {format_value(hit.peak, rule)}"


def correction_text(before: RuleHit, after: RuleHit, side: Side, corrections: Sequence[Correction]) -> str | None:
    """Return what was corrected of what the message says; None if nothing was.

    That is the close that it shows. Of the closes before it, it is those that moved the peak or crossed the threshold.
    """
    moved = format_value(before.peak, parse_rule(after.rule)) != format_value(after.peak, parse_rule(after.rule))
    reported = [
        correction
        for correction in corrections
        if correction.shown
        or moved
        or is_breach(correction.old, after, side) is not is_breach(correction.new, after, side)
    ]
    if not reported:
        return None
    rule = parse_rule(after.rule)
    peak = (
        f", peak now {format_value(after.peak, rule)}"
        if moved and not all(correction.shown for correction in reported)
        else ""
    )
    return f"{rule}: {_corrections_text(reported, after)}{peak}"


def retraction_text(
    before: RuleHit, after: RuleHit, side: Side, corrections: Sequence[Correction], value: float | None
) -> str | None:
    """Return why a rule would not have fired on the corrected closes; None if it would have, or if it breaches now.

    `value` is the rule's current value, None if unknown.
    """
    if not is_breach(before.peak, after, side) or is_breach(after.peak, after, side):
        return None
    if value is not None and is_breach(value, after, side):
        return None
    rule = parse_rule(after.rule)
    text = _corrections_text(corrections, after)
    return f"{rule}: corrected {text}, not past {print_value(rule.threshold, rule.unit)} any more"


def _corrections_text(corrections: Sequence[Correction], hit: RuleHit) -> str:
    """Return each correction with the session of its close. A single one that the message shows needs no session."""
    single = len(corrections) == 1 and corrections[0].shown
    return "; ".join(_correction_with_session(correction, hit, dated=not single) for correction in corrections)


def _correction_with_session(correction: Correction, hit: RuleHit, *, dated: bool) -> str:
    rule = parse_rule(hit.rule)
    values = [format_against(value, rule.threshold, rule) for value in (correction.old, correction.new)]
    when = f"at the close of {correction.session:%a} {correction.session.day} {correction.session:%b} " if dated else ""
    return f"{when}from {values[0]} to {values[1]}"

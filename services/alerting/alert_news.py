"""Decide which developments of an open alert's rules its thread reports."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.alerting.alert import NO_RULE, Correction, LastReported, RuleHit, is_breach
from services.core.reason import Code, Reason
from services.rules.decide import Side, is_cleared, round_as_shown
from services.rules.grammar import parse_rule
from services.rules.rule import Rule

WORSENING_STEP = 0.5  # fraction of the threshold by which a peak must grow to be reported again
ROUNDING = 9  # decimals, far more than are significant in a return


def mark_reported(hit: RuleHit, now: datetime) -> RuleHit:
    """Return the hit with its current peak marked as reported in the thread at `now`."""
    return replace(hit, last_reported=LastReported(at=now, prices_at=hit.at, peak=hit.peak))


def is_recovering(hit: RuleHit, side: Side) -> bool:
    """Return whether a firing rule is inside its clear level; a test alert has no rule that clears."""
    return hit.active and hit.rule_id != NO_RULE and is_cleared(hit.value, parse_rule(hit.rule), side)


def worsening(hit: RuleHit, side: Side) -> Reason | None:
    """Return by how much the peak has grown since the last report; None if by less than half the threshold."""
    rule = parse_rule(hit.rule)
    growth = 0.0 if hit.last_reported is None else (hit.peak - hit.last_reported.peak) * side.sign
    if round(growth - WORSENING_STEP * rule.threshold, ROUNDING) < 0:
        return None
    return Reason.of(Code.RULE_WORSENED, rule=rule, growth=abs(growth), peak=hit.peak, unit=rule.unit.name)


def due_repeat(hit: RuleHit, side: Side, now: datetime) -> Reason | None:
    """Return the repeat of a firing rule; None if it isn't due, has no newer prices, or is recovering."""
    rule, last = parse_rule(hit.rule), hit.last_reported
    if rule.repeat is None or last is None or now - last.at < rule.repeat or hit.at <= last.prices_at:
        return None
    if is_recovering(hit, side):
        return None
    return Reason.of(Code.RULE_REPEATED, rule=rule, value=hit.value, peak=hit.peak, unit=rule.unit.name)


def visible_correction(before: RuleHit, after: RuleHit, side: Side, corrections: Sequence[Correction]) -> Reason | None:
    """Return the visible correction of an alert's message; None if there is none.

    That is a correction of the close that it shows, or of an earlier close that moved the peak or crossed the
    threshold.
    """
    rule = parse_rule(after.rule)
    moved = round_as_shown(before.peak, rule.unit) != round_as_shown(after.peak, rule.unit)
    reported = [
        correction
        for correction in corrections
        if correction.shown
        or moved
        or is_breach(correction.old, after, side) is not is_breach(correction.new, after, side)
    ]
    if not reported:
        return None
    return Reason.of(
        Code.RULE_CORRECTED,
        rule=rule,
        corrections=_corrections(reported, rule),
        peak=after.peak if moved and not all(correction.shown for correction in reported) else None,
        threshold=rule.threshold,
        unit=rule.unit.name,
    )


def retraction(
    before: RuleHit, after: RuleHit, side: Side, corrections: Sequence[Correction], value: float | None
) -> Reason | None:
    """Return why a rule would not have fired on the corrected closes; None if it would have, or if it breaches now.

    `value` is the rule's current value, None if unknown.
    """
    if not is_breach(before.peak, after, side) or is_breach(after.peak, after, side):
        return None
    if value is not None and is_breach(value, after, side):
        return None
    rule = parse_rule(after.rule)
    return Reason.of(
        Code.RULE_RETRACTED,
        rule=rule,
        corrections=_corrections(corrections, rule),
        threshold=rule.threshold,
        unit=rule.unit.name,
    )


def _corrections(corrections: Sequence[Correction], rule: Rule) -> list[Reason]:
    """Return each correction with the session of its close. A single one that the message shows needs no session."""
    single = len(corrections) == 1 and corrections[0].shown
    return [
        Reason.of(
            Code.CORRECTION,
            session=None if single else correction.session,
            old=correction.old,
            new=correction.new,
            threshold=rule.threshold,
            unit=rule.unit.name,
        )
        for correction in corrections
    ]

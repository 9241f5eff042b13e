"""Looks: what a tick saw of its pair, in a form that can be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.domain.errors import NoHistoryError
from services.domain.grammar import parse_rule
from services.domain.rule import DEFAULT_RULES
from services.domain.trust import Verdict
from services.ports import Look, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from services.domain.prices import Pair
    from services.domain.rule import Rule
    from services.market import MarketView

SHORTEST = DEFAULT_RULES[0]  # what can be measured wherever anything can
MISSING, WAITING = "missing", "waiting"


def look_at(pair: Pair, seen: MarketView | NoHistoryError, rules: Iterable[Rule], now: datetime) -> Look:
    """Tell how far a pair's prices can be used, and what each different thing that rules look at reads."""
    if isinstance(seen, NoHistoryError):
        return Look(pair=pair, at=now, verdict=MISSING, reason=str(seen))
    rule = parse_rule(SHORTEST, pair)
    observed, trust = seen.observe(rule), seen.trust(rule)
    usable = observed.value is not None
    verdict = trust.verdict if usable or not trust.verdict.usable else Verdict.STALE
    return Look(
        pair=pair,
        at=now,
        verdict=WAITING if observed.waiting else verdict.value,
        reason=None if usable else observed.reason,
        waiting=observed.waiting,
        prices=seen.stamps(rule) if usable else (),
        readings=tuple(_readings(seen, rules)),
        simulated=seen.simulated,
    )


def look_of(rule: Rule) -> str:
    """Name what a rule looks at; rules of one name read the same value."""
    window = "" if rule.window is None else f"{rule.window.value} "
    return f"{window}{rule.metric.value}{' at close' if rule.at_close else ''}"


def _readings(seen: MarketView, rules: Iterable[Rule]) -> Iterable[Reading]:
    for rule in rules:
        observed, looked_at = seen.observe(rule), seen.seen_by(rule)
        if observed.value is not None and looked_at is not None:
            yield Reading(look=look_of(rule), session=looked_at.session, value=observed.value, at=observed.at)

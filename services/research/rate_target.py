"""A wish: what is to be watched, and how many alerts are wanted of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from services.core.errors import RuleError
from services.market.measure import METRICS, Metric, Window
from services.rules.rule import Direction, Rule

A_YEAR = {"day": 252, "week": 52, "month": 12, "quarter": 4, "year": 1}
EXAMPLE = "5d 2/month"
_RATE = re.compile(r"(?P<count>\d{1,4}(?:\.\d{1,2})?)/(?P<span>day|week|month|quarter|year)", re.ASCII)
_WINDOWS = {one.value: one for one in Window}
_METRICS = {one.value: one for one, row in METRICS.items() if row.series}
_SIDES = {one.value: one for one in Direction}


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTarget:
    """What is to be watched, as a rule whose threshold is still open, and how many alerts a year are wanted."""

    rule: Rule
    per_year: float


def parse_target(text: str, like: Rule) -> RateTarget:
    """Read `WINDOW [METRIC] [above|below|either] COUNT/SPAN`, as in `5d 2/month`. Raises RuleError.

    `like` gives the pair, and what is not said.
    """
    rule, per_year = replace(like, window=None, metric=Metric.SPREAD, direction=Direction.EITHER), None
    for match in re.finditer(r"\S+", text):
        word = match.group().lower()
        rate = _RATE.fullmatch(word)
        if word in _WINDOWS:
            rule = replace(rule, window=_WINDOWS[word])
        elif word in _METRICS:
            rule = replace(rule, metric=_METRICS[word])
        elif word in _SIDES:
            rule = replace(rule, direction=_SIDES[word])
        elif rate and float(rate["count"]):
            per_year = float(rate["count"]) * A_YEAR[rate["span"]]
        else:
            expected = f"a window, a metric or a rate, as in “{EXAMPLE}”"
            raise RuleError(text, word=match.group(), at=match.start(), expected=expected)
    if per_year is None:
        raise _incomplete(text, f"how many alerts, as in “{EXAMPLE}” or 10/year")
    if METRICS[rule.metric].windowed and rule.window is None:
        raise _incomplete(text, f"a window ({' '.join(_WINDOWS)}), as in “{EXAMPLE}”")
    if not METRICS[rule.metric].windowed:
        rule = replace(rule, window=None)
    return RateTarget(rule=rule, per_year=per_year)


def print_target(wish: RateTarget) -> str:
    """Write a wish in its shortest form, with a rate a year; `parse_wish` reads it back for the same pair."""
    rule = wish.rule
    words = [rule.window.value] if rule.window else []
    words += [rule.metric.value] if rule.metric is not Metric.SPREAD else []
    words += [rule.direction.value] if rule.direction is not Direction.EITHER else []
    return " ".join([*words, f"{wish.per_year:.6g}/year"])


def _incomplete(text: str, expected: str) -> RuleError:
    return RuleError(text, word="", at=len(text.rstrip()) + 1 if text.strip() else 0, expected=expected)

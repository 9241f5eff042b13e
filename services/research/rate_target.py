"""Parse and print alert-rate targets such as `5d 2/month`."""

import re
from dataclasses import dataclass, replace

from services.core.errors import RuleError
from services.market.measure import Window
from services.market.metrics import METRICS, SPREAD
from services.rules.rule import Direction, Rule

PER_YEAR = {"day": 252, "week": 52, "month": 12, "quarter": 4, "year": 1}
EXAMPLE = "5d 2/month"
_RATE = re.compile(r"(?P<count>\d{1,4}(?:\.\d{1,2})?)/(?P<span>day|week|month|quarter|year)", re.ASCII)
_WINDOWS = {member.value: member for member in Window}
_DIRECTIONS = {member.value: member for member in Direction}


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTarget:
    """A rule with an open threshold, and the wanted number of alerts a year."""

    rule: Rule
    per_year: float


def parse_target(text: str, template: Rule) -> RateTarget:
    """Parse `WINDOW [METRIC] [above|below|either] COUNT/SPAN`, such as `5d 2/month`. Raises RuleError.

    `template` gives the pair and everything that the text does not set.
    """
    rule, per_year = replace(template, window=None, metric=SPREAD, direction=Direction.EITHER), None
    for match in re.finditer(r"\S+", text):
        word = match.group().lower()
        rate = _RATE.fullmatch(word)
        if word in _WINDOWS:
            rule = replace(rule, window=_WINDOWS[word])
        elif (metric := METRICS.get(word)) is not None and metric.series:
            rule = replace(rule, metric=metric)
        elif word in _DIRECTIONS:
            rule = replace(rule, direction=_DIRECTIONS[word])
        elif rate and float(rate["count"]):
            per_year = float(rate["count"]) * PER_YEAR[rate["span"]]
        else:
            expected = f"a window, a metric or a rate, as in “{EXAMPLE}”"
            raise RuleError(text, word=match.group(), offset=match.start(), expected=expected)
    if per_year is None:
        raise _incomplete(text, f"how many alerts, as in “{EXAMPLE}” or 10/year")
    if rule.metric.windowed and rule.window is None:
        raise _incomplete(text, f"a window ({' '.join(_WINDOWS)}), as in “{EXAMPLE}”")
    if not rule.metric.windowed:
        rule = replace(rule, window=None)
    elif rule.window not in rule.metric.windows:
        raise _incomplete(
            text, f"a window of {rule.metric.name} ({' '.join(one.value for one in rule.metric.windows)})"
        )
    return RateTarget(rule=rule, per_year=per_year)


def print_target(target: RateTarget) -> str:
    """Return the shortest text of a target, with a yearly rate; `parse_target` round-trips it for the same pair."""
    rule = target.rule
    words = [rule.window.value] if rule.window else []
    words += [rule.metric.name] if rule.metric is not SPREAD else []
    words += [rule.direction.value] if rule.direction is not Direction.EITHER else []
    return " ".join([*words, f"{target.per_year:.6g}/year"])


def _incomplete(text: str, expected: str) -> RuleError:
    return RuleError(text, word="", offset=len(text.rstrip()) + 1 if text.strip() else 0, expected=expected)

"""A draft of a rule: what stands in the fields of the editor, and what of it cannot be read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from services.core.errors import RuleError
from services.core.prices import Pair
from services.core.text import normalize
from services.market.measure import METRICS, Metric, Unit, Window
from services.rules.grammar import parse_rule
from services.rules.rule import DEFAULT_HOLD, Direction, Rule, default_clear, print_duration, print_value

AT_CLOSE = "at close"
_BARE = re.compile(r"[-+]?[\d.,]+", re.ASCII)
_OWN_OPTIONS = re.compile(
    r"\b(?:above|below|either|at close|(?:clear|for|on) \S+)(?!\S)"
)  # those that have a field of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleForm:
    """The fields as they were typed or chosen; `more` takes whatever else the grammar knows."""

    window: str = Window.D1.value
    metric: str = Metric.SPREAD.value
    threshold: str = ""
    direction: str = Direction.EITHER.value
    clear: str = ""
    hold: str = ""
    at_close: str = ""
    more: str = ""
    pair: str = ""

    @classmethod
    def of(cls, rule: Rule, *, usual: Pair) -> RuleForm:
        """Spread a rule over the fields; what has no field of its own goes into `more`."""
        _, *options = str(rule).split(print_value(rule.threshold, rule.unit), maxsplit=1)
        return cls(
            window=(rule.window or Window.D1).value,
            metric=rule.metric.value,
            threshold=print_value(rule.threshold, rule.unit),
            direction=rule.direction.value,
            clear="" if rule.clear == default_clear(rule.threshold) else print_value(rule.clear, rule.unit),
            hold="" if rule.at_close else print_duration(rule.hold),
            at_close=AT_CLOSE if rule.at_close else "",
            more=" ".join(_OWN_OPTIONS.sub("", " ".join(options)).split()),
            pair="" if rule.pair == usual else str(rule.pair),
        )

    @classmethod
    def read(cls, values: Mapping[str, str]) -> RuleForm:
        """Take the fields out of a form; what is missing there is as in an empty one."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: normalize(value).strip() for name, value in values.items() if name in known and value})

    @property
    def text(self) -> str:
        """The rule as it would be typed."""
        return " ".join(words for _, words in self._parts() if words)

    def faults(self, usual: Pair) -> dict[str, str]:
        """Say which fields cannot be read, and what would be understood there; empty where all can."""
        read, wrong = "", dict[str, str]()
        for field, words in self._parts():
            if not words and field != "threshold":
                continue
            tried = f"{read} {words}".strip()
            try:
                parse_rule(tried, usual)
            except RuleError as error:
                wrong[field] = str(error)
                if field == "threshold":  # nothing else can be read without it
                    break
            else:
                read = tried
        return wrong

    def _parts(self) -> Iterator[tuple[str, str]]:
        """Give the words of each field, in the order of the grammar."""
        metric = Metric(self.metric)
        window = self.window if METRICS[metric].windowed else ""
        named = "" if metric in {Metric.SPREAD, Metric.Z} else metric.value
        unit = METRICS[metric].unit
        yield "threshold", " ".join(filter(None, [window, named, _with_unit(self.threshold, unit)]))
        yield "direction", "" if self.direction == Direction.EITHER.value else self.direction
        yield "clear", f"clear {_with_unit(self.clear, unit)}" if self.clear else ""
        yield "hold", f"for {self.hold}" if self.hold and not self.at_close else ""
        yield "at_close", AT_CLOSE if self.at_close else ""
        yield "more", self.more
        yield "pair", f"on {self.pair}" if self.pair else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a form is about, as it travels with it: a channel, and the rule that is edited, None for a new one.

    `answers_to` is the response_url of what it was opened by: it takes an answer for half an hour, also in a channel
    that the app is not in.
    """

    channel: str
    answers_to: str
    rule_id: int | None = None

    def written(self) -> str:
        """Write it as the form carries it."""
        return json.dumps({"channel": self.channel, "answers_to": self.answers_to, "rule": self.rule_id})

    @classmethod
    def read(cls, view: Mapping[str, Any]) -> About:
        """Read it back out of a form of ours."""
        carried = json.loads(view["private_metadata"])
        answers_to = str(carried["answers_to"])
        return cls(channel=str(carried["channel"]), answers_to=answers_to, rule_id=carried["rule"])


def empty() -> RuleForm:
    """Begin with the usual rule of one day."""
    return replace(RuleForm(), threshold="8pp", hold=print_duration(DEFAULT_HOLD))


def _with_unit(value: str, unit: Unit) -> str:
    """Add the metric's unit to a bare number; whoever types 8 beside a spread means 8pp."""
    if not _BARE.fullmatch(value):
        return value
    return f"z{value}" if unit is Unit.SIGMA else f"{value}{unit.value}"

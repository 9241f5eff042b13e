"""The rule editor's fields: conversion to and from rules, and validation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from services.core.errors import RuleError
from services.core.prices import Pair
from services.core.text import normalize
from services.market.measure import Window
from services.market.metrics import METRICS, SPREAD, Unit
from services.rules.grammar import parse_rule
from services.rules.rule import DEFAULT_HOLD, Direction, Rule, default_clear, print_duration, print_value

AT_CLOSE = "at close"
_BARE = re.compile(r"[-+]?[\d.,]+", re.ASCII)
_OWN_OPTIONS = re.compile(
    r"\b(?:above|below|either|at close|(?:clear|for|on) \S+)(?!\S)"
)  # options that have their own field


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleForm:
    """The fields as typed or selected; `more` holds any other part of the grammar."""

    window: str = Window.D1.value
    metric: str = SPREAD.name
    threshold: str = ""
    direction: str = Direction.EITHER.value
    clear: str = ""
    hold: str = ""
    at_close: str = ""
    more: str = ""
    pair: str = ""

    @classmethod
    def from_rule(cls, rule: Rule, *, default_pair: Pair) -> RuleForm:
        """Return the fields for a rule; parts without a field of their own go into `more`."""
        _, *options = str(rule).split(print_value(rule.threshold, rule.unit), maxsplit=1)
        return cls(
            window=(rule.window or Window.D1).value,
            metric=rule.metric.name,
            threshold=print_value(rule.threshold, rule.unit),
            direction=rule.direction.value,
            clear="" if rule.clear == default_clear(rule.threshold) else print_value(rule.clear, rule.unit),
            hold="" if rule.at_close else print_duration(rule.hold),
            at_close=AT_CLOSE if rule.at_close else "",
            more=" ".join(_OWN_OPTIONS.sub("", " ".join(options)).split()),
            pair="" if rule.pair == default_pair else str(rule.pair),
        )

    @classmethod
    def from_values(cls, values: Mapping[str, str]) -> RuleForm:
        """Return the fields from a view's values; missing ones keep the defaults of an empty form."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: normalize(value).strip() for name, value in values.items() if name in known and value})

    @property
    def text(self) -> str:
        """The rule as it would be typed."""
        return " ".join(text for _, text in self._parts() if text)

    def errors(self, default_pair: Pair) -> dict[str, str]:
        """Return the error of each field that can't be parsed; empty if all can."""
        accepted, errors = "", dict[str, str]()
        for field, text in self._parts():
            if not text and field != "threshold":
                continue
            candidate = f"{accepted} {text}".strip()
            try:
                parse_rule(candidate, default_pair)
            except RuleError as error:
                errors[field] = str(error)
                if field == "threshold":  # the other fields can't be parsed without it
                    break
            else:
                accepted = candidate
        return errors

    def _parts(self) -> Iterator[tuple[str, str]]:
        """Yield each field and its text, in the order of the grammar."""
        metric = METRICS[self.metric]
        window = self.window if metric.windowed else ""
        metric_name = metric.name if metric.named else ""
        unit = metric.unit
        yield "threshold", " ".join(filter(None, [window, metric_name, _with_unit(self.threshold, unit)]))
        yield "direction", "" if self.direction == Direction.EITHER.value else self.direction
        yield "clear", f"clear {_with_unit(self.clear, unit)}" if self.clear else ""
        yield "hold", f"for {self.hold}" if self.hold and not self.at_close else ""
        yield "at_close", AT_CLOSE if self.at_close else ""
        yield "more", self.more
        yield "pair", f"on {self.pair}" if self.pair else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormContext:
    """A form's private metadata: its channel and the rule being edited, None for a new one.

    `response_url` belongs to the interaction that opened the form. It accepts replies for 30 minutes, even in a channel
    without the app.
    """

    channel: str
    response_url: str
    rule_id: int | None = None

    def to_json(self) -> str:
        """Return the context as the view's private_metadata."""
        return json.dumps({"channel": self.channel, "answers_to": self.response_url, "rule": self.rule_id})

    @classmethod
    def from_view(cls, view: Mapping[str, Any]) -> FormContext:
        """Parse the context of one of our views."""
        metadata = json.loads(view["private_metadata"])
        response_url = str(metadata["answers_to"])
        return cls(channel=str(metadata["channel"]), response_url=response_url, rule_id=metadata["rule"])


def default_form() -> RuleForm:
    """Return the fields of the usual 1-session rule."""
    return replace(RuleForm(), threshold="8pp", hold=print_duration(DEFAULT_HOLD))


def _with_unit(value: str, unit: Unit) -> str:
    """Add the metric's unit to a bare number: 8 next to a spread means 8pp."""
    return unit.affix(value) if _BARE.fullmatch(value) else value

"""The rule editor's fields: conversion to and from rules, and validation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from services.core.errors import NotFoundError, RuleError
from services.core.prices import Pair
from services.core.scan import DIGITS, Scanner
from services.core.text import normalize
from services.market.measure import Window
from services.market.metrics import METRICS, SPREAD, Direction, Unit
from services.rules.grammar import parse_new_rule
from services.rules.rule import DEFAULT_HOLD, Rule, default_clear, print_duration, print_value

MAX_RULE_ID = 999_999_999  # as in a command
AT_CLOSE = "at close"
OUTDATED_FORM = "This form is out of date. Close it, then type `/minerpulse rule add` to open a new one."
_NUMERIC = DIGITS | set(".,")
_OWN_OPTIONS = {  # options that have their own field, and how many words each has
    **{direction.value: 1 for direction in Direction},
    **dict.fromkeys(("at", "clear", "for", "on"), 2),
}


FIELDS_WITHOUT_ERRORS = ("window", "metric")  # selected, never typed


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
            clear="" if rule.clear == default_clear(rule) else print_value(rule.clear, rule.unit),
            hold="" if rule.at_close else print_duration(rule.hold),
            at_close=AT_CLOSE if rule.at_close else "",
            more=_other_options(" ".join(options)),
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
                parse_new_rule(candidate, default_pair)
            except RuleError as error:
                errors[field] = str(error)
                if field == "threshold":  # the other fields can't be parsed without it
                    break
            else:
                accepted = candidate
        return errors

    def _parts(self) -> Iterator[tuple[str, str]]:
        """Yield each field and its text, in the order of the grammar."""
        metric = METRICS.get(self.metric)
        if metric is None:  # the form is from another version; the parser names the metric
            yield "threshold", f"{self.window} {self.metric} {self.threshold}"
            return
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
        """Parse the context of one of our views. Raises NotFoundError if the view is from another version."""
        try:
            match json.loads(view["private_metadata"]):
                case {"channel": str(channel), "answers_to": str(response_url), "rule": int() | None as rule_id} if (
                    rule_id is None or 0 < rule_id <= MAX_RULE_ID
                ):
                    return cls(channel=channel, response_url=response_url, rule_id=rule_id)
        except (KeyError, TypeError, ValueError) as error:
            raise NotFoundError(OUTDATED_FORM) from error
        raise NotFoundError(OUTDATED_FORM)


def default_form() -> RuleForm:
    """Return the fields of the usual 1-session rule."""
    return replace(RuleForm(), threshold="8pp", hold=print_duration(DEFAULT_HOLD))


def _other_options(options: str) -> str:
    """Return the options of a rule that have no field of their own."""
    remaining, others = options.split(), list[str]()
    while remaining:
        if length := _OWN_OPTIONS.get(remaining[0], 0):
            del remaining[:length]
        else:
            others.append(remaining.pop(0))
    return " ".join(others)


def _with_unit(value: str, unit: Unit) -> str:
    """Add the metric's unit to a bare number: 8 next to a spread means 8pp."""
    scanner = Scanner(value)
    scanner.skip("-", "+")
    return unit.affix(value) if scanner.run(_NUMERIC) and scanner.is_done else value

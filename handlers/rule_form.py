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
from services.rules.rule import Rule, print_value

MAX_RULE_ID = 999_999_999  # as in a command
LIVE, AT_CLOSE = "live", "at close"
OUTDATED_FORM = "This form is out of date. Close it, then type `/minerpulse rule add` to open a new one."
FIELDS_WITHOUT_ERRORS = ("window", "metric")  # selected, never typed
_NUMERIC = DIGITS | set(".,")
_OWN_OPTIONS = {  # options that have their own field, and how many words each has
    **{direction.value: 1 for direction in Direction},
    "at": 2,
}
_EARLIER_OPTIONS = {  # fields of earlier forms, by how their value is typed among the options
    "clear": "clear {}",
    "hold": "for {}",
    "more": "{}",
    "pair": "on {}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleForm:
    """The fields as typed or selected; `options` is everything else of the grammar, as typed."""

    metric: str = SPREAD.name
    window: str = Window.D1.value
    threshold: str = ""
    direction: str = Direction.EITHER.value
    evaluate: str = LIVE
    options: str = ""

    @classmethod
    def from_rule(cls, rule: Rule, *, default_pair: Pair) -> RuleForm:
        """Return the fields for a rule; parts without a field of their own are the options."""
        _, *options = str(rule).split(print_value(rule.threshold, rule.unit), maxsplit=1)
        return cls(
            metric=rule.metric.name,
            window=(rule.window or Window.D1).value,
            threshold=print_value(rule.threshold, rule.unit),
            direction=rule.direction.value,
            evaluate=AT_CLOSE if rule.at_close else LIVE,
            options=_with_pair(_other_options(" ".join(options)), rule.pair, default_pair),
        )

    @classmethod
    def from_values(cls, values: Mapping[str, str]) -> RuleForm:
        """Return the fields from a view's values; missing ones keep the defaults of an empty form.

        A view that was opened before an upgrade has fields of its own for what are options now.
        """
        known = {field.name for field in fields(cls)}
        typed = {name: normalize(value).strip() for name, value in values.items() if value}
        form = cls(**{name: value for name, value in typed.items() if name in known})
        at_close = bool(typed.get("at_close"))
        earlier = [
            syntax.format(typed[name])
            for name, syntax in _EARLIER_OPTIONS.items()
            if typed.get(name) and not (name == "hold" and at_close)
        ]
        options = " ".join(filter(None, [form.options, *earlier]))
        return replace(form, options=options, evaluate=AT_CLOSE if at_close else form.evaluate)

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
        yield "evaluate", AT_CLOSE if self.evaluate == AT_CLOSE and not metric.closes_only else ""
        yield "options", _options_with_unit(self.options, unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormContext:
    """A form's private metadata: its channel, and the rule or the alert that it is about, None for a new rule.

    `response_url` belongs to the interaction that opened the form. It accepts replies for 30 minutes, even in a channel
    without the app.
    """

    channel: str
    response_url: str
    rule_id: int | None = None
    alert_id: int | None = None

    def to_json(self) -> str:
        """Return the context as the view's private_metadata."""
        about = {"rule": self.rule_id} if self.alert_id is None else {"alert": self.alert_id}
        return json.dumps({"channel": self.channel, "answers_to": self.response_url, **about})

    @classmethod
    def from_view(cls, view: Mapping[str, Any]) -> FormContext:
        """Parse the context of one of our views. Raises NotFoundError if the view is from another version."""
        try:
            match json.loads(view["private_metadata"]):
                case {"channel": str(channel), "answers_to": str(response_url), "rule": int() | None as rule_id} if (
                    rule_id is None or 0 < rule_id <= MAX_RULE_ID
                ):
                    return cls(channel=channel, response_url=response_url, rule_id=rule_id)
                case {"channel": str(channel), "answers_to": str(response_url), "alert": int(alert_id)} if (
                    0 < alert_id <= MAX_RULE_ID
                ):
                    return cls(channel=channel, response_url=response_url, alert_id=alert_id)
        except (KeyError, TypeError, ValueError) as error:
            raise NotFoundError(OUTDATED_FORM) from error
        raise NotFoundError(OUTDATED_FORM)


def default_form() -> RuleForm:
    """Return the fields of the usual 1-session rule."""
    return replace(RuleForm(), threshold="8pp")


def _other_options(options: str) -> str:
    """Return the options of a rule that have no field of their own."""
    remaining, others = options.split(), list[str]()
    while remaining:
        if length := _OWN_OPTIONS.get(remaining[0], 0):
            del remaining[:length]
        else:
            others.append(remaining.pop(0))
    return " ".join(others)


def _with_pair(options: str, pair: Pair, default_pair: Pair) -> str:
    """Return the options with the pair if it isn't the default one, which a rule of another default pair names."""
    named = f"on {pair}"
    without = options.removesuffix(named).rstrip()
    return without if pair == default_pair else f"{without} {named}".strip()


def _options_with_unit(options: str, unit: Unit) -> str:
    """Add the metric's unit to a clear level that is a bare number."""
    typed = options.split()
    for at, word in enumerate(typed[:-1]):
        if word.lower() == "clear":
            typed[at + 1] = _with_unit(typed[at + 1], unit)
    return " ".join(typed)


def _with_unit(value: str, unit: Unit) -> str:
    """Add the metric's unit to a bare number: 8 next to a spread means 8pp."""
    scanner = Scanner(value)
    scanner.skip("-", "+")
    return unit.affix(value) if scanner.run(_NUMERIC) and scanner.is_done else value

"""The rule grammar: one parser for Slack, the terminal, settings and replay files.

    WINDOW [METRIC] THRESHOLD [above|below|either] [clear VALUE] [for DURATION] [keep DURATION] [repeat DURATION]
        [at close] [on ETF/CRYPTO]

`1d 8pp` · `5d 15pp above clear 10pp` · `1d z3.5` · `20d residual 10pp for 10m keep 10m` · `gap 5%` · `drawdown 60%`
`20d hashprice 15% below` · `5d difficulty 5%`
"""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache

from services.core.errors import RuleError
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.core.text import normalize
from services.market.measure import METRICS, Metric, Unit, Window
from services.rules.rule import (
    DECIMAL_PLACES,
    EXAMPLE,
    MAX_HOLD,
    REPEAT_RANGE,
    SECONDS_PER_UNIT,
    Direction,
    Rule,
    default_clear,
    print_value,
)

_MAX_VALUES = {Unit.PP: 10.0, Unit.PERCENT: 1.0, Unit.SIGMA: 100.0}
_VALUE_SYNTAX = {
    Unit.PP: "percentage points, as in 8pp",
    Unit.PERCENT: "a percentage, as in 5%",
    Unit.SIGMA: "a robust z, as in z3.5",
}
_WINDOWS = " ".join(window.value for window in Window)
_METRICS = "spread, residual, z, hashprice or difficulty"
_OPTIONS = {
    "above": "direction",
    "below": "direction",
    "either": "direction",
    "clear": "clear",
    "for": "hold",
    "keep": "keep",
    "repeat": "repeat",
    "at": "at_close",
    "on": "pair",
}
_ANY_OPTION = "above, below, either, clear, for, keep, repeat, at close or on"
_HOLD_RANGE = timedelta(0), MAX_HOLD
_WORD = re.compile(r"[-+]?[\d.,]+\s+(?:pp|%|bps?|[dsmh])(?!\S)|\S+", re.ASCII | re.IGNORECASE)  # `8 pp` is one word
_VALUE = re.compile(r"(?P<z>z)?(?P<number>\d+(?:\.\d+)?|\.\d+)(?P<unit>pp|%|bps?)?", re.ASCII)
_SIGNED = re.compile(r"(?P<z>z?)(?P<sign>[-+])(?P<size>.+)", re.ASCII | re.IGNORECASE)
_BASIS_POINTS = {"bp": 2, "bps": 2}  # decimal places between a basis point and a hundredth
_DURATION = re.compile(r"(?P<count>\d{1,4})(?P<unit>[smh])", re.ASCII)
_PAIR = re.compile(r"(?P<etf>[A-Z][A-Z0-9.]{0,9})/(?P<crypto>[A-Z][A-Z0-9]{0,9})", re.ASCII)


@lru_cache(maxsize=2_048)
def parse_rule(text: str, pair: Pair = WGMI_BTC) -> Rule:
    """Parse a rule; case and spacing do not matter. Raises RuleError, which points at the wrong word.

    `pair` is the default for a rule that names none. 800bp and 8% of a spread mean 8pp, and a sign is a direction: −8pp
    means 8pp below.
    """
    return _Parser(normalize(text)).rule(pair)


class _Parser:
    """One pass over the words of a rule; each method consumes its own words, or raises RuleError at the wrong one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = [(match.group(), match.start()) for match in _WORD.finditer(text)]
        self.next = 0

    def rule(self, pair: Pair) -> Rule:
        """Parse the window, the metric and the threshold, then the options in any order, each at most once."""
        window = self.window()
        metric = self.metric(windowed=window is not None)
        direction = self.sign(metric)
        threshold = self.value(METRICS[metric].unit)
        rule = Rule(window=window, metric=metric, threshold=threshold, clear=default_clear(threshold), pair=pair)
        seen: set[str] = set()
        if direction is not None:
            rule, seen = replace(rule, direction=direction), {"direction"}
        while self.next < len(self.words):
            field, value = self.option(rule, seen)
            seen.add(field)
            rule = replace(rule, **{field: value})  # type: ignore[arg-type]  # option() pairs them
        self.check_network(rule)
        return replace(rule, hold=timedelta(0)) if rule.at_close else rule

    def check_network(self, rule: Rule) -> None:
        """Raise RuleError at the metric's name if it needs the bitcoin network and the pair has no bitcoin."""
        if METRICS[rule.metric].needs_network and rule.pair.crypto != WGMI_BTC.crypto:
            self.next = 1
            raise self.error(f"a pair with {WGMI_BTC.crypto}, whose network it is, as in “on {WGMI_BTC}”")

    def window(self) -> Window | None:
        word = self.peek()
        if word in {window.value for window in Window}:
            self.next += 1
            return Window(word)
        if word in {metric.value for metric, row in METRICS.items() if not row.windowed}:
            return None
        if word in {metric.value for metric in METRICS}:
            raise self.error(f"a window before it ({_WINDOWS}), as in “{_example_rule(word)}”")
        raise self.error(f"a window ({_WINDOWS}), gap or drawdown, as in “{EXAMPLE}”")

    def metric(self, *, windowed: bool) -> Metric:
        word = self.peek()
        if re.match(r"[-+]?z[-+]?[\d.]", word):
            return Metric.Z
        metrics = {metric.value: metric for metric, row in METRICS.items() if row.windowed is windowed}
        if word in metrics:
            self.next += 1
            return metrics[word]
        if re.match(r"[a-z]", word):
            raise self.error(f"a threshold, as in 8pp or z3.5, or a metric: {_METRICS}")
        return Metric.SPREAD

    def sign(self, metric: Metric) -> Direction | None:
        """Remove the sign from a threshold: minus means below, plus above; None without one."""
        match = _SIGNED.fullmatch(self.peek())
        if match is None:
            return None
        if metric is Metric.DRAWDOWN:
            raise self.error("no sign: a drawdown is a depth, as in 60%")
        self.words[self.next] = (match["z"] + match["size"], self.words[self.next][1])
        return Direction.BELOW if match["sign"] == "-" else Direction.ABOVE

    def value(self, unit: Unit, *, max_value: float | None = None) -> float:
        """Parse a value in its unit. `z 3.5` may be two words, and % counts as pp for a spread."""
        word = self.peek()
        if re.fullmatch(r"z?[\d.,]*,[\d.,]+\D*", word):
            raise self.error(f"{_VALUE_SYNTAX[unit]}, with a point for decimals and no comma")
        match = _VALUE.fullmatch(word)
        if match is None or not _has_unit(match, unit):
            raise self.error(_VALUE_SYNTAX[unit])
        places = DECIMAL_PLACES[unit] + _BASIS_POINTS.get(match["unit"], 0)
        value = float(Decimal(match["number"]).scaleb(-places))
        if not 0 < value <= (max_value or _MAX_VALUES[unit]):
            raise self.error(
                f"{_VALUE_SYNTAX[unit]}, above 0 and at most {print_value(max_value or _MAX_VALUES[unit], unit)}"
            )
        self.next += 1
        return value

    def option(self, rule: Rule, seen: set[str]) -> tuple[str, object]:
        """Parse one option; return the field of Rule that it sets, and the value."""
        word = self.peek()
        field = _OPTIONS.get(word)
        if field is None:
            close_matches = difflib.get_close_matches(word, _OPTIONS, n=1)
            raise self.error(f"“{close_matches[0]}”" if close_matches else _ANY_OPTION)
        if field in seen:
            raise self.error(f"“{word}” only once, as it is settled already")
        for other, name in (("hold", "for"), ("keep", "keep")):
            if {field} | seen >= {other, "at_close"}:
                raise self.error(f"either “{name}” or “at close”: a close is decided once, with nothing to wait for")
        if word == "below" and rule.metric is Metric.DRAWDOWN:
            raise self.error("no “below”: a drawdown is a depth, and fires when it is deeper")
        self.next += 1
        return field, self.setting(field, word, rule)

    def setting(self, field: str, word: str, rule: Rule) -> object:
        """Parse the words after the first word of an option."""
        match field:
            case "direction":
                return Direction(word)
            case "clear":
                return self.value(rule.unit, max_value=rule.threshold)
            case "hold" | "keep":
                return self.duration(_HOLD_RANGE, "a duration of at most 6h, as in 90s, 10m or 1h")
            case "repeat":
                return self.duration(REPEAT_RANGE, "a duration from 15m to 24h, as in 30m or 4h")
            case "at_close":
                return self.close()
            case _:
                return self.pair()

    def duration(self, limits: tuple[timedelta, timedelta], expected: str) -> timedelta:
        match = _DURATION.fullmatch(self.peek())
        duration = timedelta(seconds=int(match["count"]) * SECONDS_PER_UNIT[match["unit"]]) if match else None
        if duration is None or not limits[0] <= duration <= limits[1]:
            raise self.error(expected)
        self.next += 1
        return duration

    def close(self) -> bool:
        if self.peek() != "close":
            raise self.error("“close”, as in “at close”")
        self.next += 1
        return True

    def pair(self) -> Pair:
        match = _PAIR.fullmatch(self.peek().upper())
        if match is None:
            raise self.error(f"a pair of symbols, as in {WGMI_BTC}")
        self.next += 1
        return Pair(etf=Symbol(match["etf"]), crypto=Symbol(match["crypto"]))

    def peek(self) -> str:
        return "".join(self.words[self.next][0].lower().split()) if self.next < len(self.words) else ""

    def error(self, expected: str) -> RuleError:
        end = len(self.text.rstrip()) + 1 if self.words else 0
        word, offset = self.words[self.next] if self.next < len(self.words) else ("", end)
        return RuleError(self.text, word=word, offset=offset, expected=expected)


def _example_rule(metric: str) -> str:
    return {"z": "20d z3.5"}.get(metric, f"20d {metric} {'10%' if METRICS[Metric(metric)].needs_network else '10pp'}")


def _has_unit(match: re.Match[str], unit: Unit) -> bool:
    if unit is Unit.SIGMA:
        return match["unit"] is None
    return match["z"] is None and match["unit"] in {"%", *_BASIS_POINTS, *(["pp"] if unit is Unit.PP else [])}

"""The rule grammar, one parser for Slack, the terminal, settings and replay files.

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
    EXAMPLE,
    LONGEST_HOLD,
    PLACES,
    REPEATS,
    SECONDS,
    Direction,
    Rule,
    default_clear,
    print_value,
)

_LARGEST = {Unit.PP: 10.0, Unit.PERCENT: 1.0, Unit.SIGMA: 100.0}
_FORMS = {
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
_HOLDS = timedelta(0), LONGEST_HOLD
_WORD = re.compile(r"[-+]?[\d.,]+\s+(?:pp|%|bps?|[dsmh])(?!\S)|\S+", re.ASCII | re.IGNORECASE)  # 8 pp is one word
_VALUE = re.compile(r"(?P<z>z)?(?P<number>\d+(?:\.\d+)?|\.\d+)(?P<unit>pp|%|bps?)?", re.ASCII)
_SIGNED = re.compile(r"(?P<z>z?)(?P<sign>[-+])(?P<size>.+)", re.ASCII | re.IGNORECASE)
_BASIS_POINTS = {"bp": 2, "bps": 2}  # decimal places between a basis point and a hundredth
_DURATION = re.compile(r"(?P<count>\d{1,4})(?P<unit>[smh])", re.ASCII)
_PAIR = re.compile(r"(?P<etf>[A-Z][A-Z0-9.]{0,9})/(?P<crypto>[A-Z][A-Z0-9]{0,9})", re.ASCII)


@lru_cache(maxsize=2_048)
def parse_rule(text: str, pair: Pair = WGMI_BTC) -> Rule:
    """Read a rule; letter case and spacing do not matter. Raises RuleError, which points at the offending word.

    `pair` is what a rule that names none is about. 800bp and 8% of a spread are 8pp, and a sign is a direction: −8pp is
    8pp below.
    """
    return _Parser(normalize(text)).rule(pair)


class _Parser:
    """One pass over the words of a rule; each step takes the words that are its own, or points at the wrong one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = [(match.group(), match.start()) for match in _WORD.finditer(text)]
        self.next = 0

    def rule(self, pair: Pair) -> Rule:
        """Read the window, the metric and the threshold, then the options in any order, each at most once."""
        window = self.window()
        metric = self.metric(windowed=window is not None)
        side = self.sign(metric)
        threshold = self.value(METRICS[metric].unit)
        rule = Rule(window=window, metric=metric, threshold=threshold, clear=default_clear(threshold), pair=pair)
        given: set[str] = set()
        if side is not None:
            rule, given = replace(rule, direction=side), {"direction"}
        while self.next < len(self.words):
            field, value = self.option(rule, given)
            given.add(field)
            rule = replace(rule, **{field: value})  # type: ignore[arg-type]  # option() pairs them
        self.check_network(rule)
        return replace(rule, hold=timedelta(0)) if rule.at_close else rule

    def check_network(self, rule: Rule) -> None:
        """Refuse a metric of the bitcoin network for a pair without bitcoin, and point at its name."""
        if METRICS[rule.metric].of_network and rule.pair.crypto != WGMI_BTC.crypto:
            self.next = 1
            raise self.complaint(f"a pair with {WGMI_BTC.crypto}, whose network it is, as in “on {WGMI_BTC}”")

    def window(self) -> Window | None:
        word = self.peek()
        if word in {window.value for window in Window}:
            self.next += 1
            return Window(word)
        if word in {metric.value for metric, row in METRICS.items() if not row.windowed}:
            return None
        if word in {metric.value for metric in METRICS}:
            raise self.complaint(f"a window before it ({_WINDOWS}), as in “{_exemplified(word)}”")
        raise self.complaint(f"a window ({_WINDOWS}), gap or drawdown, as in “{EXAMPLE}”")

    def metric(self, *, windowed: bool) -> Metric:
        word = self.peek()
        if re.match(r"[-+]?z[-+]?[\d.]", word):
            return Metric.Z
        named = {metric.value: metric for metric, row in METRICS.items() if row.windowed is windowed}
        if word in named:
            self.next += 1
            return named[word]
        if re.match(r"[a-z]", word):
            raise self.complaint(f"a threshold, as in 8pp or z3.5, or a metric: {_METRICS}")
        return Metric.SPREAD

    def sign(self, metric: Metric) -> Direction | None:
        """Take the sign off a threshold: a minus means below, a plus above; None without one."""
        match = _SIGNED.fullmatch(self.peek())
        if match is None:
            return None
        if metric is Metric.DRAWDOWN:
            raise self.complaint("no sign: a drawdown is a depth, as in 60%")
        self.words[self.next] = (match["z"] + match["size"], self.words[self.next][1])
        return Direction.BELOW if match["sign"] == "-" else Direction.ABOVE

    def value(self, unit: Unit, *, largest: float | None = None) -> float:
        """Read a value in its unit; `z 3.5` may stand apart, and % counts as pp where a spread is meant."""
        word = self.peek()
        if re.fullmatch(r"z?[\d.,]*,[\d.,]+\D*", word):
            raise self.complaint(f"{_FORMS[unit]}, with a point for decimals and no comma")
        match = _VALUE.fullmatch(word)
        if match is None or not _fits(match, unit):
            raise self.complaint(_FORMS[unit])
        places = PLACES[unit] + _BASIS_POINTS.get(match["unit"], 0)
        value = float(Decimal(match["number"]).scaleb(-places))
        if not 0 < value <= (largest or _LARGEST[unit]):
            raise self.complaint(f"{_FORMS[unit]}, above 0 and at most {print_value(largest or _LARGEST[unit], unit)}")
        self.next += 1
        return value

    def option(self, rule: Rule, given: set[str]) -> tuple[str, object]:
        """Read one option; give the field of Rule that it sets and the value."""
        word = self.peek()
        field = _OPTIONS.get(word)
        if field is None:
            near = difflib.get_close_matches(word, _OPTIONS, n=1)
            raise self.complaint(f"“{near[0]}”" if near else _ANY_OPTION)
        if field in given:
            raise self.complaint(f"“{word}” only once, as it is settled already")
        for lasting, name in (("hold", "for"), ("keep", "keep")):
            if {field} | given >= {lasting, "at_close"}:
                raise self.complaint(
                    f"either “{name}” or “at close”: a close is decided once, with nothing to wait for"
                )
        if word == "below" and rule.metric is Metric.DRAWDOWN:
            raise self.complaint("no “below”: a drawdown is a depth, and fires when it is deeper")
        self.next += 1
        return field, self.setting(field, word, rule)

    def setting(self, field: str, word: str, rule: Rule) -> object:
        """Read what stands behind the first word of an option."""
        match field:
            case "direction":
                return Direction(word)
            case "clear":
                return self.value(rule.unit, largest=rule.threshold)
            case "hold" | "keep":
                return self.duration(_HOLDS, "a duration of at most 6h, as in 90s, 10m or 1h")
            case "repeat":
                return self.duration(REPEATS, "a duration from 15m to 24h, as in 30m or 4h")
            case "at_close":
                return self.close()
            case _:
                return self.pair()

    def duration(self, between: tuple[timedelta, timedelta], expected: str) -> timedelta:
        match = _DURATION.fullmatch(self.peek())
        span = timedelta(seconds=int(match["count"]) * SECONDS[match["unit"]]) if match else None
        if span is None or not between[0] <= span <= between[1]:
            raise self.complaint(expected)
        self.next += 1
        return span

    def close(self) -> bool:
        if self.peek() != "close":
            raise self.complaint("“close”, as in “at close”")
        self.next += 1
        return True

    def pair(self) -> Pair:
        match = _PAIR.fullmatch(self.peek().upper())
        if match is None:
            raise self.complaint(f"a pair of symbols, as in {WGMI_BTC}")
        self.next += 1
        return Pair(etf=Symbol(match["etf"]), crypto=Symbol(match["crypto"]))

    def peek(self) -> str:
        return "".join(self.words[self.next][0].lower().split()) if self.next < len(self.words) else ""

    def complaint(self, expected: str) -> RuleError:
        end = len(self.text.rstrip()) + 1 if self.words else 0
        word, at = self.words[self.next] if self.next < len(self.words) else ("", end)
        return RuleError(self.text, word=word, at=at, expected=expected)


def _exemplified(metric: str) -> str:
    return {"z": "20d z3.5"}.get(metric, f"20d {metric} {'10%' if METRICS[Metric(metric)].of_network else '10pp'}")


def _fits(match: re.Match[str], unit: Unit) -> bool:
    if unit is Unit.SIGMA:
        return match["unit"] is None
    return match["z"] is None and match["unit"] in {"%", *_BASIS_POINTS, *(["pp"] if unit is Unit.PP else [])}

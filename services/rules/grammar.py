"""The rule grammar: one parser for Slack, the terminal, settings and replay files.

    WINDOW [METRIC] THRESHOLD [above|below|either] [clear VALUE] [for DURATION] [keep DURATION] [repeat DURATION]
        [at close] [on ETF/CRYPTO]

`1d 8pp` · `5d 15pp above clear 10pp` · `1d z3.5` · `20d residual 10pp for 10m keep 10m` · `gap 5%` · `drawdown 60%`
`20d hashprice 15% below` · `5d difficulty 5%`
"""

import difflib
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache

from services.core.errors import RuleError
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.core.scan import DIGITS, LOWERCASE, Scanner, Word, is_symbol, words
from services.core.text import MAX_TYPED, normalize
from services.market.measure import Window
from services.market.metrics import METRICS, SPREAD, Metric, Unit
from services.rules.rule import (
    EXAMPLE,
    MAX_HOLD,
    REPEAT_RANGE,
    SECONDS_PER_UNIT,
    Direction,
    Rule,
    default_clear,
    print_value,
)

_WINDOWS = " ".join(window.value for window in Window)
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
_SIGNS = "-", "+"
_NUMERIC = DIGITS | set(".,")
_DURATION_DIGITS = 4


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
        if len(text) > MAX_TYPED:
            raise RuleError("", word=text, offset=0, expected=f"at most {MAX_TYPED} characters, not {len(text):,}")
        self.words = _find_words(text)
        self.next = 0

    def rule(self, pair: Pair) -> Rule:
        """Parse the window, the metric and the threshold, then the options in any order, each at most once."""
        window = self.window()
        metric = self.metric(window)
        direction = self.sign(metric)
        threshold = self.value(metric.unit)
        rule = Rule(window=window, metric=metric, threshold=threshold, clear=default_clear(threshold), pair=pair)
        seen: set[str] = set()
        if direction is not None:
            rule, seen = replace(rule, direction=direction), {"direction"}
            self.check_sign(direction)
        while self.next < len(self.words):
            field, value = self.option(rule, seen)
            seen.add(field)
            rule = replace(rule, **{field: value})  # type: ignore[arg-type]  # option() pairs them
        self.check_network(rule)
        return replace(rule, hold=timedelta(0)) if rule.at_close else rule

    def check_network(self, rule: Rule) -> None:
        """Raise RuleError at the metric's name if it needs the bitcoin network and the pair has no bitcoin."""
        if rule.metric.needs_network and rule.pair.crypto != WGMI_BTC.crypto:
            self.next = 1
            raise self.error(f"a pair with {WGMI_BTC.crypto}, whose network it is, as in “on {WGMI_BTC}”")

    def window(self) -> Window | None:
        word = self.peek()
        if word in {window.value for window in Window}:
            self.next += 1
            return Window(word)
        metric = METRICS.get(word)
        if metric is None:
            raise self.error(f"a window ({_WINDOWS}), {_metric_names(windowed=False)}, as in “{EXAMPLE}”")
        if metric.windowed:
            raise self.error(f"a window before it ({_WINDOWS}), as in “{_example(metric)}”")
        return None

    def metric(self, window: Window | None) -> Metric:
        """Parse a metric's name; without one, the prefix of the threshold selects the metric."""
        word = self.peek()
        metric = METRICS.get(word)
        if metric is not None and metric.windowed is (window is not None):
            self.next += 1
        else:
            metric = _unnamed_metric(word)
        if metric is None:
            raise self.error(f"a threshold, as in 8pp or z3.5, or a metric: {_metric_names(windowed=True)}")
        if window is not None and window not in metric.windows:
            self.next = 0
            raise self.error(f"a window of {metric.name} ({' '.join(one.value for one in metric.windows)})")
        return metric

    def sign(self, metric: Metric) -> Direction | None:
        """Remove the sign from a threshold: minus means below, plus above; None without one."""
        scanner = Scanner(self.peek())
        prefix = scanner.skip(*{one.unit.prefix for one in METRICS.values() if one.unit.prefix})
        sign = scanner.skip(*_SIGNS)
        if not sign or scanner.is_done:
            return None
        if metric.magnitude:
            raise self.error(f"no sign: a {metric.name} is a {metric.magnitude.noun}, as in {metric.example}")
        self.words[self.next] = Word(prefix + scanner.rest, self.words[self.next].at)
        return Direction.BELOW if sign == "-" else Direction.ABOVE

    def check_sign(self, direction: Direction) -> None:
        """Raise RuleError at a side that the words name beside a sign, which is one already."""
        sign = "-" if direction is Direction.BELOW else "+"
        for at in range(self.next, len(self.words)):
            if self.words[at].text.lower() in {one.value for one in Direction}:
                self.next = at
                text = self.text[: self.words[at].at].rstrip()
                name = "minus" if direction is Direction.BELOW else "plus"
                raise self.error(
                    f"no side, as the {name} sign means {direction.value} already. Keep one of them, as in "
                    f"“{text.replace(sign, '', 1)} {direction.value}”"
                )

    def value(self, unit: Unit, *, max_value: float | None = None) -> float:
        """Parse a value in its unit. `z 3.5` may be two words, and % counts as pp for a spread."""
        word = self.peek()
        if _has_comma(word):
            raise self.error(f"{unit.syntax}, with a point for decimals and no comma")
        scanner = Scanner(word)
        prefix, number, suffix = scanner.run(LOWERCASE), scanner.number(), scanner.run(LOWERCASE | {"%"})
        if not number or not scanner.is_done or prefix not in {"", unit.prefix} or suffix not in unit.suffixes:
            raise self.error(unit.syntax)
        places = unit.decimals + unit.suffixes[suffix]
        value, largest = float(Decimal(number).scaleb(-places)), max_value or unit.max_value
        if not 0 < value <= largest:
            raise self.error(f"{unit.syntax}, above 0 and at most {print_value(largest, unit)}")
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
        if word == "below" and (magnitude := rule.metric.magnitude):
            name = rule.metric.name
            raise self.error(
                f"no “below”: a {name} is a {magnitude.noun}, and fires when it is {magnitude.comparative}"
            )
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
        scanner = Scanner(self.peek())
        count, unit = scanner.run(DIGITS, _DURATION_DIGITS), scanner.rest
        is_duration = count and unit in SECONDS_PER_UNIT
        duration = timedelta(seconds=int(count) * SECONDS_PER_UNIT[unit]) if is_duration else None
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
        etf, _, crypto = self.peek().upper().partition("/")
        if not is_symbol(etf, extra=".") or not is_symbol(crypto):
            raise self.error(f"a pair of symbols, as in {WGMI_BTC}")
        self.next += 1
        return Pair(etf=Symbol(etf), crypto=Symbol(crypto))

    def peek(self) -> str:
        return "".join(self.words[self.next].text.lower().split()) if self.next < len(self.words) else ""

    def error(self, expected: str) -> RuleError:
        end = len(self.text.rstrip()) + 1 if self.words else 0
        word, offset = self.words[self.next] if self.next < len(self.words) else Word("", end)
        return RuleError(self.text, word=word, offset=offset, expected=expected)


def _find_words(text: str) -> list[Word]:
    """Return the words of a rule; a number and its unit, as in `8 pp`, are one word."""
    suffixes = {suffix for metric in METRICS.values() for suffix in metric.unit.suffixes if suffix}
    units = {*suffixes, *SECONDS_PER_UNIT, "d"}
    found = list[Word]()
    for word in words(text):
        before = found[-1] if found else Word("", 0)
        if word.text.lower() in units and _is_number(before.text):
            found[-1] = Word(text[before.at : word.at + len(word.text)], before.at)
        else:
            found.append(word)
    return found


def _is_number(word: str) -> bool:
    """Return whether a word looks like a number, with or without a sign."""
    scanner = Scanner(word)
    scanner.skip(*_SIGNS)
    return bool(scanner.run(_NUMERIC)) and scanner.is_done


def _has_comma(word: str) -> bool:
    """Return whether a value has a decimal comma or separates its thousands."""
    scanner = Scanner(word)
    scanner.skip("z")
    return "," in scanner.run(_NUMERIC)[:-1] and DIGITS.isdisjoint(scanner.rest)


def _unnamed_metric(word: str) -> Metric | None:
    """Return the metric of a threshold without a name; None if the word is no threshold."""
    prefixed = [metric for metric in METRICS.values() if metric.unit.prefix and not metric.named]
    for metric in prefixed:
        scanner = Scanner(word)
        scanner.skip(*_SIGNS)
        if scanner.skip(metric.unit.prefix) and (scanner.skip(*_SIGNS), scanner.next)[1] in DIGITS | {"."}:
            return metric
    return None if word[:1] in LOWERCASE else SPREAD


def _metric_names(*, windowed: bool) -> str:
    *names, last = (metric.name for metric in METRICS.values() if metric.windowed is windowed)
    return f"{', '.join(names)} or {last}" if names else last


def _example(metric: Metric) -> str:
    """Return a rule on a metric, with its name unless the prefix of the threshold selects it."""
    window = Window.D20 if Window.D20 in metric.windows else metric.windows[0]
    name = f"{metric.name} " if metric.named or not metric.unit.prefix else ""
    return f"{window.value} {name}{metric.example}"

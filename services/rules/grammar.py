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
from services.market.metrics import METRICS, SPREAD, Direction, Metric, Unit
from services.rules.rule import (
    EXAMPLE,
    MAX_HOLD,
    REPEAT_RANGE,
    SECONDS_PER_UNIT,
    Rule,
    print_value,
    rounded,
    successor_of,
    with_default_clear,
)

_WINDOWS = " ".join(window.value for window in Window)
_OPTIONS = {
    **{direction.value: "direction" for direction in Direction},
    "clear": "clear",
    "for": "hold",
    "keep": "keep",
    "repeat": "repeat",
    "at": "at_close",
    "on": "pair",
}
_DIRECTIONS = frozenset(direction.value for direction in Direction)
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


def parse_new_rule(text: str, pair: Pair = WGMI_BTC) -> Rule:
    """Parse a rule that is to be added.

    Raises RuleError also at one that is kept only where it exists already: a retired window, or a level so small that
    it compares as 0.
    """
    rule = parse_rule(text, pair)
    if not rounded(min(rule.threshold, rule.clear)):
        raise RuleError("", word=text.strip(), offset=0, expected="levels that differ from 0 in six decimals")
    successor = successor_of(rule)
    if successor is None:
        return rule
    first = next(words(normalize(text)))
    expected = (
        f"a window of at most 20 sessions for {rule.metric.name}, as a year holds too few longer ones to compare with. "
        f"The closest rule is “{successor}”"
    )
    raise RuleError(normalize(text), word=first.text, offset=first.at, expected=expected)


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
        metric, side = self.metric(window)
        sign = self.sign(metric)
        threshold = self.value(metric.unit)
        rule = Rule(window=window, metric=metric, threshold=threshold, direction=metric.direction, clear=0.0, pair=pair)
        seen = {"at_close"} if metric.closes_only else set[str]()
        if sign is not None:
            self.check_sign(sign)
        if (direction := sign or side) is not None:
            rule, seen = replace(rule, direction=direction), {*seen, "direction"}
        clear_at = None
        while self.next < len(self.words):
            at = self.next
            field, value = self.option(rule, seen)
            clear_at = at + 1 if field == "clear" else clear_at
            seen.add(field)
            rule = replace(rule, **{field: value})  # type: ignore[arg-type]  # option() pairs them
        rule = with_default_clear(rule) if clear_at is None else rule
        self.check_level(rule, clear_at)
        self.check_network(rule)
        at_close = rule.at_close or metric.closes_only
        return replace(rule, hold=timedelta(0), at_close=True) if at_close else rule

    def check_level(self, rule: Rule, clear_at: int | None) -> None:
        """Raise RuleError if the clear level of a level is not behind its threshold, or cannot be reached."""
        if not rule.unit.is_level:
            return
        self.next = len(self.words) if clear_at is None else clear_at
        threshold, clear = print_value(rule.threshold, rule.unit), print_value(rule.clear, rule.unit)
        below = rule.direction is Direction.BELOW
        if rule.clear == rule.threshold or (rule.clear > rule.threshold) is not below:
            side, example = ("above", "below") if below else ("below", "above")
            raise self.error(
                f"a clear level {side} {threshold}, where a rule that fires {example} it ends, not {clear}"
            )
        if rule.clear <= 0:
            raise self.error(f"a clear level above 0, as “clear {print_value(rule.threshold / 2, rule.unit)}”")

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

    def metric(self, window: Window | None) -> tuple[Metric, Direction | None]:
        """Parse a metric's name, and a direction before the threshold.

        Without a name, the prefix or suffix of the threshold selects the metric.
        """
        word = self.peek()
        metric = METRICS.get(word)
        if metric is not None and metric.windowed is (window is not None):
            self.next += 1
            side = self.side(metric)
        else:
            metric = None
            side = self.side(None)
            metric = _unnamed_metric(self.peek())
        if metric is None:
            raise self.error(f"a threshold, as in 8pp or z3.5, or a metric: {_metric_names(windowed=True)}")
        if window is not None and window not in metric.windows:
            self.next = 0
            raise self.error(f"a window of {metric.name} ({' '.join(one.value for one in metric.windows)})")
        return metric, side

    def side(self, metric: Metric | None) -> Direction | None:
        """Parse a direction before the threshold; None without one."""
        word = self.peek()
        if word not in _DIRECTIONS:
            return None
        self.check_side(word, metric)
        self.next += 1
        return Direction(word)

    def check_side(self, word: str, metric: Metric | None) -> None:
        """Raise RuleError at a direction that a metric does not have."""
        if metric is None:
            return
        if word == "below" and (magnitude := metric.magnitude):
            raise self.error(
                f"no “below”: a {metric.name} is a {magnitude.noun}, and fires when it is {magnitude.comparative}"
            )
        if word == "either" and metric.unit.is_level:
            raise self.error(f"“above” or “below”: a {metric.name} is a level, with one side")

    def sign(self, metric: Metric) -> Direction | None:
        """Remove the sign from a threshold: minus means below, plus above; None without one."""
        scanner = Scanner(self.peek())
        prefix = scanner.skip(*{one.unit.prefix for one in METRICS.values() if one.unit.prefix})
        sign = scanner.skip(*_SIGNS)
        if not sign or scanner.is_done:
            return None
        if not metric.signed:
            noun = metric.magnitude.noun if metric.magnitude else "level"
            raise self.error(f"no sign: a {metric.name} is a {noun}, as in {metric.example}")
        self.words[self.next] = Word(prefix + scanner.rest, self.words[self.next].at)
        return Direction.BELOW if sign == "-" else Direction.ABOVE

    def check_sign(self, direction: Direction) -> None:
        """Raise RuleError at a side that the words name beside a sign, which is one already."""
        sign = "-" if direction is Direction.BELOW else "+"
        for at, word in enumerate(self.words):
            if word.text.lower() in _DIRECTIONS:
                rest = self.text[: word.at].rstrip() if at >= self.next else self.text[word.at + len(word.text) :]
                name = "minus" if direction is Direction.BELOW else "plus"
                self.next = at
                raise self.error(
                    f"no side, as the {name} sign means {direction.value} already. Keep one of them, as in "
                    f"“{rest.replace(sign, '', 1)} {direction.value}”"
                )

    def value(self, unit: Unit, *, max_value: float | None = None) -> float:
        """Parse a value in its unit. `z 3.5` may be two words, and % counts as pp for a spread."""
        word = self.peek()
        if _has_comma(word):
            raise self.error(f"{unit.syntax}, with a point for decimals and no comma")
        scanner = Scanner(word)
        prefix, number, suffix = scanner.run(LOWERCASE), scanner.number(), scanner.run(LOWERCASE | {"%", "σ"})
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
        if field in seen and not (field == "at_close" and rule.metric.closes_only):
            raise self.error(f"“{word}” only once, as it is settled already")
        for other, name in (("hold", "for"), ("keep", "keep")):
            if {field} | seen >= {other, "at_close"}:
                raise self.error(f"either “{name}” or “at close”: a close is decided once, with nothing to wait for")
        if field == "direction":
            self.check_side(word, rule.metric)
        self.next += 1
        return field, self.setting(field, word, rule)

    def setting(self, field: str, word: str, rule: Rule) -> object:
        """Parse the words after the first word of an option."""
        match field:
            case "direction":
                return Direction(word)
            case "clear":
                margin = rule.unit.margin
                return self.value(
                    rule.unit, max_value=rule.threshold if margin is None else rule.unit.max_value + margin
                )
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
    for metric in METRICS.values():
        unit, scanner = metric.unit, Scanner(word)
        if metric.named or metric is SPREAD:
            continue
        scanner.skip(*_SIGNS)
        if unit.prefix and scanner.skip(unit.prefix) and (scanner.skip(*_SIGNS), scanner.next)[1] in DIGITS | {"."}:
            return metric
        if not unit.prefix and scanner.run(_NUMERIC) and scanner.rest and scanner.rest in unit.suffixes:
            return metric
    return None if word[:1] in LOWERCASE else SPREAD


def _metric_names(*, windowed: bool) -> str:
    *names, last = (metric.name for metric in METRICS.values() if metric.windowed is windowed)
    return f"{', '.join(names)} or {last}" if names else last


def _example(metric: Metric) -> str:
    """Return a rule on a metric, with its name unless the prefix of the threshold selects it."""
    window = Window.D20 if Window.D20 in metric.windows else metric.windows[0]
    name = f"{metric.name} " if metric.named else ""
    return f"{window.value} {name}{metric.example}"

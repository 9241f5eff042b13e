"""The rule grammar: one parser for Slack, the terminal, settings and replay files.

    [WINDOW] [METRIC] THRESHOLD [above|below|either] [clear VALUE] [for DURATION] [keep DURATION] [repeat DURATION]
        [at close] [on ETF/CRYPTO]

`1d 8pp` · `5d 15pp above clear 10pp` · `1d z3.5` · `20d residual 10pp for 10m keep 10m` · `gap 5%` · `drawdown 60%`
`20d hashprice 15% below` · `5d difficulty 5%`

What people type on a phone is read as well: `1 day, 8 percent`, `1d > 8pp for 10 minutes`, `8pp 1d`.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from math import inf

from services.core.errors import RuleError
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.core.scan import DIGITS, LOWERCASE, WHITESPACE, Scanner, Word, is_symbol, words
from services.core.text import MAX_TYPED, any_of, normalize
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
_WINDOW_NAMES = frozenset(window.value for window in Window)
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
_COMPARISONS = frozenset("<>=≤≥")
_LOOSE = frozenset(",;.")  # punctuation between the words of a rule
_SPELLED_UNITS = {
    name: unit
    for unit, names in {
        "%": ("percent", "pct"),
        "pp": ("point", "points", "pt", "pts", "ppt", "ppts", "pps", "percentagepoint", "percentagepoints"),
        "bp": ("basispoint", "basispoints"),
        "d": ("day", "days", "session", "sessions", "tradingday", "tradingdays"),
        "h": ("hr", "hrs", "hour", "hours"),
        "m": ("min", "mins", "minute", "minutes"),
        "s": ("sec", "secs", "second", "seconds"),
        "sigma": ("sigmas",),
    }.items()
    for name in names
}
_FIRST_UNIT_WORDS = ("percentage", "basis", "trading")  # of units of two words
_SYNONYMS = {
    **dict.fromkeys((">", ">=", "=>", "≥", "over", "ahead"), Direction.ABOVE.value),
    **dict.fromkeys(("<", "<=", "=<", "≤", "under", "behind"), Direction.BELOW.value),
    **dict.fromkeys(("both", "any"), Direction.EITHER.value),
    "bitcoin": "btc",
    "corr": "correlation",
    "zscore": "z",
    "z-score": "z",
    "hold": "for",
}
_FILLERS = frozenset({"and", "the", "a", "an", "is", "of"})
_WHOLE_POINT = 100  # basis points
_NEAR = 1.6  # largest ratio of a window to the one that it probably means
_MAX_REPAIRED = 80  # characters of a text that a rule is suggested for
_MAX_REPAIRS = 3


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
    parser = _Parser(normalize(text))
    rule = parser.rule(pair)
    if parser.small is not None:
        raise _ask_unit(parser.text, *parser.small)
    if not rounded(min(rule.threshold, rule.clear)):
        raise RuleError("", word=text.strip(), offset=0, expected="a larger level: this one counts as 0")
    successor = successor_of(rule)
    if successor is None:
        return rule
    first = next(words(normalize(text)))
    expected = (
        f"a window of at most 20 sessions for {rule.metric.name}, because a year has too few longer ones to compare "
        f"with. The closest rule is “{successor}”"
    )
    raise RuleError(
        normalize(text),
        word=first.text,
        offset=first.at,
        expected=expected,
        role=f"window of {rule.metric.name}",
        replacements=(str(successor),),
    )


def _ask_unit(text: str, word: Word, number: str, unit: Unit) -> RuleError:
    """Return the question whether a number of basis points below one point is meant as points."""
    exact = f"{Decimal(number).scaleb(-2).normalize():f}"
    written = unit.written.format
    return RuleError(
        text,
        word=word.text,
        offset=word.at,
        expected=f"{unit.affix(number)} or {unit.affix(exact)}",
        problem=f"{number} bps is {written(exact)}.",
        remedy=f"Type {unit.affix(number)} or {unit.affix(exact)}.",
        replacements=(unit.affix(number), unit.affix(exact)),
    )


def suggest_rules(error: RuleError, pair: Pair = WGMI_BTC) -> tuple[str, ...]:
    """Return the rules that a text which cannot be parsed probably means, the likeliest first; empty if none is near.

    Repairs the wrong word, at most three times: by what it probably means, or by leaving it out.
    """
    if not 0 < len(error.text) <= _MAX_REPAIRED:
        return ()
    for _ in range(_MAX_REPAIRS):
        found, later = list[str](), None
        for candidate in _repaired(error):
            try:
                found.append(str(parse_new_rule(candidate, pair)))
            except RuleError as next_error:
                later = later or (next_error if next_error.offset > error.offset else None)
        if found or later is None:
            return tuple(dict.fromkeys(found))
        error = later
    return ()


def _repaired(error: RuleError) -> Iterator[str]:
    """Return the text with each probable meaning of the wrong word; without the word if it has none."""
    if error.role.startswith("window of"):
        yield from error.replacements
        return
    before, after = error.text[: error.offset], error.text[error.offset + len(error.word) :]
    for replacement in error.replacements or ("",):
        yield f"{before.rstrip()} {replacement} {after.lstrip()}".strip()


def parse_window(text: str) -> Window | None:
    """Return the window that a text names, such as `20d`, `20 days` or `YTD`; None if it names none."""
    found = _find_words(normalize(text))
    word = _canonical(found[0].text) if len(found) == 1 else ""
    return Window(word) if word in _WINDOW_NAMES else None


class _Parser:
    """One pass over the words of a rule; each method consumes its own words, or raises RuleError at the wrong one.

    Attributes:
        is_named: Whether the metric was named, so that a threshold needs no unit.
        small: A number of basis points that is less than one point, which people rarely mean.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > MAX_TYPED:
            raise RuleError("", word=text, offset=0, expected=f"at most {MAX_TYPED} characters, not {len(text):,}")
        self.words = _find_words(text)
        self.next = 0
        self.is_named = False
        self.small: tuple[Word, str, Unit] | None = None

    def rule(self, pair: Pair) -> Rule:
        """Parse the window, the metric and the threshold, then the options in any order, each at most once."""
        window = self.window()
        metric, side = self.metric(window)
        sign = self.sign(metric)
        if sign is None and side is Direction.BELOW:
            self.check_comparison(metric)
        threshold = self.value(metric.unit, "threshold", of=metric)
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
            side = "above" if below else "below"
            raise self.error(f"a clear level {side} {threshold}, not {clear}", "clear level")
        if rule.clear <= 0:
            expected = f"a clear level above 0, as in “clear {print_value(rule.threshold / 2, rule.unit)}”"
            raise self.error(expected, "clear level")

    def check_network(self, rule: Rule) -> None:
        """Raise RuleError at the metric's name if it needs the bitcoin network and the pair has no bitcoin."""
        if rule.metric.needs_network and rule.pair.crypto != WGMI_BTC.crypto:
            self.next = 1
            raise self.error(
                f"a pair with {WGMI_BTC.crypto}, as in “on {WGMI_BTC}”",
                problem=f"A {rule.metric.name} rule is about the bitcoin network.",
            )

    def window(self) -> Window | None:
        """Parse the window, which people also write after the threshold; None for a metric without one."""
        metric = METRICS.get(self.peek())
        if metric is not None and not metric.windowed:
            return None
        at = next((at for at, word in enumerate(self.words) if _canonical(word.text) in _WINDOW_NAMES), None)
        if at is not None:
            self.words.insert(0, self.words.pop(at))
            self.next += 1
            return Window(_canonical(self.words[0].text))
        word = self.words[0].text if self.words else ""
        if metric is not None:
            expected = f"a window before it ({_WINDOWS}), as in “{_example(metric)}”"
            raise self.error(expected, problem=f"A {metric.name} needs a window.", replacements=[f"1d {word}"])
        likely = _probable_windows(word)
        raise self.error(
            f"a window ({_WINDOWS}), {_metric_names(windowed=False)}, as in “{EXAMPLE}”",
            "window",
            problem="The window is missing." if any(word in one for one in likely) else "",
            replacements=likely,
        )

    def metric(self, window: Window | None) -> tuple[Metric, Direction | None]:
        """Parse a metric's name, and a direction before the threshold.

        Without a name, the prefix or suffix of the threshold selects the metric.
        """
        word = self.peek()
        metric = METRICS.get(word)
        if metric is not None and metric.windowed is (window is not None):
            self.is_named = True
            self.next += 1
            side = self.side(metric)
        else:
            metric = None
            side = self.side(None)
            metric = _unnamed_metric(self.peek())
        if metric is None:
            raise self.error(
                f"a threshold, as in 8pp or z3.5, or a metric: {_metric_names(windowed=True)}",
                "threshold or metric",
                replacements=difflib.get_close_matches(word[:_MAX_REPAIRED], [*METRICS, *_DIRECTIONS], n=1),
            )
        if window is not None and window not in metric.windows:
            self.next = 0
            names = [one.value for one in metric.windows]
            raise self.error(
                any_of(names),
                "window",
                problem=f"“{window.value}” isn't a valid window for {metric.name}.",
                replacements=names if len(names) == 1 else (),
            )
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
                "no direction",
                remedy=f"Leave it out: a {metric.name} rule fires at its threshold or {magnitude.comparative}.",
            )
        if word == "either" and metric.unit.is_level:
            raise self.error(f"“above” or “below”, because a {metric.name} rule has one side")

    def sign(self, metric: Metric) -> Direction | None:
        """Remove the sign from a threshold: minus means below, plus above; None without one."""
        scanner = Scanner(self.peek())
        prefix = scanner.skip(*{one.unit.prefix for one in METRICS.values() if one.unit.prefix})
        sign = scanner.skip(*_SIGNS)
        if not sign or scanner.is_done:
            return None
        if not metric.signed:
            raise self.error(
                f"a {metric.name} threshold without a sign",
                remedy=f"Leave out the sign: a {metric.name} threshold is positive, as in {metric.example}.",
            )
        word = self.words[self.next]
        removed = 0 if prefix else len(word.text) - len(word.text.removeprefix(sign).lstrip())
        self.words[self.next] = Word(prefix + scanner.rest, word.at + removed)
        return Direction.BELOW if sign == "-" else Direction.ABOVE

    def check_sign(self, direction: Direction) -> None:
        """Raise RuleError at a side that the words name beside a sign, which is one already."""
        sign = "-" if direction is Direction.BELOW else "+"
        for at, word in enumerate(self.words):
            side = _canonical(word.text)
            is_agreeing = _COMPARISONS.issuperset(word.text) and side == direction.value
            if side in _DIRECTIONS and not is_agreeing:
                after = "" if at >= self.next else self.text[word.at + len(word.text) :]
                rest = " ".join(f"{self.text[: word.at]} {after}".split())
                name = "minus" if direction is Direction.BELOW else "plus"
                self.next = at
                raise self.error(
                    "one direction",
                    problem=f"The {name} sign already means {direction.value}.",
                    remedy=f"Use one of the two, as in “{rest.replace(sign, '', 1)} {direction.value}”.",
                )

    def check_comparison(self, metric: Metric) -> None:
        """Raise RuleError at `<` before a signed value: `< 8pp` would be true nearly always."""
        sign = self.words[self.next - 1]
        if not (_COMPARISONS.issuperset(sign.text) and metric.signed) or metric.unit.is_level:
            return
        threshold, self.next = self.peek(), self.next - 1
        raise self.error(
            f"“below {threshold}” for a move of {threshold} in the opposite direction",
            problem=f"“{sign.text} {threshold}” can be read in two ways.",
            replacements=["below"],
        )

    def value(self, unit: Unit, role: str, *, of: Metric | None = None, max_value: float | None = None) -> float:
        """Parse a value in its unit, which may be left out if the metric `of` the value was named, or is known.

        `z 3.5` may be two words, and % counts as pp for a spread.
        """
        word = self.peek()
        typed = Scanner(word)
        typed.run(LOWERCASE)
        digits = typed.run(_NUMERIC)
        likely = [unit.affix(digits.replace(",", "."))] if digits else []
        if _has_comma(word):
            raise self.error(f"{unit.syntax}, with a point for decimals and no comma", role, replacements=likely)
        scanner = Scanner(word)
        prefix, number, suffix = scanner.run(LOWERCASE), scanner.number(), scanner.run(LOWERCASE | {"%", "σ"})
        is_bare = not prefix and not suffix and (of is None or self.is_named)
        places = 0 if is_bare else unit.suffixes.get(suffix)
        if not number or not scanner.is_done or prefix not in {"", unit.prefix} or places is None:
            raise self.unit_error(unit, role, of, likely)
        value = float(Decimal(number).scaleb(-unit.decimals - places))
        largest = max_value or unit.max_value
        if not 0 < value <= largest:
            raise self.error(f"{unit.syntax}, above 0 and at most {print_value(largest, unit)}", role)
        if places and Decimal(number) < _WHOLE_POINT:
            self.small = self.words[self.next], number, unit
        self.next += 1
        return value

    def unit_error(self, unit: Unit, role: str, of: Metric | None, likely: Sequence[str]) -> RuleError:
        """Return the error of a value without a readable number or unit, at the value and what stands for its unit."""
        remedy = ""
        if of is not None:
            name = of.name.capitalize()
            is_one = unit.syntax.startswith("a ")
            remedy = f"A {of.name} {role} is {unit.syntax}." if is_one else f"{name} {role}s are in {unit.syntax}."
        following = self.words[self.next + 1] if self.next + 1 < len(self.words) else None
        if _is_number(self.peek()) and following and _canonical(following.text) not in {*_OPTIONS, *METRICS}:
            start = self.words[self.next].at
            self.words[self.next] = Word(self.text[start : following.at + len(following.text)], start)
        return self.error(unit.syntax, role, remedy=remedy, replacements=likely)

    def option(self, rule: Rule, seen: set[str]) -> tuple[str, object]:
        """Parse one option; return the field of Rule that it sets, and the value."""
        word = self.peek()
        field = _OPTIONS.get(word)
        if field is None:
            close_matches = difflib.get_close_matches(word[:_MAX_REPAIRED], _OPTIONS, n=1)
            expected = f"“{close_matches[0]}”" if close_matches else _ANY_OPTION
            raise self.error(expected, "option", replacements=close_matches)
        if field in seen and not (field == "at_close" and rule.metric.closes_only):
            raise self.error(f"“{word}” only once")
        for other, name in (("hold", "for"), ("keep", "keep")):
            if {field} | seen >= {other, "at_close"}:
                raise self.error(f"either “{name}” or “at close”, because a close is evaluated only once")
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
                    rule.unit,
                    "clear level",
                    max_value=rule.threshold if margin is None else rule.unit.max_value + margin,
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
            raise self.error(expected, "duration")
        self.next += 1
        return duration

    def close(self) -> bool:
        if self.peek() != "close":
            raise self.error("“close”, as in “at close”", "time", replacements=["close"])
        self.next += 1
        return True

    def pair(self) -> Pair:
        etf, _, crypto = self.peek().upper().partition("/")
        if not is_symbol(etf, extra=".") or not is_symbol(crypto):
            likely = [f"{etf}/{WGMI_BTC.crypto}"] if is_symbol(etf, extra=".") else []
            raise self.error(f"a pair of symbols, as in {WGMI_BTC}", "pair", replacements=likely)
        self.next += 1
        return Pair(etf=Symbol(etf), crypto=Symbol(crypto))

    def peek(self) -> str:
        """Return the next word as the grammar writes it; empty at the end."""
        return _canonical(self.words[self.next].text) if self.next < len(self.words) else ""

    def error(
        self, expected: str, role: str = "", *, problem: str = "", remedy: str = "", replacements: Sequence[str] = ()
    ) -> RuleError:
        """Return an error at the next word, or at the end of the text."""
        end = len(self.text.rstrip()) + 1 if self.words else 0
        word, offset = self.words[self.next] if self.next < len(self.words) else Word("", end)
        return RuleError(
            self.text,
            word=word,
            offset=offset,
            expected=expected,
            role=role,
            problem=problem,
            remedy=remedy,
            replacements=replacements,
        )


def _find_words(text: str) -> list[Word]:
    """Return the words of a rule without fillers; a number and its unit, as in `8 pp`, are one word."""
    units = {*_SPELLED_UNITS, *SECONDS_PER_UNIT, "d", *_FIRST_UNIT_WORDS}
    units.update(suffix for metric in METRICS.values() for suffix in metric.unit.suffixes if suffix)
    found = list[Word]()
    for word in _split(text):
        lowercase, before = word.text.lower(), found[-1] if found else Word("", 0)
        is_unit = lowercase in units and _is_number(before.text)
        is_second = lowercase in _SPELLED_UNITS and before.text.lower().endswith(_FIRST_UNIT_WORDS)
        if is_unit or is_second or (before.text in _SIGNS and word.text[:1] in DIGITS):
            found[-1] = Word(text[before.at : word.at + len(word.text)], before.at)
        elif lowercase not in _FILLERS:
            found.append(word)
    return found


def _split(text: str) -> Iterator[Word]:
    """Split a text at spaces, at commas that are not inside a number, and after comparison signs."""
    for word in words(text):
        start = 0
        for at, character in enumerate(word.text):
            is_inside_number = word.text[at - 1 : at] in DIGITS and word.text[at + 1 : at + 2] in DIGITS
            if character in ",;" and not is_inside_number:
                yield from _without_ends(word, start, at)
                start = at + 1
        yield from _without_ends(word, start, len(word.text))


def _without_ends(word: Word, start: int, end: int) -> Iterator[Word]:
    """Return a part of a word without its final periods; a comparison sign before it is a word of its own."""
    while end > start and word.text[end - 1] in _LOOSE:
        end -= 1
    scanner = Scanner(word.text, start)
    sign = scanner.run(_COMPARISONS)
    if sign:
        yield Word(sign, word.at + start)
    if scanner.at < end:
        yield Word(word.text[scanner.at : end], word.at + scanner.at)


def _canonical(text: str) -> str:
    """Return a word as the grammar writes it: in lowercase, without spaces, with a short unit."""
    compact = "".join(text.lower().split())
    scanner = Scanner(compact)
    scanner.skip(*_SIGNS)
    if not scanner.run(_NUMERIC):
        return _SYNONYMS.get(compact, compact)
    number = compact[: scanner.at]
    scanner.skip("-")
    unit = scanner.rest
    return number + _SPELLED_UNITS.get(unit, unit) if unit[:1] in LOWERCASE | {"%"} else compact


def _probable_windows(word: str) -> list[str]:
    """Return what to write in place of a word where a window should be: the nearest window, or one before it."""
    scanner = Scanner(_canonical(word))
    count = scanner.run(DIGITS, _DURATION_DIGITS)
    if count and scanner.rest == "d":
        return [name for name in _WINDOW_NAMES if _ratio(name, int(count)) <= _NEAR]
    joined = [name for name in sorted(_WINDOW_NAMES) if word.lower().startswith(name)]
    if joined and word[len(joined[0]) :][:1] in DIGITS:
        return [f"{joined[0]} {word[len(joined[0]) :]}"]
    return [f"{Window.D1.value} {word}"] if word[:1] in DIGITS | {"z", "-", "+"} else []


def _ratio(name: str, count: int) -> float:
    """Return the ratio of a window's sessions to a number, or its inverse; infinite for the year to date and 0."""
    sessions = int(name.removesuffix("d")) if name != Window.YTD.value else 0
    return max(sessions / count, count / sessions) if sessions and count else inf


def _is_number(word: str) -> bool:
    """Return whether a word looks like a number, with or without a sign."""
    scanner = Scanner(word)
    if scanner.skip(*_SIGNS):
        scanner.run(WHITESPACE)
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
    return any_of([metric.name for metric in METRICS.values() if metric.windowed is windowed])


def _example(metric: Metric) -> str:
    """Return a rule on a metric, with its name unless the prefix of the threshold selects it."""
    window = Window.D20 if Window.D20 in metric.windows else metric.windows[0]
    name = f"{metric.name} " if metric.named else ""
    return f"{window.value} {name}{metric.example}"

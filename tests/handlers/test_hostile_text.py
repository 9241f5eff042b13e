"""Typed and vendor text is read in linear time: steps are counted, not seconds."""

import html
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import pytest

from handlers.addressees import parse_addressee
from handlers.commands import COMMANDS
from handlers.commands.parse import parse_command
from handlers.render.markup import escape_typed
from handlers.render.reasons import user_reason
from handlers.rule_form import RuleForm
from services.alerting.channel_settings import ChannelSettings
from services.alerting.setting_syntax import SettingInput, parse_setting
from services.alerting.snooze import parse_snooze
from services.core.errors import ChannelSettingError, RuleError
from services.core.prices import WGMI_BTC
from services.market.sources.files.holdings import classify_holding, parse_ticker
from services.market.sources.files.sheet import parse_number
from services.research.tune import parse_target
from services.rules.grammar import parse_rule, suggest_rules

TraceFunction: TypeAlias = Callable[[FrameType, str, Any], Any]
ROOT = Path(__file__).parents[2]
PACKAGES = tuple(str(ROOT / name) for name in ("bot", "handlers", "services"))
SHORT, GROWTH = 60, 8  # characters of the shorter text, and how much longer the longer one is
AT = datetime(2026, 11, 20, 18, tzinfo=UTC)


def command(text: str) -> None:
    parse_command(text, COMMANDS)


def suggestion(text: str) -> None:
    try:
        parse_rule(text)
    except RuleError as error:
        suggest_rules(error)


def setting(text: str) -> None:
    value = SettingInput(text=text, resolve=lambda name: parse_addressee(name, "T1"), now=AT)
    parse_setting(value, ChannelSettings())


def target(text: str) -> None:
    parse_target(text, parse_rule("1d 8pp"))


def form(text: str) -> None:
    fields = RuleForm.from_values({"threshold": text, "clear": text, "more": text, "pair": text, "hold": text})
    fields.errors(WGMI_BTC)


def holding(text: str) -> None:
    classify_holding(text, text)


HOSTILE: list[tuple[Callable[[str], object], str, str, str]] = [  # parser, beginning, repeated part, end
    (command, "rule add 1d ", ",", "a1"),
    (command, "rule add 1d z", ",1", "x"),
    (command, "rule add 1d ", "1,", "pp"),
    (command, "rule add 1d ", "1.", "pp"),
    (command, "rule add 1d ", "-", "8pp"),
    (command, "rule add 1d ", "z-", ""),
    (command, "rule add 1d ", "a1", ""),
    (command, "rule add ", "8 pp ", "x"),
    (command, "rule add 1d 8pp ", " ", "x"),
    (command, "rule add 1d 8pp on ", "A.", "/B"),
    (command, "rule edit 3 ", "#1 ", ""),
    (command, "backtest 1d ", "%", "8"),
    (command, "snooze ", "1d1h1m", "x"),
    (command, "ack ", "1", "x"),
    (command, "", "<@U1> ", "board"),
    (command, "", "/minerpulse ", "/board"),
    (command, "", "“", "x”y”"),
    (command, "", "<https://x|", ">"),
    (command, "", "&amp;", "x"),
    (command, "help ", "rule ad", "x"),
    (command, "", "\N{ROCKET}", "board"),
    (command, "", ":a:", "x"),
    (command, "rules", ".", "x"),
    (command, "rule add 1d ", "> ", "8pp"),
    (command, "rule add 1d ", ">", "8pp"),
    (command, "rule add 1d ", "- ", "8"),
    (command, "rule add ", "the 1d, ", "x"),
    (command, "rule add 1d ", "8 percentage points ", "x"),
    (command, "1d ", "8 ", "x"),
    (command, "status ", "mara ", "5d"),
    (command, "", "MARA 5 days ", "x"),
    (command, "tune 5d ", "2 per ", "x"),
    (command, "snooze ", "till the ", "x"),
    (suggestion, "1d 8", "pp ", "x"),
    (suggestion, "1d ", "8p ", "x"),
    (parse_snooze, "until", "the next ", "x"),
    (target, "5d ", "1.", "/month"),
    (target, "5d ", "1/", "month"),
    (setting, "quiet ", "1:", "-2"),
    (setting, "quiet 1", "   ", "to"),
    (setting, "editors ", "<@U1|a> ", "x"),
    (escape_typed, "", "<@", ">"),
    (escape_typed, "", "<!x|", ">"),
    (user_reason, "", "-1", "."),
    (form, "", ",1", "x"),
    (holding, "cash", "-", "\nx"),
    (holding, "abc", "-_ ", "cur"),
    (parse_number, "1", ",111", "x"),
    (parse_ticker, "", "A.", "/"),
]


class Steps:
    """Counts the Python lines that a call runs, and records the regular expressions that our code runs."""

    def __init__(self) -> None:
        self.lines = 0
        self.patterns = set[str]()

    def of(self, parse: Callable[[str], object], text: str) -> int:
        """Return the lines that parsing a text runs; an error of the text is an answer."""
        self.lines, before = 0, (sys.gettrace(), sys.getprofile())
        sys.settrace(self._trace)
        sys.setprofile(self._profile)
        try:
            parse(text)
        except (RuleError, ChannelSettingError):
            pass
        finally:
            sys.settrace(before[0])
            sys.setprofile(before[1])
        return self.lines

    def _trace(self, _frame: FrameType, event: str, _argument: object) -> TraceFunction:
        self.lines += event == "line"
        return self._trace

    def _profile(self, frame: FrameType, event: str, called: object) -> None:
        pattern = getattr(called, "__self__", None)
        if event == "c_call" and isinstance(pattern, re.Pattern) and frame.f_code.co_filename.startswith(PACKAGES):
            self.patterns.add(pattern.pattern)


def unbounded_repeats(pattern: str) -> int:
    """Return how many parts of a pattern repeat without bound; with one, a full match cannot backtrack for long."""
    outside_classes = re.sub(r"\[[^]]*\]", "", pattern)
    return outside_classes.count("+") + outside_classes.count("*")


def hostile(beginning: str, repeated: str, end: str, length: int) -> str:
    count = max(1, (length - len(beginning) - len(end)) // len(repeated))
    return f"{beginning}{repeated * count}{end}"


@pytest.mark.parametrize(("parse", "beginning", "repeated", "end"), HOSTILE)
def test_the_steps_over_a_hostile_text_grow_linearly(
    parse: Callable[[str], object], beginning: str, repeated: str, end: str
) -> None:
    steps = Steps()
    short, long = (hostile(beginning, repeated, end, length) for length in (SHORT, GROWTH * SHORT))
    steps.of(parse, short)  # fills the caches

    growth = len(html.unescape(long)) / len(html.unescape(short))
    assert steps.of(parse, long) <= 1.2 * growth * steps.of(parse, short)
    assert [] == [pattern for pattern in steps.patterns if unbounded_repeats(pattern) > 1]


@pytest.mark.parametrize("commas", [400, 1_500, 3_000])
def test_a_rule_of_commas_is_answered_in_few_steps(commas: int) -> None:
    text = f"rule add 1d {',' * commas}a1"
    steps = Steps()
    steps.of(command, text)

    assert steps.of(command, text) <= 20 * len(text)


def test_the_table_has_at_least_30_texts() -> None:
    assert len(HOSTILE) >= 30

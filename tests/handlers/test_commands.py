from __future__ import annotations

import pytest

from handlers.commands import COMMANDS, readme_table, usage_hint
from handlers.commands.read import read
from tests.fakes.blockkit import checked


@pytest.mark.parametrize(
    ("text", "words", "argument"),
    [
        pytest.param("", ("board",), "", id="nothing"),
        pytest.param("  \u00a0 ", ("board",), "", id="only spaces"),
        pytest.param("board", ("board",), "", id="board"),
        pytest.param("RULES", ("rules",), "", id="any letter case"),
        pytest.param("rule add 1d 8%", ("rule", "add"), "1d 8%", id="a percentage for points"),
        pytest.param("Rule  ADD   5d 15pp above", ("rule", "add"), "5d 15pp above", id="any spacing"),
        pytest.param("rule add “1d 8pp”", ("rule", "add"), "1d 8pp", id="smart quotes"),
        pytest.param("`rule add 1d 8pp`", ("rule", "add"), "1d 8pp", id="backticks"),
        pytest.param("rule remove #3", ("rule", "remove"), "#3", id="a number with its sign"),
        pytest.param("history", ("history",), "", id="history"),
    ],
)
def test_what_was_typed_is_read(text: str, words: tuple[str, ...], argument: str) -> None:
    seen = read(text, COMMANDS)
    assert (words, argument, None) == (seen.command and seen.command.words, seen.argument, seen.told)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("rulez", ["There is no “rulez”.", "/minerpulse rules"], id="a slip"),
        pytest.param("rules add 1d 8pp", ["There is no “rules add”.", "/minerpulse rule add RULE"], id="a plural"),
        pytest.param("hist", ["/minerpulse history"], id="half a word"),
        pytest.param("history 5", ["/minerpulse history"], id="more than a command takes"),
        pytest.param("rule", ["/minerpulse rule add RULE", "/minerpulse rule remove ID"], id="no verb"),
        pytest.param("rule delete 3", ["/minerpulse rule add RULE", "/minerpulse rule remove ID"], id="unknown verb"),
        pytest.param("xyzzy", ["There is no “xyzzy”.", *(row.usage for row in COMMANDS)], id="nothing near: all"),
        pytest.param("&lt;!channel&gt;", ["There is no “&lt;!channel&gt;”."], id="what would call everyone"),
        pytest.param("x" * 5_000, [f"There is no “{'x' * 40}”."], id="very long"),
        pytest.param("rule add", ["Which rule?", "/minerpulse rule add RULE", "5d 15pp above"], id="no rule"),
        pytest.param("rule remove", ["Which rule?", "/minerpulse rule remove ID"], id="no number"),
        pytest.param("rule remove three", ["Which rule?", "/minerpulse rules"], id="no number but a word"),
        pytest.param("rule remove 99999999999999999999", ["Which rule?"], id="a number that no rule has"),
        pytest.param("explain 2w", ["Over which window? One of 1d,", "/minerpulse explain [WINDOW]"], id="no window"),
        pytest.param("help", [row.usage for row in COMMANDS], id="help"),
    ],
)
def test_what_memory_can_answer_is_answered_with_usage(text: str, expected: list[str]) -> None:
    told = read(text, COMMANDS).told
    assert told is not None
    checked({"text": told.text, "blocks": told.blocks})
    assert [] == [part for part in expected if part not in told.text]


def test_a_rule_that_cannot_be_read_is_shown_with_the_word_marked() -> None:
    told = read("rule add 1d 8pp abvoe", COMMANDS).told
    assert told is not None
    assert told.text == "```1d 8pp abvoe\n       ^^^^^```\nCannot read “abvoe”: expected “above”."


def test_a_rule_much_too_long_is_refused_without_its_picture() -> None:
    told = read("rule add 1d " + "x" * 5_000, COMMANDS).told
    assert told is not None
    checked({"text": told.text, "blocks": told.blocks})
    assert "```" not in told.text


def test_help_explains_the_grammar_of_rules() -> None:
    told = read("help", COMMANDS).told
    assert told is not None
    assert "drawdown 60%" in told.text


def test_every_command_is_answered_somehow() -> None:
    assert [] == [row.words for row in COMMANDS if row.answer is None and row.at_once("", COMMANDS) is None]


def test_every_example_is_read_as_its_own_command() -> None:
    seen = [read(row.example.removeprefix("/minerpulse"), COMMANDS) for row in COMMANDS]
    assert [row.words for row in COMMANDS] == [one.command and one.command.words for one in seen]


def test_the_hint_lists_every_command() -> None:
    assert (
        "[board | rules | rule add RULE | rule remove ID | ack [ID] | unack [ID] | snooze [ID] LENGTH | "
        "resolve [ID] [REASON] | history | why [ID] | explain [WINDOW] | backtest RULE | tune WINDOW RATE | "
        "drawdown | miners [WINDOW] | network | help]"
    ) == usage_hint()


def test_the_readme_table_has_a_row_for_each_command() -> None:
    lines = readme_table().splitlines()
    assert len(COMMANDS) + 2 == len(lines)
    assert "| `/minerpulse history` | the last alerts of this channel | `/minerpulse history` |" in lines

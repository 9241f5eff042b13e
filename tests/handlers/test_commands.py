import pytest

from handlers.commands import COMMANDS, readme_table, usage_hint
from handlers.commands.parse import parse_command
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
        pytest.param("/minerpulse rules", ("rules",), "", id="the command pasted with it"),
        pytest.param("<@U0BOT|minerpulse> rules", ("rules",), "", id="a pasted mention of the app"),
        pytest.param("@MinerPulse: rule remove 3", ("rule", "remove"), "3", id="a mention as it is read"),
        pytest.param("rule\u00a0add 1d\u20098pp", ("rule", "add"), "1d 8pp", id="no-break and thin spaces"),
        pytest.param("rule add 1d −8pp", ("rule", "add"), "1d -8pp", id="a real minus"),
        pytest.param(
            "rule add 5d 8pp on <http://mara.btc|MARA/BTC>", ("rule", "add"), "5d 8pp on MARA/BTC", id="a link"
        ),
        pytest.param("resolve <!here> &amp; go", ("resolve",), "<!here> & go", id="Slack's escapes"),
        pytest.param("status 5D", ("status",), "5D", id="a window"),
        pytest.param("chart 20\u202fd", ("chart",), "20 d", id="a window with a thin space"),
        pytest.param("explain 60 d", ("explain",), "60 d", id="a window in two words"),
        pytest.param("snooze 2 hours", ("snooze",), "2 hours", id="a length in two words"),
        pytest.param("snooze 12 “2h”", ("snooze",), "12 “2h”", id="a quoted length"),
        pytest.param("rule edit 3 “5d 12pp”", ("rule", "edit"), "3 “5d 12pp”", id="a quoted rule behind a number"),
        pytest.param("resolve <@U2|ann> saw it", ("resolve",), "<@U2|ann> saw it", id="a person behind a command"),
        pytest.param("resolve 12 Ann said “no”", ("resolve",), "12 Ann said “no”", id="quotes in a reason"),
    ],
)
def test_commands_are_parsed(text: str, words: tuple[str, ...], argument: str) -> None:
    parsed = parse_command(text, COMMANDS)
    assert (words, argument, None) == (parsed.command and parsed.command.words, parsed.argument, parsed.response)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("rulez", ["There is no “rulez”.", "/minerpulse rules"], id="a slip"),
        pytest.param("rules add 1d 8pp", ["There is no “rules add”.", "/minerpulse rule add [RULE]"], id="a plural"),
        pytest.param("hist", ["/minerpulse history"], id="half a word"),
        pytest.param("history 5", ["/minerpulse history"], id="more than a command takes"),
        pytest.param(
            "rul add 1d 8pp", ["Did you mean `/minerpulse rule add 1d 8pp`?"], id="a slip, and the rest of it"
        ),
        pytest.param("add 1d 8pp", ["Did you mean `/minerpulse rule add 1d 8pp`?"], id="the first word left out"),
        pytest.param("add rule 1d 8pp", ["Did you mean `/minerpulse rule add 1d 8pp`?"], id="its words turned round"),
        pytest.param("remove 3", ["Did you mean `/minerpulse rule remove 3`?"], id="remove is not resolve"),
        pytest.param("acknowledge 3", ["Did you mean `/minerpulse ack 3`?"], id="the whole word"),
        pytest.param("chart 2d", ["Which window? There are 1d, 5d, 20d, 60d, 252d, ytd:"], id="no such window"),
        pytest.param("help rules", ["MinerPulse: rules", "rule remove ID", "800bp", "−8pp"], id="help on rules"),
        pytest.param("help Alert", ["MinerPulse: alerts", "/minerpulse snooze [ID] LENGTH"], id="nearly a topic"),
        pytest.param("help market", ["MinerPulse: market", "/minerpulse status [WINDOW]"], id="help on the market"),
        pytest.param("help sources", ["MinerPulse: sources", "`suspect`: they dispute it"], id="help on sources"),
        pytest.param("help snoze", ["You can type:", "/minerpulse snooze [ID] LENGTH"], id="help on one command"),
        pytest.param("help <!here>", ["There is no help on “&lt;!here&gt;”", "`help rules`"], id="no such help"),
        pytest.param("rule", ["/minerpulse rule add [RULE]", "/minerpulse rule remove ID"], id="no verb"),
        pytest.param("rule delete 3", ["/minerpulse rule add [RULE]", "/minerpulse rule remove ID"], id="unknown verb"),
        pytest.param("xyzzy", ["There is no “xyzzy”.", *(row.usage for row in COMMANDS)], id="nothing near: all"),
        pytest.param("&lt;!channel&gt;", ["There is no “&lt;!channel&gt;”."], id="what would call everyone"),
        pytest.param("x" * 500, [f"There is no “{'x' * 40}”."], id="very long"),
        pytest.param("rule remove", ["Which rule?", "/minerpulse rule remove ID"], id="no number"),
        pytest.param("rule edit 1d 8pp", ["Which rule, and what", "/minerpulse rule edit ID RULE"], id="no number"),
        pytest.param("rule edit 3", ["Which rule, and what", "/minerpulse rules"], id="no new rule"),
        pytest.param("rule edit 3 1d 8", ["1d 8\n   ^"], id="a new rule that cannot be read"),
        pytest.param("rule pause it", ["Which rule?", "/minerpulse rule resume ID"], id="pause what?"),
        pytest.param("rule remove three", ["Which rule?", "/minerpulse rules"], id="no number but a word"),
        pytest.param("rule remove 99999999999999999999", ["Which rule?"], id="a number that no rule has"),
        pytest.param("explain 2w", ["Over which window? One of 1d,", "/minerpulse explain [WINDOW]"], id="no window"),
        pytest.param("help", [row.usage for row in COMMANDS], id="help"),
    ],
)
def test_invalid_commands_are_answered_with_usage(text: str, expected: list[str]) -> None:
    response = parse_command(text, COMMANDS).response
    assert response is not None
    checked({"text": response.text, "blocks": response.blocks})
    assert [] == [part for part in expected if part not in response.text]


def test_an_invalid_rule_is_shown_with_the_word_marked() -> None:
    response = parse_command("rule add 1d 8pp abvoe", COMMANDS).response
    assert response is not None
    assert response.text == "```1d 8pp abvoe\n       ^^^^^```\nCannot read “abvoe”: expected “above”."


def test_a_very_long_rule_is_rejected_without_quoting_it() -> None:
    response = parse_command("rule add 1d " + "x" * 480, COMMANDS).response
    assert response is not None
    checked({"text": response.text, "blocks": response.blocks})
    assert "```" not in response.text
    assert response.text.endswith(
        "x…”: expected a threshold, as in 8pp or z3.5, or a metric: spread, residual, z, sigma, hashprice, difficulty, "
        "correlation, beta, etf or btc."
    )


@pytest.mark.parametrize("text", ["rule add 1d " + "x" * 489, "x" * 501, "&lt;" * 501, "<@U1> " * 1_200, "&" * 10_000])
def test_a_command_of_more_than_500_characters_is_refused_unread(text: str) -> None:
    response = parse_command(text, COMMANDS).response
    assert response is not None
    assert "at most 500 are read. Shorten it and send it again." in response.text


def test_slacks_escapes_and_names_do_not_count_as_typed() -> None:
    editors = " ".join(f"<@U012AB3C{number}|a.rather.long.name>" for number in range(10, 30))
    text = f"channel editors {editors}"

    assert len(text) > 500
    assert f"editors {editors}" == parse_command(text, COMMANDS).argument


def test_help_explains_the_grammar_of_rules() -> None:
    response = parse_command("help", COMMANDS).response
    assert response is not None
    assert "drawdown 60%" in response.text


def test_every_command_has_an_answer() -> None:
    assert [] == [row.words for row in COMMANDS if row.run is None and row.validate("", COMMANDS) is None]


def test_every_example_parses_as_its_own_command() -> None:
    parsed = [parse_command(row.example.removeprefix("/minerpulse"), COMMANDS) for row in COMMANDS]
    assert [row.words for row in COMMANDS] == [one.command and one.command.words for one in parsed]


def test_the_hint_lists_every_command() -> None:
    assert (
        "[board | status [WINDOW] | chart [WINDOW] | rules | rule add [RULE] | rule edit ID RULE | "
        "rule move OLD NEW | rule pause ID | rule resume ID | rule remove ID | "
        "ack [ID] | unack [ID] | snooze [ID] LENGTH | resolve [ID] [REASON] | history | why [ID] | "
        "channel [SETTING] | mute LENGTH | digest | brief | explain [WINDOW] | "
        "backtest RULE | tune WINDOW RATE | drawdown | miners [WINDOW] | network | sources | "
        "help [TOPIC]]"
    ) == usage_hint()


def test_the_readme_table_has_a_row_for_each_command() -> None:
    lines = readme_table().splitlines()
    assert len(COMMANDS) + 2 == len(lines)
    assert "| `/minerpulse history` | list the last alerts of this channel | `/minerpulse history` |" in lines

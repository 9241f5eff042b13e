import json

import pytest

from handlers.command import is_known_symbol
from handlers.commands import COMMANDS, usage_hint
from handlers.commands.parse import parse_command, parse_exactly
from tests.fakes.blockkit import checked
from tests.handlers.conftest import Golden


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
        pytest.param(
            "list rules",
            ["Unknown command “list rules”. Did you mean /minerpulse rules? It shows the rules in this channel."],
            id="turned around",
        ),
        pytest.param("rulez", ["Unknown command “rulez”. Did you mean /minerpulse rules?"], id="a slip"),
        pytest.param("rules add 1d 8pp", ["Did you mean /minerpulse rule add 1d 8pp? It adds a rule;"], id="a plural"),
        pytest.param("hist", ["Did you mean /minerpulse history?"], id="half a word"),
        pytest.param("history 5", ["Did you mean /minerpulse history?"], id="more than a command takes"),
        pytest.param("rul add 1d 8pp", ["Did you mean /minerpulse rule add 1d 8pp?"], id="a slip, and the rest of it"),
        pytest.param("add 1d 8pp", ["Did you mean /minerpulse rule add 1d 8pp?"], id="the first word left out"),
        pytest.param("remove 3", ["Did you mean /minerpulse rule remove 3?"], id="remove is not resolve"),
        pytest.param("chart 2d", ["Which symbol or window? The windows are 1d, 5d, 20d, 60d,"], id="no such window"),
        pytest.param("help rules", ["Rules and syntax", "rule remove ID", "800bp", "-8pp"], id="help on rules"),
        pytest.param("help Alert", ["MinerPulse help: Alerts", "snooze [ID] DURATION"], id="nearly a topic"),
        pytest.param("help market", ["Market commands", "status [SYMBOL] [WINDOW]"], id="help on the market"),
        pytest.param(
            "help channel", ["Channel settings", "mute DURATION", "quiet ", "escalate "], id="help on settings"
        ),
        pytest.param("help sources", ["Data sources", "*Suspect*: the sources disagree"], id="help on sources"),
        pytest.param("help snoze", ["snooze [ID] DURATION", "Example: `/minerpulse snooze"], id="help on one command"),
        pytest.param("help explain", ["Betas come from", "not cause"], id="help on a method"),
        pytest.param("help <!here>", ["No help on `&lt;!here&gt;`", "`help rules`"], id="no such help"),
        pytest.param("rule", ["Commands that start with `rule`", "rule add [RULE]", "rule remove ID"], id="no verb"),
        pytest.param("rule delete 3", ["/minerpulse rule add [RULE]", "/minerpulse rule remove ID"], id="unknown verb"),
        pytest.param("xyzzy", ["Unknown command `xyzzy`.", "`/minerpulse help` lists the commands"], id="nothing near"),
        pytest.param("&lt;!channel&gt;", ["Unknown command `&lt;!channel&gt;`."], id="what would call everyone"),
        pytest.param("x" * 500, [f"Unknown command `{'x' * 39}…`."], id="very long"),
        pytest.param("rule remove", ["Which rule?", "/minerpulse rule remove ID"], id="no number"),
        pytest.param("rule edit 1d 8pp", ["Which rule?", "/minerpulse rule edit ID [RULE]"], id="no number to edit"),
        pytest.param("rule edit 3 1d 8", ["Rule 3 not changed: 8 isn't a valid threshold."], id="no unit"),
        pytest.param("rule pause it", ["Which rule?", "/minerpulse rule resume ID"], id="pause what?"),
        pytest.param("rule remove three", ["Which rule?", "/minerpulse rules"], id="no number but a word"),
        pytest.param("rule remove 99999999999999999999", ["Which rule?"], id="a number that no rule has"),
        pytest.param("explain 2w", ["Over which window? One of 1d,", "/minerpulse explain [WINDOW]"], id="no window"),
        pytest.param("tune 5d 2", ["Not tuned: 2 isn't a valid rate."], id="no rate"),
        pytest.param("backtest", ["Which rule?", "/minerpulse backtest RULE"], id="no rule"),
        pytest.param("stop", ["Alerts are still on: nothing was changed."], id="stop"),
        pytest.param(
            "help", ["MinerPulse commands: /minerpulse (market now), chart 20d, explain, rules, rule add"], id="help"
        ),
        pytest.param("help all", [row.usage for row in COMMANDS], id="all help"),
    ],
)
def test_invalid_commands_are_answered_with_what_to_type(text: str, expected: list[str]) -> None:
    response = parse_command(text, COMMANDS).response
    assert response is not None
    checked({"text": response.text, "blocks": response.blocks})
    shown = f"{response.text}\n{response.full_text}"
    assert [] == [part for part in expected if part not in shown]


def buttons_of(text: str) -> list[tuple[str, str, str]]:
    """Return the action, label and value of each button of the answer to a text."""
    response = parse_command(text, COMMANDS).response
    assert response is not None
    elements = [element for block in response.blocks for element in block.get("elements", ())]
    return [(one["action_id"], one["text"]["text"], one["value"]) for one in elements if one["type"] == "button"]


@pytest.mark.parametrize(
    ("text", "buttons"),
    [
        pytest.param(
            "list rules",
            [("run_command", "Show Rules", "rules"), ("run_command_2", "Show Help", "help")],
            id="a command",
        ),
        pytest.param(
            "remove 3",
            [("run_command", "Remove Rule 3", "rule remove 3"), ("run_command_2", "Show Help", "help")],
            id="with its argument",
        ),
        pytest.param("snoze", [("run_command", "Show Help", "help")], id="an argument is missing"),
        pytest.param(
            "rule add 1d 8 bananas",
            [("run_command", "Add 1d 8pp", "rule add 1d 8pp"), ("edit_new_rule", "Open Editor", "1d 8pp")],
            id="a rule",
        ),
        pytest.param(
            "rule add 5d 15 bps",
            [
                ("run_command", "Add 5d 15pp", "rule add 5d 15pp"),
                ("run_command_2", "Add 5d 0.15pp", "rule add 5d 0.15pp"),
                ("edit_new_rule", "Open Editor", "5d 15pp"),
            ],
            id="basis points",
        ),
        pytest.param("rule add so so", [("edit_new_rule", "Open Editor", "new")], id="no rule is near"),
        pytest.param("rule edit 3 1d 8", [("run_command", "Use 1d 8pp", "rule edit 3 1d 8pp")], id="a rule to edit"),
        pytest.param(
            "stop", [("run_command", "Mute 8 h", "mute 8h"), ("run_command_2", "Pause Rules…", "rules")], id="stop"
        ),
        pytest.param("help", [("run_command", "Show Market", "board")], id="help"),
    ],
)
def test_an_answer_has_buttons_that_run_the_suggested_command(text: str, buttons: list[tuple[str, str, str]]) -> None:
    assert buttons == buttons_of(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "rule add 1d 8 bananas",
            "Rule not added: `8 bananas` isn't a valid threshold.\n"
            "Spread thresholds are in percentage points, as in 8pp. Did you mean `1d 8pp`?",
            id="a threshold",
        ),
        pytest.param(
            "rule add 1d 8pp abvoe",
            "Rule not added: `abvoe` isn't a valid option.\nUse “above”. Did you mean `1d 8pp above`?",
            id="an option",
        ),
        pytest.param(
            "rule add 5d 15 bps",
            "Rule not added: 15 bps is 0.15 pp.\nDid you mean `5d 15pp` or `5d 0.15pp`?",
            id="basis points",
        ),
        pytest.param(
            "rule add 1d < 8pp",
            "Rule not added: “&lt; 8pp” can be read in two ways.\n"
            "Use “below 8pp” for a move of 8pp in the opposite direction. Did you mean `1d 8pp below`?",
            id="a comparison that is nearly always true",
        ),
        pytest.param(
            "rule add 1d",
            "Rule not added: The threshold is missing.\nSpread thresholds are in percentage points, as in 8pp.",
            id="nothing",
        ),
        pytest.param(
            "backtest 60d z3.5",
            "Not backtested: `60d` isn't a valid window of z.\n"
            "Use a window of at most 20 sessions for z, because a year has too few longer ones to compare with. "
            "The closest rule is “60d 2sigma”. Did you mean `60d 2sigma`?",
            id="a retired window",
        ),
    ],
)
def test_an_invalid_rule_is_answered_with_what_happened_why_and_what_to_type(text: str, expected: str) -> None:
    response = parse_command(text, COMMANDS).response
    assert response is not None
    assert expected == response.blocks[0]["text"]["text"]


@pytest.mark.parametrize(
    "text", ["rules ", "Rules", "rule", "", "list", "rules.", "<@U1> rules", "rulez", "1", "x" * 900]
)
def test_a_button_runs_only_what_the_app_writes(text: str) -> None:
    assert parse_exactly(text, COMMANDS) is None


def test_a_very_long_rule_is_rejected_without_quoting_it() -> None:
    response = parse_command("rule add 1d " + "x" * 480, COMMANDS).response
    assert response is not None
    checked({"text": response.text, "blocks": response.blocks})
    assert "x…" in response.full_text
    assert len(response.text) <= 260


@pytest.mark.parametrize("text", ["rule add 1d " + "x" * 489, "x" * 501, "&lt;" * 501, "<@U1> " * 1_200, "&" * 10_000])
def test_a_command_of_more_than_500_characters_is_refused_unread(text: str) -> None:
    response = parse_command(text, COMMANDS).response
    assert response is not None
    assert "and the limit is 500. Shorten it." in response.text


def test_slacks_escapes_and_names_do_not_count_as_typed() -> None:
    editors = " ".join(f"<@U012AB3C{number}|a.rather.long.name>" for number in range(10, 30))
    text = f"channel editors {editors}"

    assert len(text) > 500
    assert f"editors {editors}" == parse_command(text, COMMANDS).argument


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("help", "help"),
        ("help_all", "help all"),
        ("help_rules", "help rules"),
        ("help_channel", "help channel"),
        ("did_you_mean", "list rules"),
        ("rule_error", "rule add 1d 8 bananas"),
        ("rule_error_bps", "rule add 5d 15 bps"),
        ("stop", "stop"),
    ],
)
def test_answers_without_data_match_their_golden_files(name: str, text: str, golden: Golden) -> None:
    response = parse_command(text, COMMANDS).response
    assert response is not None
    golden(name, response)


def test_the_short_help_has_eight_commands_and_a_menu_of_topics() -> None:
    response = parse_command("help", COMMANDS).response
    assert response is not None
    _, commands, grammar, controls, _ = response.blocks

    assert 8 == len(commands["text"]["text"].splitlines())
    assert "`20d residual 10pp below`" in grammar["text"]["text"]
    assert ["market", "rules", "alerts", "channel", "sources", "all"] == [
        option["value"] for option in controls["elements"][0]["options"]
    ]


def test_the_summaries_are_short_and_in_the_third_person() -> None:
    assert [] == [row.name for row in COMMANDS if len(row.summary.split()) > 20]
    assert [] == [row.name for row in COMMANDS if not row.summary.split()[0].endswith("s")]


NAMES = ["", *(name for row in COMMANDS for name in (row.name, *row.aliases))]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_alone_is_parsed_as_in_any_other_spelling(name: str) -> None:
    assert parse_command(f" {name.upper()} ", COMMANDS) == parse_command(name, COMMANDS)


def test_an_answer_is_written_once_for_all_acknowledgements() -> None:
    parsed = parse_command("help", COMMANDS)

    assert parsed.response is not None
    assert {"text": parsed.response.text, "blocks": parsed.response.blocks} == json.loads(parsed.acknowledgement)
    assert parsed.acknowledgement is parse_command("help", COMMANDS).acknowledgement


def test_no_other_word_for_a_command_is_a_command_or_a_known_symbol() -> None:
    names = {row.name for row in COMMANDS}
    aliases = [alias for row in COMMANDS for alias in row.aliases]

    assert len(set(aliases)) == len(aliases)
    assert [] == [word for word in aliases if word in names or is_known_symbol(word)]
    assert [] == [word for word in names if is_known_symbol(word)]


def test_every_command_has_an_answer() -> None:
    assert [] == [row.words for row in COMMANDS if row.run is None and row.validate("", COMMANDS) is None]


def test_every_example_parses_as_its_own_command() -> None:
    parsed = [parse_command(row.example.removeprefix("/minerpulse"), COMMANDS) for row in COMMANDS]
    assert [row.words for row in COMMANDS] == [one.command and one.command.words for one in parsed]


def test_the_hint_lists_every_command() -> None:
    assert (
        "[board | status [SYMBOL] [WINDOW] | chart [SYMBOL] [WINDOW] | explain [WINDOW] | rules | rule add [RULE] | "
        "rule edit ID [RULE] | "
        "rule move OLD NEW | rule pause ID | rule resume ID | rule remove ID | ack [ID] | unack [ID] | "
        "snooze [ID] DURATION | unsnooze [ID] | resolve [ID] [REASON] | history | why [ID] | test | "
        "channel [SETTING] | mute DURATION | stop | digest | brief | "
        "backtest RULE | tune WINDOW RATE | drawdown | miners [WINDOW] | network | sources | "
        "help [TOPIC]]"
    ) == usage_hint()

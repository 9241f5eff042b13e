"""Slack messages rendered in the terminal at any width."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from bot.terminal import print_message, render_block, render_message, render_mrkdwn
from handlers.render.fmt import sparkline
from handlers.render.message import text_message

GOLDEN = {path.stem: json.loads(path.read_text("utf-8")) for path in (Path(__file__).parents[1] / "golden").iterdir()}
MESSAGES = {name: expected for name, expected in sorted(GOLDEN.items()) if "text" in expected}  # the others are views


DATE = "<!date^1700000000^{date_short_pretty} at {time}|Nov 14, 5:13 PM ET>"


def printed(expected: RenderableType, width: int = 80) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(expected)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def lines(expected: RenderableType, width: int = 80) -> list[str]:
    return [line.rstrip() for line in printed(expected, width).splitlines()]


def text(mrkdwn: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": mrkdwn}


@pytest.mark.parametrize(
    ("mrkdwn", "expected"),
    [
        pytest.param("*bold* _italic_ ~struck~ `code`", "bold italic struck code", id="marks"),
        pytest.param("*bold and _both_*", "bold and both", id="nested"),
        pytest.param("2*3*4 and snake_case_name", "2*3*4 and snake_case_name", id="marks-inside-words"),
        pytest.param("* not bold *", "* not bold *", id="marks-beside-spaces"),
        pytest.param("```\n1d 8pq\n   ^^^```", "1d 8pq\n   ^^^", id="fixed-width-block"),
        pytest.param("`*x*`", "*x*", id="no-marks-in-code"),
        pytest.param("<https://a.b|here> <https://a.b>", "here https://a.b", id="links"),
        pytest.param("<@U1> <@U1|ann> <#C1|desk> <!here>", "@U1 @ann #desk @here", id="mentions"),
        pytest.param("<!date^1700000000^{date}|14 Nov 2023>", "14 Nov 2023", id="date"),
        pytest.param(f"Since {DATE}, until {DATE}.", "Since Nov 14, 5:13 PM ET, until Nov 14, 5:13 PM ET.", id="dates"),
        pytest.param(f"*until {DATE}*", "until Nov 14, 5:13 PM ET", id="a-date-in-bold"),
        pytest.param(f"_until {DATE}_", "until Nov 14, 5:13 PM ET", id="a-date-in-italics"),
        pytest.param(f"_a_ {DATE} `b_c`", "a Nov 14, 5:13 PM ET b_c", id="a-date-between-marks"),
        pytest.param("<!date^1700000000^{time}^https://a.b|5:13 PM ET>", "5:13 PM ET", id="a-date-with-a-link"),
        pytest.param("a < b*", "a < b*", id="an-open-bracket"),
        pytest.param(":red_circle: Alert #1, :nothing: at 10:35:12", "Alert #1, :nothing: at 10:35:12", id="emoji"),
        pytest.param("a &lt; *b* &amp;&amp; c &gt; d", "a < b && c > d", id="escapes"),
        pytest.param("&lt;@U1&gt;", "<@U1>", id="an-escaped-mention-is-text"),
        pytest.param("[red]not markup of the terminal[/red]", "[red]not markup of the terminal[/red]", id="brackets"),
        pytest.param("<|x>", "x", id="a-link-to-nowhere"),
    ],
)
def test_markup_renders_as_in_slack(mrkdwn: str, expected: str) -> None:
    assert render_mrkdwn(mrkdwn).plain == expected


@pytest.mark.parametrize(
    "mark", [pytest.param("*", id="bold"), pytest.param("_", id="italic"), pytest.param("~", id="strike")]
)
def test_marked_words_are_styled(mark: str) -> None:
    [span] = render_mrkdwn(f"so {mark}marked{mark}").spans
    assert (span.start, span.end, span.style) == (3, 9, {"*": "bold", "_": "italic", "~": "strike"}[mark])


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        pytest.param({"type": "header", "text": {"type": "plain_text", "text": "A &amp; B"}}, ["A & B"], id="header"),
        pytest.param({"type": "section", "text": text("*WGMI* up")}, ["WGMI up"], id="section"),
        pytest.param(
            {"type": "section", "fields": [text("A"), text("B"), text("C")]}, ["A   B", "C"], id="fields-in-pairs"
        ),
        pytest.param(
            {
                "type": "section",
                "text": text("x"),
                "accessory": {"type": "button", "text": {"type": "plain_text", "text": "Go"}},
            },
            ["x", "[Go]"],
            id="accessory",
        ),
        pytest.param(
            {"type": "section", "text": text("x\ny"), "accessory": {"type": "overflow"}},
            [f"x{'[More ▾]':>79}", "y"],
            id="a-menu-beside-its-text",
        ),
        pytest.param(
            {"type": "context", "elements": [{"type": "image", "alt_text": "logo"}, text("as of now")]},
            ["[logo]  as of now"],
            id="context",
        ),
        pytest.param({"type": "divider"}, ["─" * 80], id="divider"),
        pytest.param(
            {
                "type": "actions",
                "elements": [
                    {"type": "button", "text": {"type": "plain_text", "text": "Acknowledge"}},
                    {"type": "static_select", "placeholder": {"type": "plain_text", "text": "Snooze"}},
                    {"type": "overflow"},
                    {"type": "image", "alt_text": "logo"},
                ],
            },
            ["[Acknowledge] [Snooze ▾] [More ▾] [logo]"],
            id="actions",
        ),
        pytest.param(
            {
                "type": "table",
                "column_settings": [{"align": "left"}, None],
                "rows": [
                    [{"type": "raw_text", "text": "Window"}, {"type": "raw_text", "text": "Spread"}],
                    [{"type": "raw_text", "text": "1d"}, {"type": "raw_number", "value": -5.3}],
                ],
            },
            ["Window  Spread", "1d        -5.3"],
            id="table",
        ),
        pytest.param({"type": "image", "alt_text": "a chart"}, ["[Image: a chart]"], id="image"),
        pytest.param({"type": "markdown", "text": "# as it is"}, ["# as it is"], id="markdown"),
        pytest.param(
            {
                "type": "rich_text",
                "elements": [
                    {
                        "type": "rich_text_section",
                        "elements": [
                            {"type": "text", "text": "by ", "style": {"bold": True}},
                            {"type": "user", "user_id": "U1"},
                        ],
                    },
                    {"type": "rich_text_section", "elements": [{"type": "link", "url": "https://a.b"}]},
                ],
            },
            ["by @U1", "https://a.b"],
            id="rich-text",
        ),
        pytest.param(
            {
                "type": "data_visualization",
                "title": "Spread",
                "chart": {"series": [{"name": "WGMI", "data": [{"value": 1}, {"value": 2}, {"value": 3}]}]},
            },
            ["Spread", "WGMI  1 ▁▅█ 3"],
            id="chart",
        ),
        pytest.param(
            {
                "type": "container",
                "title": {"type": "plain_text", "text": "Details"},
                "child_blocks": [{"type": "section", "text": text("inside")}],
            },
            ["Details", "inside"],
            id="container",
        ),
        pytest.param({"type": "carousel"}, ["[carousel]"], id="unknown"),
    ],
)
def test_each_block_type_is_rendered(block: dict[str, Any], expected: list[str]) -> None:
    assert lines(render_block(block)) == expected


def test_a_message_without_blocks_shows_its_text() -> None:
    assert lines(render_message("*hello*", [])) == ["hello"]


@pytest.mark.parametrize("width", [24, 80])
@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_of_the_app_fits_the_terminal(name: str, width: int) -> None:
    message = MESSAGES[name]
    expected = lines(render_message(message["text"], message["blocks"]), width)
    assert max(map(len, expected)) <= width
    assert json.dumps(message, ensure_ascii=False).count("…") >= "".join(expected).count("…")  # nothing is cut off
    first = render_mrkdwn(message["blocks"][0]["text"]["text"]).plain.split()[0]
    assert expected[0].startswith(first[:width])


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        pytest.param([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█", id="rising"),
        pytest.param([5.0, 5.0], "▁▁", id="level"),
        pytest.param([-1, 1], "▁█", id="below-zero"),
        pytest.param([], "", id="nothing"),
    ],
)
def test_bars_represent_values(values: list[float], bars: str) -> None:
    assert sparkline(values) == bars


def test_the_terminal_shows_control_characters_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_message(text_message("a \x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J \u202edesrever"))
    printed = capsys.readouterr().out

    assert not set("\x1b\x07\x9b\u202e") & set(printed)
    assert "\\u001b[31mred" in printed


@pytest.mark.parametrize("name", MESSAGES)
def test_no_message_of_the_app_shows_a_date_token(name: str) -> None:
    message = MESSAGES[name]

    shown = printed(render_message(message["text"], message["blocks"])) + render_mrkdwn(message["text"]).plain

    assert "!date" not in shown

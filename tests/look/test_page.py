"""Payloads are drawn as a reader sees them."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.look.budgets import goldens
from tests.look.page import Drawing, Reader, date_text, mrkdwn, sheet

READER = Reader()
LONDON = Reader(zone=ZoneInfo("Europe/London"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("*bold* _italic_ ~gone~", "<b>bold</b> <i>italic</i> <s>gone</s>", id="styles"),
        pytest.param("2*3*4 snake_case_name", "2*3*4 snake_case_name", id="marks inside words"),
        pytest.param("a\n`*1d* 8pp`", "a<br><code>*1d* 8pp</code>", id="code"),
        pytest.param("a```\nb *c*\n```d", "a<pre>b *c*</pre>d", id="a code block"),
        pytest.param("a &lt; b", "a &lt; b", id="escapes"),
        pytest.param(
            "*<https://example.com|Alert #12>*", '<b><a href="#">Alert #12</a></b>', id="a link in bold letters"
        ),
        pytest.param("<@U3>", '<span class="mention">@priya</span>', id="a person"),
        pytest.param("<#C9>", '<span class="mention">#C9</span>', id="a channel"),
        pytest.param("<!subteam^S1>", '<span class="mention">@mining-desk</span>', id="a group"),
        pytest.param("<!channel>", '<span class="mention">@channel</span>', id="everybody"),
        pytest.param("at 10:40:05 :rocket:", "at 10:40:05 :rocket:", id="colons and an unknown emoji"),
    ],
)
def test_markup_is_drawn_like_in_slack(text: str, expected: str) -> None:
    assert expected == mrkdwn(text, READER)


@pytest.mark.parametrize(
    ("token", "reader", "expected"),
    [
        pytest.param("1794929700^{date_short_pretty} at {time}", READER, "today at 10:35 AM", id="today"),
        pytest.param("1794929700^{date_short_pretty} at {time}", LONDON, "today at 15:35", id="in London"),
        pytest.param("1794843300^{date_pretty}", READER, "yesterday", id="yesterday"),
        pytest.param("1794584100^{date_short_pretty}", READER, "Nov 13, 2026", id="last week"),
        pytest.param(
            "1794929700^{date_num} {time_secs}^https://example.com", READER, "2026-11-17 10:35:00 AM", id="link"
        ),
    ],
)
def test_a_date_token_is_shown_in_the_time_zone_of_the_reader(token: str, reader: Reader, expected: str) -> None:
    assert expected == date_text(token, reader)


def test_an_emoji_is_drawn_with_any_font() -> None:
    assert mrkdwn(":red_circle: Firing", READER).startswith('<svg class="emoji"')


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        pytest.param(
            {"type": "image", "alt_text": "WGMI & BTC", "slack_file": {"id": "F1"}},
            '<div class="image">WGMI &amp; BTC</div>',
            id="a picture is its alternative text",
        ),
        pytest.param(
            {"type": "table", "rows": [[{"type": "raw_text", "text": "1d"}]], "column_settings": [{"align": "right"}]},
            '<div class="table"><table><tr><td class="right ">1d</td></tr></table></div>',
            id="a table",
        ),
        pytest.param({"type": "divider"}, "<hr>", id="a divider"),
        pytest.param(
            {
                "type": "input",
                "optional": True,
                "label": {"type": "plain_text", "text": "Days"},
                "hint": {"type": "plain_text", "text": "Any"},
                "element": {
                    "type": "checkboxes",
                    "action_id": "a",
                    "options": [
                        {"text": {"type": "plain_text", "text": "Mon"}, "value": "1"},
                        {"text": {"type": "plain_text", "text": "Tue"}, "value": "2"},
                    ],
                    "initial_options": [{"text": {"type": "plain_text", "text": "Tue"}, "value": "2"}],
                },
            },
            "<label>Days <small>(optional)</small></label><p>☐ Mon<br>☑ Tue</p>" + '<div class="hint">Any</div>',
            id="checkboxes",
        ),
    ],
)
def test_a_block_is_drawn(block: dict[str, Any], expected: str) -> None:
    assert expected in Drawing(READER, phone=True).payload({"text": "a", "blocks": [block]})


def test_a_chart_is_drawn_as_lines_with_its_scale_and_its_ends() -> None:
    points = [{"label": "Oct 20", "value": 0.0}, {"label": "Nov 17", "value": -6.8}]
    chart = {
        "type": "line",
        "series": [{"name": "BTC", "data": points}],
        "axis_config": {"categories": ["Oct 20", "Nov 17"]},
    }
    block = {"type": "data_visualization", "title": "BTC, last 20 sessions", "chart": chart}

    drawn = Drawing(READER, phone=True).payload({"text": "a", "blocks": [block]})

    assert 1 == drawn.count("<polyline")
    assert all(f">{text}</text>" in drawn for text in ("−6.8", "0", "Oct 20", "Nov 17"))


def test_every_golden_payload_is_drawn_under_its_name() -> None:
    drawn = sheet(goldens(), phone=False, dark=True)
    assert [] == [name for name in goldens() if f'<figure id="{name}">' not in drawn]

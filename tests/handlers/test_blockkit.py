"""The judge is judged: it must refuse what Slack refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.blockkit import problems

PLAIN = {"type": "plain_text", "text": "a"}
OPTION = {"text": PLAIN, "value": "1"}
BUTTON = {"type": "button", "text": PLAIN, "action_id": "a", "value": "1"}
SELECT = {"type": "static_select", "action_id": "s", "placeholder": PLAIN, "options": [OPTION]}


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def table(*rows: list[str], **more: object) -> dict[str, Any]:
    return {"type": "table", "rows": [[{"type": "raw_text", "text": cell} for cell in row] for row in rows], **more}


def header(text: str) -> dict[str, Any]:
    return {"type": "header", "text": {"type": "plain_text", "text": text}}


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param([header("a"), section("<@U1> &amp; `b`"), {"type": "divider"}], id="text"),
        pytest.param([table(["a", "b"], ["c", "d"], column_settings=[{}, {"align": "right"}])], id="table"),
        pytest.param([actions(BUTTON, SELECT)], id="actions"),
        pytest.param([{"type": "context", "elements": [section("a")["text"]]}], id="context"),
    ],
)
def test_good_blocks_pass(blocks: list[dict[str, Any]]) -> None:
    assert [] == problems({"text": "a", "blocks": blocks})


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        pytest.param([], "blocks: is no list, or empty", id="no blocks"),
        pytest.param([section("a")] * 51, "blocks: 51 are more than 50", id="too many blocks"),
        pytest.param([{"type": "alert"}], "blocks[0]: unknown block alert", id="a block of modals only"),
        pytest.param([{"type": "video"}], "blocks[0]: unknown block video", id="unknown block"),
        pytest.param(["a"], "blocks[0]: unknown block None", id="no block"),
        pytest.param([section("a") | {"colour": "red"}], "blocks[0].colour: is unknown", id="unknown key"),
        pytest.param([{"type": "section"}], "blocks[0].text: is missing", id="missing key"),
        pytest.param([section("")], "blocks[0].text.text: is no text, or empty", id="empty text"),
        pytest.param([section("a" * 3_001)], "blocks[0].text.text: 3001 characters are more than 3000", id="section"),
        pytest.param([header("a" * 151)], "blocks[0].text.text: 151 characters are more than 150", id="header"),
        pytest.param(
            [{"type": "header", "text": section("a")["text"]}],
            "blocks[0].text.type: 'mrkdwn' is none of ('plain_text',)",
            id="markdown in a header",
        ),
        pytest.param([section("a < b")], "blocks[0].text: '<' is not escaped", id="bare angle"),
        pytest.param([section("a & b")], "blocks[0].text: '&' is not escaped", id="bare ampersand"),
        pytest.param([section("```a")], "blocks[0].text: a code block does not end", id="open code block"),
        pytest.param(
            [{"type": "context", "elements": [section("a")["text"]] * 11}],
            "blocks[0].elements: 11 are more than 10",
            id="context elements",
        ),
        pytest.param(
            [actions(*[BUTTON | {"action_id": str(n)} for n in range(26)])],
            "blocks[0].elements: 26 are more than 25",
            id="action elements",
        ),
        pytest.param([actions(BUTTON), actions(BUTTON)], "action_id a: is not unique", id="two of one action_id"),
        pytest.param(
            [actions(BUTTON | {"action_id": "a" * 256})],
            "blocks[0].elements[0].action_id: 256 characters are more than 255",
            id="action_id",
        ),
        pytest.param(
            [actions(BUTTON | {"text": PLAIN | {"text": "a" * 76}})],
            "blocks[0].elements[0].text.text: 76 characters are more than 75",
            id="button text",
        ),
        pytest.param(
            [actions(BUTTON | {"value": "a" * 2_001})],
            "blocks[0].elements[0].value: 2001 characters are more than 2000",
            id="button value",
        ),
        pytest.param(
            [actions(BUTTON | {"style": "warning"})],
            "blocks[0].elements[0].style: 'warning' is none of ('primary', 'danger')",
            id="button style",
        ),
        pytest.param(
            [actions({"type": "datepicker"})], "blocks[0].elements[0]: unknown element datepicker", id="element"
        ),
        pytest.param(
            [actions(SELECT | {"options": [OPTION | {"value": "a" * 151}]})],
            "blocks[0].elements[0].options[0].value: 151 characters are more than 150",
            id="option value",
        ),
        pytest.param(
            [actions(SELECT | {"options": [OPTION | {"text": PLAIN | {"text": "a" * 76}}]})],
            "blocks[0].elements[0].options[0].text.text: 76 characters are more than 75",
            id="option text",
        ),
        pytest.param(
            [actions(SELECT | {"options": []})],
            "blocks[0].elements[0].options: is no list, or empty",
            id="no options",
        ),
        pytest.param([table(["a"]), table(["a"])], "blocks: only one table is allowed", id="two tables"),
        pytest.param([table(["a", "b"], ["c"])], "blocks[0].rows: are ragged", id="ragged rows"),
        pytest.param([table(["a", " "])], "blocks[0].rows[0][1].text: is no text, or empty", id="empty cell"),
        pytest.param([table(["a"] * 21)], "blocks[0].rows[0]: 21 are more than 20", id="columns"),
        pytest.param([table(*[["a"]] * 101)], "blocks[0].rows: 101 are more than 100", id="rows"),
        pytest.param(
            [table(["a"], column_settings=[{"align": "justify"}])],
            "blocks[0].column_settings[0].align: 'justify' is none of ('left', 'center', 'right')",
            id="alignment",
        ),
        pytest.param(
            [table(["a"], column_settings=[{"is_wrapped": 1}])],
            "blocks[0].column_settings[0].is_wrapped: is neither true nor false",
            id="flag",
        ),
        pytest.param(
            [section("a" * 2_500)] * 5, "blocks: 12500 characters are more than 12000", id="all characters together"
        ),
    ],
)
def test_bad_blocks_are_refused(blocks: list[Any], expected: str) -> None:
    assert [expected] == problems({"text": "a", "blocks": blocks})


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param({"blocks": [section("a")]}, "text: is no text, or empty", id="none"),
        pytest.param({"text": "", "blocks": [section("a")]}, "text: is no text, or empty", id="empty"),
        pytest.param({"text": "a" * 4_001}, "text: 4001 characters are more than 4000", id="long"),
    ],
)
def test_a_message_without_a_text_of_its_own_is_refused(message: dict[str, Any], expected: str) -> None:
    assert [expected] == problems(message)

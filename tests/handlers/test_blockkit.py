"""The Block Kit checker of the tests reports what Slack rejects."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.blockkit import problems, view_problems
from tests.handlers.conftest import GOLDEN

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


def chart(*, points: int = 2, series: int = 1, **more: object) -> dict[str, Any]:
    """Return a line chart of `series` series with `points` points each."""
    categories = [f"10:{number:02}" for number in range(points)]
    data = [{"label": label, "value": -1.0} for label in categories]
    drawn = [{"name": f"S{number}", "data": data} for number in range(series)]
    inner = {"type": "line", "series": drawn, "axis_config": {"categories": categories, "y_label": "%"}, **more}
    return {"type": "data_visualization", "title": "WGMI and BTC", "chart": inner}


def image(**more: object) -> dict[str, Any]:
    return {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a", **more}


def input_block(**more: object) -> dict[str, Any]:
    return {"type": "input", "label": PLAIN, "element": {"type": "plain_text_input", "action_id": "t"}, **more}


def data_table(*rows: list[str]) -> dict[str, Any]:
    return table(*rows) | {"type": "data_table", "caption": "a"}


def modal(*blocks: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"type": "modal", "title": PLAIN, "submit": PLAIN, "blocks": list(blocks), **more}


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param([header("a"), section("<@U1> &amp; `b`"), {"type": "divider"}], id="text"),
        pytest.param([table(["a", "b"], ["c", "d"], column_settings=[{}, {"align": "right"}])], id="table"),
        pytest.param([actions(BUTTON, SELECT)], id="actions"),
        pytest.param([{"type": "context", "elements": [section("a")["text"]]}], id="context"),
        pytest.param([chart(series=6, points=20), table(["a"])], id="chart"),
        pytest.param([image(), section("a") | {"accessory": BUTTON}], id="image and accessory"),
        pytest.param([{"type": "container", "title": PLAIN, "child_blocks": [section("a")]}], id="container"),
    ],
)
def test_valid_blocks_have_no_problems(blocks: list[dict[str, Any]]) -> None:
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
        pytest.param([actions({"type": "slider"})], "blocks[0].elements[0]: unknown element slider", id="element"),
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
        pytest.param([data_table(["a"], ["b"]), table(["a"])], "blocks: only one table is allowed", id="one of each"),
        pytest.param([data_table(["a"])], "blocks[0].rows: 1 are fewer than 2", id="a table of a head alone"),
        pytest.param(
            [table(["a"], column_settings=[{}, {}])], "blocks[0].column_settings: more than columns", id="settings"
        ),
        pytest.param(
            [{"type": "table", "rows": [[section("a")["text"]]]}],
            "blocks[0].rows[0][0]: unknown cell mrkdwn",
            id="markdown in a cell",
        ),
        pytest.param(
            [section("a") | {"block_id": "b"}, header("a") | {"block_id": "b"}],
            "block_id b: is not unique",
            id="two of one block_id",
        ),
        pytest.param(
            [section("a") | {"accessory": BUTTON}, actions(BUTTON)],
            "action_id a: is not unique",
            id="an accessory's action_id",
        ),
        pytest.param([chart(series=7)], "blocks[0].chart.series: 7 are more than 6", id="series"),
        pytest.param(
            [chart(axis_config={"categories": ["10:00"]})],
            "blocks[0].chart: series do not match the categories",
            id="categories",
        ),
        pytest.param(
            [chart(series=1) | {"title": "a" * 51}], "blocks[0].title: 51 characters are more than 50", id="chart title"
        ),
        pytest.param([chart()] * 3, "blocks: only 2 charts are allowed", id="charts"),
        pytest.param([{"type": "image", "image_url": "a"}], "blocks[0].alt_text: is missing", id="no alt text"),
        pytest.param(
            [image(slack_file={"id": "F1"})],
            "blocks[0]: has not one of image_url and slack_file",
            id="an image from two places",
        ),
        pytest.param([input_block()], "blocks[0]: unknown block input", id="a question outside a view"),
        pytest.param(
            [{"type": "container", "title": PLAIN, "child_blocks": [{"type": "markdown", "text": "a"}]}],
            "blocks[0].child_blocks[0]: unknown block markdown",
            id="a block that cannot stand inside",
        ),
        pytest.param(
            [section("a" * 2_500)] * 5, "blocks: 12500 characters are more than 12000", id="all characters together"
        ),
    ],
)
def test_an_invalid_block_is_reported(blocks: list[Any], expected: str) -> None:
    assert [expected] == problems({"text": "a", "blocks": blocks})


def test_a_chart_has_at_most_twenty_points() -> None:
    found = problems({"text": "a", "blocks": [chart(points=21)]})
    assert {
        f"blocks[0].chart.{where}: 21 are more than 20" for where in ("series[0].data", "axis_config.categories")
    } == {*found}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param({"blocks": [section("a")]}, "text: is no text, or empty", id="none"),
        pytest.param({"text": "", "blocks": [section("a")]}, "text: is no text, or empty", id="empty"),
        pytest.param({"text": "a", "colour": "red"}, "colour: is unknown", id="another key"),
        pytest.param({"text": "a" * 4_001}, "text: 4001 characters are more than 4000", id="long"),
    ],
)
def test_an_invalid_message_is_reported(message: dict[str, Any], expected: str) -> None:
    assert [expected] == problems(message)


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(modal(input_block(), {"type": "alert", "level": "error", "text": PLAIN}), id="modal"),
        pytest.param({"type": "home", "blocks": [section("a"), actions(BUTTON)]}, id="home"),
        pytest.param(modal(*[section("a")] * 100), id="a hundred blocks"),
    ],
)
def test_valid_views_have_no_problems(view: dict[str, Any]) -> None:
    assert [] == view_problems(view)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        pytest.param(
            modal(section("a"), title=PLAIN | {"text": "a" * 25}),
            "view.title.text: 25 characters are more than 24",
            id="title",
        ),
        pytest.param(
            modal(section("a"), private_metadata="a" * 3_001),
            "view.private_metadata: 3001 characters are more than 3000",
            id="metadata",
        ),
        pytest.param(modal(*[section("a")] * 101), "blocks: 101 are more than 100", id="blocks"),
        pytest.param(modal(table(["a"])), "blocks[0]: unknown block table", id="a table in a modal"),
        pytest.param(
            {"type": "home", "blocks": [{"type": "alert", "level": "error", "text": PLAIN}]},
            "blocks[0]: unknown block alert",
            id="an alert at home",
        ),
        pytest.param({"type": "home", "blocks": [section("a")], "title": PLAIN}, "view.title: is unknown", id="home"),
        pytest.param({"type": "modal", "blocks": [section("a")]}, "view.title: is missing", id="no title"),
        pytest.param(
            {"type": "modal", "title": PLAIN, "blocks": [input_block()]},
            "view.submit: is missing, though there is something to enter",
            id="no way to submit",
        ),
    ],
)
def test_an_invalid_view_is_reported(view: dict[str, Any], expected: str) -> None:
    assert [expected] == view_problems(view)


def goldens() -> list[Any]:
    return [pytest.param(json.loads(path.read_text("utf-8")), id=path.stem) for path in sorted(GOLDEN.glob("*.json"))]


@pytest.mark.parametrize("message", goldens())
def test_every_golden_message_is_valid_and_an_unknown_key_anywhere_is_reported(message: dict[str, Any]) -> None:
    find_problems = problems if "text" in message else view_problems
    assert [] == find_problems(message)
    for position in range(len(list(objects(message)))):
        changed = copy.deepcopy(message)
        list(objects(changed))[position]["colour"] = "red"
        assert [found for found in find_problems(changed) if found.endswith("colour: is unknown")] != []


def objects(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 -- any JSON
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in inner:
        yield from objects(child)

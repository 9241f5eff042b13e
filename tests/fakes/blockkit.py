"""A strict reader of messages, which refuses what Slack refuses and what only its documentation forbids.

Slack's own checker needs the network, and no library knows every rule: one table in a message, unique action ids,
no ragged or empty cells, the sum of all characters, and a text beside the blocks.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

BLOCKS = 50
ALL_CHARACTERS = 12_000
FALLBACK = 4_000
HEADER, SECTION, CONTEXT_ELEMENTS, ACTION_ELEMENTS, FIELDS, FIELD = 150, 3_000, 10, 25, 10, 2_000
BUTTON_TEXT, BUTTON_VALUE, ID, OPTION_TEXT, OPTION_VALUE, OPTIONS, PLACEHOLDER = 75, 2_000, 255, 75, 150, 100, 150
ROWS, COLUMNS = 100, 20
CHART, CHART_TITLE, CHART_LABEL, POINTS, SERIES = "data_visualization", 50, 20, 20, 6

Check = Callable[[object, str], Iterator[str]]
_MENTION = re.compile(r"<(@[UW][A-Z0-9]+|#C[A-Z0-9]+|!(here|channel|everyone|date\^[^>]+)|https?://[^>|]+(\|[^>]+)?)>")
_ENTITY = re.compile(r"&(amp|lt|gt);")


@dataclass(frozen=True, slots=True)
class Shape:
    """The keys that an object must have and may have, each with its check."""

    needed: dict[str, Check]
    allowed: dict[str, Check] = field(default_factory=dict)

    def __call__(self, value: object, at: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{at}: is no object"
            return
        yield from (f"{at}.{key}: is missing" for key in self.needed.keys() - value.keys())
        known = {**self.allowed, **self.needed}
        for key, inner in value.items():
            yield from known[key](inner, f"{at}.{key}") if key in known else [f"{at}.{key}: is unknown"]


def problems(message: dict[str, Any]) -> list[str]:
    """Everything that is wrong with a message of `text` and `blocks`."""
    blocks = message.get("blocks", [])
    found = list(_words(FALLBACK)(message.get("text"), "text"))
    found += _list_of(_block, BLOCKS)(blocks, "blocks") if "blocks" in message else []
    if not found:
        found += _whole(blocks)
    return found


def checked(message: dict[str, Any]) -> dict[str, Any]:
    """The message itself, where nothing is wrong with it."""
    assert problems(message) == []
    return message


def _whole(blocks: list[dict[str, Any]]) -> Iterator[str]:
    """What can only be seen in all blocks together."""
    ids = [element["action_id"] for block in blocks for element in block.get("elements", []) if "action_id" in element]
    yield from (f"action_id {one}: is not unique" for one, count in Counter(ids).items() if count > 1)
    if sum(block["type"] == "table" for block in blocks) > 1:
        yield "blocks: only one table is allowed"
    characters = sum(_length(block) for block in blocks)
    if characters > ALL_CHARACTERS:
        yield f"blocks: {characters} characters are more than {ALL_CHARACTERS}"


def _length(value: object) -> int:
    if isinstance(value, dict):
        return sum(
            len(inner) if key == "text" and isinstance(inner, str) else _length(inner) for key, inner in value.items()
        )
    return sum(map(_length, value)) if isinstance(value, list) else 0


def _block(value: object, at: str) -> Iterator[str]:
    kind = value.get("type") if isinstance(value, dict) else None
    yield from _BLOCKS[kind](value, at) if kind in _BLOCKS else [f"{at}: unknown block {kind}"]


def _element(value: object, at: str) -> Iterator[str]:
    kind = value.get("type") if isinstance(value, dict) else None
    yield from _ELEMENTS[kind](value, at) if kind in _ELEMENTS else [f"{at}: unknown element {kind}"]


def _words(most: int) -> Check:
    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, str) or not value.strip():
            yield f"{at}: is no text, or empty"
        elif len(value) > most:
            yield f"{at}: {len(value)} characters are more than {most}"

    return check


def _one_of(*allowed: object) -> Check:
    def check(value: object, at: str) -> Iterator[str]:
        if value not in allowed:
            yield f"{at}: {value!r} is none of {allowed}"

    return check


def _flag(value: object, at: str) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{at}: is neither true nor false"


def _list_of(inner: Check, most: int) -> Check:
    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, list) or not value:
            yield f"{at}: is no list, or empty"
            return
        if len(value) > most:
            yield f"{at}: {len(value)} are more than {most}"
        for index, one in enumerate(value):
            yield from inner(one, f"{at}[{index}]")

    return check


def _plain(most: int) -> Check:
    return Shape({"type": _one_of("plain_text"), "text": _words(most)}, {"emoji": _flag})


def _markdown(most: int) -> Check:
    shape = Shape({"type": _one_of("mrkdwn"), "text": _words(most)}, {"verbatim": _flag})

    def check(value: object, at: str) -> Iterator[str]:
        yield from shape(value, at)
        text = value.get("text") if isinstance(value, dict) else None
        if isinstance(text, str):
            yield from _markup(text, at)

    return check


def _markup(text: str, at: str) -> Iterator[str]:
    bare = _ENTITY.sub("", _MENTION.sub("", text))
    yield from (f"{at}: {sign!r} is not escaped" for sign in "<>&" if sign in bare)
    if text.count("```") % 2:
        yield f"{at}: a code block does not end"


def _table(value: object, at: str) -> Iterator[str]:
    cell = Shape({"type": _one_of("raw_text"), "text": _words(SECTION)})
    column = Shape({}, {"align": _one_of("left", "center", "right"), "is_wrapped": _flag})
    shape = Shape(
        {"type": _one_of("table"), "rows": _list_of(_list_of(cell, COLUMNS), ROWS)},
        {"column_settings": _list_of(column, COLUMNS), "block_id": _words(ID)},
    )
    broken = list(shape(value, at))
    yield from broken
    if not broken and isinstance(value, dict) and len({len(row) for row in value["rows"]}) > 1:
        yield f"{at}.rows: are ragged"


def _chart(value: object, at: str) -> Iterator[str]:
    point = Shape({"label": _words(CHART_LABEL), "value": _number})
    line = Shape({"name": _words(CHART_LABEL), "data": _list_of(point, POINTS)})
    axis = Shape(
        {"categories": _list_of(_words(CHART_LABEL), POINTS)},
        {"x_label": _words(CHART_TITLE), "y_label": _words(CHART_TITLE)},
    )
    chart = Shape({"type": _one_of("line"), "series": _list_of(line, SERIES), "axis_config": axis})
    shape = Shape({"type": _one_of(CHART), "title": _words(CHART_TITLE), "chart": chart}, {"block_id": _words(ID)})
    broken = list(shape(value, at))
    yield from broken
    if not broken and isinstance(value, dict):
        yield from _one_clock(value["chart"], at)


def _one_clock(chart: dict[str, Any], at: str) -> Iterator[str]:
    """Every line has a point for each category, in their order, and no name is there twice."""
    categories = chart["axis_config"]["categories"]
    for line in chart["series"]:
        if [point["label"] for point in line["data"]] != categories:
            yield f"{at}.chart: {line['name']} has other points than the categories"
    for names in (categories, [line["name"] for line in chart["series"]]):
        yield from (f"{at}.chart: {name} is there twice" for name, count in Counter(names).items() if count > 1)


def _number(value: object, at: str) -> Iterator[str]:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        yield f"{at}: is no finite number"


_OPTION = Shape({"text": _plain(OPTION_TEXT), "value": _words(OPTION_VALUE)}, {"description": _plain(OPTION_TEXT)})
_CONFIRM = Shape({"title": _plain(100), "text": _plain(300), "confirm": _plain(30), "deny": _plain(30)})
_ELEMENTS: dict[Any, Check] = {
    "button": Shape(
        {"type": _one_of("button"), "text": _plain(BUTTON_TEXT), "action_id": _words(ID)},
        {
            "value": _words(BUTTON_VALUE),
            "style": _one_of("primary", "danger"),
            "accessibility_label": _words(75),
            "confirm": _CONFIRM,
        },
    ),
    "static_select": Shape(
        {"type": _one_of("static_select"), "action_id": _words(ID), "options": _list_of(_OPTION, OPTIONS)},
        {"placeholder": _plain(PLACEHOLDER), "initial_option": _OPTION},
    ),
}
_BLOCKS: dict[Any, Check] = {
    "header": Shape({"type": _one_of("header"), "text": _plain(HEADER)}, {"block_id": _words(ID)}),
    "section": Shape(
        {"type": _one_of("section"), "text": _markdown(SECTION)},
        {"block_id": _words(ID), "fields": _list_of(_markdown(FIELD), FIELDS), "accessory": _element},
    ),
    "context": Shape(
        {"type": _one_of("context"), "elements": _list_of(_markdown(FIELD), CONTEXT_ELEMENTS)}, {"block_id": _words(ID)}
    ),
    "actions": Shape(
        {"type": _one_of("actions"), "elements": _list_of(_element, ACTION_ELEMENTS)}, {"block_id": _words(ID)}
    ),
    "divider": Shape({"type": _one_of("divider")}, {"block_id": _words(ID)}),
    "table": _table,
    CHART: _chart,
}

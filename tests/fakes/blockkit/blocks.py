"""Checks of blocks, and the surfaces on which each is allowed."""

from collections.abc import Iterator
from enum import Enum
from typing import Any

from tests.fakes.blockkit.elements import ID, IMAGE, IN_ACTIONS, IN_CONTEXT, IN_INPUT, IN_SECTION
from tests.fakes.blockkit.shapes import Check, Shape, by_type, flag, list_of, markdown, number, one_of, plain, text

HEADER, SECTION, CONTEXT_ELEMENTS, ACTION_ELEMENTS, FIELDS, FIELD = 150, 3_000, 10, 25, 10, 2_000
ROWS, COLUMNS, DATA_ROWS = 100, 20, 201
SERIES, POINTS, AXIS_LABEL, NAME, CHART_TITLE = 6, 20, 50, 20, 50
ALERT, MARKDOWN, CHILDREN = 200, 12_000, 10


class Surface(Enum):
    """Where blocks are shown."""

    MESSAGE = "message"
    MODAL = "modal"
    HOME = "home"


def _block(kind: str, needed: dict[str, Check], allowed: dict[str, Check] | None = None, *either: str) -> Check:
    return Shape({"type": one_of(kind), **needed}, {"block_id": text(ID), **(allowed or {})}, either)


_CELL = by_type(
    {
        "raw_text": Shape({"type": one_of("raw_text"), "text": text(SECTION)}),
        "raw_number": Shape({"type": one_of("raw_number"), "value": number, "text": text(SECTION)}),
    },
    "cell",
)
_COLUMN = Shape({}, {"align": one_of("left", "center", "right"), "is_wrapped": flag})
_TABLE = _block(
    "table", {"rows": list_of(list_of(_CELL, COLUMNS), ROWS)}, {"column_settings": list_of(_COLUMN, COLUMNS)}
)
_DATA_TABLE = _block(
    "data_table",
    {"caption": text(SECTION), "rows": list_of(list_of(_CELL, COLUMNS), DATA_ROWS, minimum=2)},
    {"page_size": one_of(*range(1, 101)), "row_header_column_index": one_of(*range(COLUMNS))},
)
_SERIES = Shape({"name": text(NAME), "data": list_of(Shape({"label": text(NAME), "value": number}), POINTS)})
_CHART = _block(
    "data_visualization",
    {
        "title": text(CHART_TITLE),
        "chart": Shape(
            {
                "type": one_of("line", "bar", "area"),
                "series": list_of(_SERIES, SERIES),
                "axis_config": Shape(
                    {"categories": list_of(text(NAME), POINTS)},
                    {"x_label": text(AXIS_LABEL), "y_label": text(AXIS_LABEL)},
                ),
            }
        ),
    },
)


def _even(shape: Check) -> Check:
    """Check that all rows of a table have equal length, and that it has no settings for missing columns."""

    def check(value: object, at: str) -> Iterator[str]:
        broken = list(shape(value, at))
        yield from broken
        if not broken and isinstance(value, dict):
            lengths = {len(row) for row in value["rows"]}
            yield from [f"{at}.rows: are ragged"] if len(lengths) > 1 else []
            yield from [f"{at}.column_settings: more than columns"] if _too_many(value, max(lengths)) else []

    return check


def _too_many(table: dict[str, Any], columns: int) -> bool:
    return len(table.get("column_settings", [])) > columns


def _matching(value: object, at: str) -> Iterator[str]:
    """Check that a chart's series have unique names and exactly its categories."""
    broken = list(_CHART(value, at))
    yield from broken
    if broken or not isinstance(value, dict):
        return
    series, categories = value["chart"]["series"], value["chart"]["axis_config"]["categories"]
    if len({one["name"] for one in series}) < len(series) or len(set(categories)) < len(categories):
        yield f"{at}.chart: a name is not unique"
    if any([point["label"] for point in one["data"]] != categories for one in series):
        yield f"{at}.chart: series do not match the categories"


def _section(value: object, at: str) -> Iterator[str]:
    """Check that a section has text, fields or both."""
    yield from _block(
        "section",
        {},
        {"text": _any_text, "fields": list_of(markdown(FIELD), FIELDS), "accessory": IN_SECTION, "expand": flag},
    )(value, at)
    if isinstance(value, dict) and not {"text", "fields"} & value.keys():
        yield f"{at}.text: is missing"


def _any_text(value: object, at: str) -> Iterator[str]:
    kind = value.get("type") if isinstance(value, dict) else None
    yield from (plain(SECTION) if kind == "plain_text" else markdown(SECTION))(value, at)


_EVERYWHERE: dict[str, Check] = {
    "header": _block("header", {"text": plain(HEADER)}),
    "section": _section,
    "context": _block("context", {"elements": list_of(IN_CONTEXT, CONTEXT_ELEMENTS)}),
    "actions": _block("actions", {"elements": list_of(IN_ACTIONS, ACTION_ELEMENTS)}),
    "divider": _block("divider", {}),
    "image": Shape(IMAGE.required, {**IMAGE.optional, "title": plain(2_000), "block_id": text(ID)}, IMAGE.exactly_one),
}
_INPUT = _block(
    "input",
    {"label": plain(2_000), "element": IN_INPUT},
    {"hint": plain(2_000), "optional": flag, "dispatch_action": flag},
)
_IN_CONTAINER = by_type({**_EVERYWHERE, "table": _even(_TABLE), "data_visualization": _matching}, "block")
_MESSAGE: dict[str, Check] = {
    **_EVERYWHERE,
    "table": _even(_TABLE),
    "data_table": _even(_DATA_TABLE),
    "data_visualization": _matching,
    "markdown": _block("markdown", {"text": text(MARKDOWN)}),
    "container": _block(
        "container",
        {"title": plain(HEADER), "child_blocks": list_of(_IN_CONTAINER, CHILDREN)},
        {"is_collapsible": flag, "default_collapsed": flag},
    ),
}
_ALERT = _block("alert", {"level": one_of("default", "info", "success", "warning", "error"), "text": plain(ALERT)})
BLOCKS = {
    Surface.MESSAGE: by_type(_MESSAGE, "block"),
    Surface.MODAL: by_type({**_EVERYWHERE, "input": _INPUT, "alert": _ALERT}, "block"),
    Surface.HOME: by_type({**_EVERYWHERE, "input": _INPUT}, "block"),
}

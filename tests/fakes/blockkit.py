"""Strict Block Kit validator: rejects what Slack rejects, and what only its documentation forbids.

Slack's own checker needs the network, and no library knows every rule: one table per message, unique action ids,
no ragged or empty cells, which block is allowed where, the total number of characters, and a text beside the blocks.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from handlers.render.message import Message

Check = Callable[[object, str], Iterator[str]]
_MENTION = re.compile(
    r"<(@[UW][A-Z0-9]+|#C[A-Z0-9]+|!(here|channel|everyone|subteam\^S[A-Z0-9]+|date\^[^>]+)|https?://[^>|]+(\|[^>]+)?)>"
)
_ENTITY = re.compile(r"&(amp|lt|gt);")


@dataclass(frozen=True, slots=True)
class Shape:
    """Required and optional keys of an object, each with its check, and keys of which exactly one must be present."""

    required: dict[str, Check]
    optional: dict[str, Check] = field(default_factory=dict)
    exactly_one: tuple[str, ...] = ()

    def __call__(self, value: object, at: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{at}: is no object"
            return
        yield from (f"{at}.{key}: is missing" for key in self.required.keys() - value.keys())
        if self.exactly_one and sum(key in value for key in self.exactly_one) != 1:
            yield f"{at}: has not one of {' and '.join(self.exactly_one)}"
        known = {**self.optional, **self.required}
        for key, inner in value.items():
            yield from known[key](inner, f"{at}.{key}") if key in known else [f"{at}.{key}: is unknown"]


def anything(_value: object, _at: str) -> Iterator[str]:
    """Accept a value that is checked elsewhere."""
    return iter(())


def text(limit: int) -> Check:
    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, str) or not value.strip():
            yield f"{at}: is no text, or empty"
        elif len(value) > limit:
            yield f"{at}: {len(value)} characters are more than {limit}"

    return check


def one_of(*allowed: object) -> Check:
    def check(value: object, at: str) -> Iterator[str]:
        if value not in allowed:
            yield f"{at}: {value!r} is none of {allowed}"

    return check


def flag(value: object, at: str) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{at}: is neither true nor false"


def number(value: object, at: str) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # noqa: PLR0124 -- NaN
        yield f"{at}: is no number"


def list_of(inner: Check, limit: int, minimum: int = 1) -> Check:
    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, list) or not value:
            yield f"{at}: is no list, or empty"
            return
        if len(value) > limit:
            yield f"{at}: {len(value)} are more than {limit}"
        if len(value) < minimum:
            yield f"{at}: {len(value)} are fewer than {minimum}"
        for index, one in enumerate(value):
            yield from inner(one, f"{at}[{index}]")

    return check


def by_type(checks: dict[str, Check], noun: str) -> Check:
    def check(value: object, at: str) -> Iterator[str]:
        kind = value.get("type") if isinstance(value, dict) else None
        yield from (
            checks[kind](value, at) if isinstance(kind, str) and kind in checks else [f"{at}: unknown {noun} {kind}"]
        )

    return check


def plain(limit: int) -> Check:
    return Shape({"type": one_of("plain_text"), "text": text(limit)}, {"emoji": flag})


def markdown(limit: int) -> Check:
    shape = Shape({"type": one_of("mrkdwn"), "text": text(limit)}, {"verbatim": flag})

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


ID, BUTTON_TEXT, BUTTON_VALUE, URL, LABEL = 255, 75, 2_000, 3_000, 75
OPTION_TEXT, OPTION_VALUE, OPTIONS, GROUPS, PLACEHOLDER, OVERFLOW, CHOICES = 75, 150, 100, 100, 150, 5, 10

OPTION = Shape({"text": plain(OPTION_TEXT), "value": text(OPTION_VALUE)}, {"description": plain(OPTION_TEXT)})
GROUP = Shape({"label": plain(OPTION_TEXT), "options": list_of(OPTION, OPTIONS)})
CONFIRM = Shape(
    {"title": plain(100), "text": plain(300), "confirm": plain(30), "deny": plain(30)},
    {"style": one_of("primary", "danger")},
)
_SELECT: dict[str, Check] = {"placeholder": plain(PLACEHOLDER), "confirm": CONFIRM, "focus_on_load": flag}
_ENTRY: dict[str, Check] = {"placeholder": plain(PLACEHOLDER), "focus_on_load": flag}


def _shape(kind: str, needed: dict[str, Check], allowed: dict[str, Check], either: tuple[str, ...] = ()) -> Check:
    return Shape({"type": one_of(kind), "action_id": text(ID), **needed}, allowed, either)


PRESSED: dict[str, Check] = {
    "button": _shape(
        "button",
        {"text": plain(BUTTON_TEXT)},
        {
            "value": text(BUTTON_VALUE),
            "url": text(URL),
            "style": one_of("primary", "danger"),
            "accessibility_label": text(LABEL),
            "confirm": CONFIRM,
        },
    ),
    "overflow": _shape("overflow", {"options": list_of(OPTION, OVERFLOW)}, {"confirm": CONFIRM}),
}
CHOSEN: dict[str, Check] = {
    "static_select": _shape(
        "static_select",
        {},
        {
            "options": list_of(OPTION, OPTIONS),
            "option_groups": list_of(GROUP, GROUPS),
            "initial_option": OPTION,
            **_SELECT,
        },
        ("options", "option_groups"),
    ),
    "conversations_select": _shape("conversations_select", {}, {"initial_conversation": text(ID), **_SELECT}),
    "users_select": _shape("users_select", {}, {"initial_user": text(ID), **_SELECT}),
    "timepicker": _shape("timepicker", {}, {"initial_time": text(5), "timezone": text(ID), **_SELECT}),
    "datepicker": _shape("datepicker", {}, {"initial_date": text(10), **_SELECT}),
    "radio_buttons": _shape(
        "radio_buttons", {"options": list_of(OPTION, CHOICES)}, {"initial_option": OPTION, "confirm": CONFIRM}
    ),
    "checkboxes": _shape(
        "checkboxes",
        {"options": list_of(OPTION, CHOICES)},
        {"initial_options": list_of(OPTION, CHOICES), "confirm": CONFIRM},
    ),
}
ENTERED: dict[str, Check] = {
    "plain_text_input": _shape(
        "plain_text_input",
        {},
        {
            "initial_value": text(3_000),
            "multiline": flag,
            "min_length": number,
            "max_length": number,
            "dispatch_action_config": Shape(
                {"trigger_actions_on": list_of(one_of("on_enter_pressed", "on_character_entered"), 2)}
            ),
            **_ENTRY,
        },
    ),
    "number_input": _shape(
        "number_input", {"is_decimal_allowed": flag}, {"initial_value": text(50), "min_value": text(50), **_ENTRY}
    ),
}
IMAGE = Shape(
    {"type": one_of("image"), "alt_text": text(2_000)},
    {"image_url": text(URL), "slack_file": Shape({}, {"id": text(ID), "url": text(URL)}, ("id", "url"))},
    ("image_url", "slack_file"),
)
IN_ACTIONS = by_type({**PRESSED, **CHOSEN}, "element")
IN_SECTION = by_type({**PRESSED, **CHOSEN, "image": IMAGE}, "element")
IN_INPUT = by_type({**CHOSEN, **ENTERED}, "element")
IN_CONTEXT = by_type({"mrkdwn": markdown(2_000), "plain_text": plain(2_000), "image": IMAGE}, "element")


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


MAX_CHARACTERS = 12_000
MAX_CHARTS = 2
TEXT_KEYS = frozenset({"text", "alt_text", "title", "name", "label", "caption", "x_label", "y_label"})


def message_problems(blocks: list[dict[str, Any]]) -> Iterator[str]:
    """Yield everything that is wrong with well-formed blocks together; a block in a container counts like any other."""
    objects = list(_objects(blocks))
    for key in ("action_id", "block_id"):
        counted = Counter(one[key] for one in objects if key in one)
        yield from (f"{key} {one}: is not unique" for one, count in counted.items() if count > 1)
    kinds = Counter(one.get("type") for one in objects)
    if kinds["table"] + kinds["data_table"] > 1:
        yield "blocks: only one table is allowed"
    if kinds["data_visualization"] > MAX_CHARTS:
        yield f"blocks: only {MAX_CHARTS} charts are allowed"
    characters = sum(
        len(text) for one in objects for key, text in one.items() if key in TEXT_KEYS and isinstance(text, str)
    )
    if characters > MAX_CHARACTERS:
        yield f"blocks: {characters} characters are more than {MAX_CHARACTERS}"


def _objects(value: object) -> Iterator[dict[str, Any]]:
    """Yield every nested object, outermost first."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner)
    elif isinstance(value, list):
        for one in value:
            yield from _objects(one)


MAX_FALLBACK = 4_000
MAX_BLOCKS = {Surface.MESSAGE: 50, Surface.MODAL: 100, Surface.HOME: 100}
TITLE, PRIVATE_METADATA = 24, 3_000
_ANY_VIEW = {"callback_id": text(ID), "external_id": text(ID), "private_metadata": text(PRIVATE_METADATA)}
_VIEWS = {
    Surface.HOME: Shape({"type": one_of("home"), "blocks": anything}, _ANY_VIEW),
    Surface.MODAL: Shape(
        {"type": one_of("modal"), "title": plain(TITLE), "blocks": anything},
        {**_ANY_VIEW, "submit": plain(TITLE), "close": plain(TITLE), "notify_on_close": flag, "clear_on_close": flag},
    ),
}


def problems(message: dict[str, Any]) -> list[str]:
    """Return everything that is wrong with a message of `text` and `blocks`."""
    found = [f"{key}: is unknown" for key in message.keys() - {"text", "blocks"}]
    found += text(MAX_FALLBACK)(message.get("text"), "text")
    return found + (_blocks(message["blocks"], Surface.MESSAGE) if "blocks" in message else [])


def view_problems(view: dict[str, Any]) -> list[str]:
    """Return everything that is wrong with a modal or a Home tab."""
    surface = Surface.HOME if view.get("type") == "home" else Surface.MODAL
    found = [*_VIEWS[surface](view, "view"), *_blocks(view.get("blocks"), surface)]
    if surface is Surface.MODAL and "submit" not in view and not found and _has_input(view):
        found.append("view.submit: is missing, though there is something to enter")
    return found


def checked(message: dict[str, Any]) -> dict[str, Any]:
    """Assert that a message is valid, and return it."""
    assert problems(message) == []
    return message


def _has_input(view: dict[str, Any]) -> bool:
    return any(block["type"] == "input" for block in view["blocks"])


def _blocks(blocks: object, surface: Surface) -> list[str]:
    found = list(list_of(BLOCKS[surface], MAX_BLOCKS[surface])(blocks, "blocks"))
    return found if found or not isinstance(blocks, list) else list(message_problems(blocks))


def shown(message: Message) -> str:
    """Return everything that a message says: its notification, then its blocks; with ordinary spaces."""
    return shown_text(message.text, message.blocks)


def shown_text(text: str, blocks: Sequence[dict[str, Any]]) -> str:
    """Return everything that a message with this text and these blocks says, with ordinary spaces."""
    return f"{text}\n{Message(blocks=list(blocks), text=text).full_text}".replace("\u00a0", " ")

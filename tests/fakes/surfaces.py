"""The strict reader's rules for what is no message: modals and the Home tab."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.fakes.blockkit import (
    _ELEMENTS,
    _OPTION,
    CHART,
    ID,
    PLACEHOLDER,
    Check,
    Shape,
    _block,
    _flag,
    _list_of,
    _number,
    _one_of,
    _plain,
    _words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

VIEW_BLOCKS, VIEW_TITLE, CARRIED, CALLBACK = 100, 24, 3_000, 255
FORM_LABEL, FORM_HINT, TYPED = 2_000, 2_000, 3_000
ON_MESSAGES_ONLY = frozenset({"table", CHART})

_TRIGGERS = Shape({"trigger_actions_on": _list_of(_one_of("on_enter_pressed", "on_character_entered"), 2)})
_CHOICES = _list_of(_OPTION, 10)
FIELDS: dict[Any, Check] = {
    "plain_text_input": Shape(
        {"type": _one_of("plain_text_input"), "action_id": _words(ID)},
        {
            "initial_value": _words(TYPED),
            "placeholder": _plain(PLACEHOLDER),
            "max_length": _number,
            "dispatch_action_config": _TRIGGERS,
        },
    ),
    "checkboxes": Shape(
        {"type": _one_of("checkboxes"), "action_id": _words(ID), "options": _CHOICES},
        {"initial_options": _CHOICES},
    ),
    "static_select": _ELEMENTS["static_select"],
}


def view_problems(view: dict[str, Any]) -> list[str]:
    """Everything that is wrong with a modal or a Home tab."""
    found = list(_view(view))
    if not found:
        found += _whole(view["blocks"])
    return found


def _view(view: dict[str, Any]) -> Iterator[str]:
    blocks = _list_of(_view_block, VIEW_BLOCKS)
    words = _words
    carried = {"callback_id": words(CALLBACK), "private_metadata": words(CARRIED)}
    if view.get("type") == "home":
        yield from Shape({"type": _one_of("home"), "blocks": blocks}, carried)(view, "home")
        return
    title = _plain(VIEW_TITLE)
    shape = Shape(
        {"type": _one_of("modal"), "title": title, "blocks": blocks},
        {"submit": title, "close": title, **carried},
    )
    yield from shape(view, "modal")
    has_fields = any(block.get("type") == "input" for block in view.get("blocks") or ())
    if has_fields and "submit" not in view:
        yield "modal: has fields and no submit"


def _view_block(value: object, at: str) -> Iterator[str]:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind in ON_MESSAGES_ONLY:
        yield f"{at}: {kind} is for messages only"
    elif kind == "input":
        yield from _INPUT(value, at)
    else:
        yield from _block(value, at)


def _field(value: object, at: str) -> Iterator[str]:
    kind = value.get("type") if isinstance(value, dict) else None
    yield from FIELDS[kind](value, at) if kind in FIELDS else [f"{at}: unknown field {kind}"]


_INPUT = Shape(
    {"type": _one_of("input"), "label": _plain(FORM_LABEL), "element": _field},
    {
        "block_id": _words(ID),
        "hint": _plain(FORM_HINT),
        "optional": _flag,
        "dispatch_action": _flag,
    },
)


def _whole(blocks: list[dict[str, Any]]) -> Iterator[str]:
    """What can only be seen in all blocks together: ids that are there twice."""
    fields = [block["element"] for block in blocks if "element" in block]
    elements = [element for block in blocks for element in block.get("elements", ())]
    accessories = [block["accessory"] for block in blocks if "accessory" in block]
    actions = [one["action_id"] for one in (*fields, *elements, *accessories) if "action_id" in one]
    named = [block["block_id"] for block in blocks if "block_id" in block]
    for kind, ids in (("action_id", actions), ("block_id", named)):
        yield from (f"{kind} {one}: is not unique" for one, count in Counter(ids).items() if count > 1)

"""Forms as Slack takes them: a modal, and its fields, which tell of each change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handlers.render.limits import FORM_TITLE, clip
from handlers.render.message import Block

FOLLOWED = "draft_"  # begins the action_id of every field


def modal(
    callback_id: str, title: str, blocks: Sequence[Block], *, submit: str = "", close: str = "Cancel", carries: str = ""
) -> dict[str, Any]:
    """Make a modal; without `submit` it only shows. `carries` comes back with whatever is done in it."""
    made: dict[str, Any] = {
        "type": "modal",
        "callback_id": callback_id,
        "title": _plain(clip(title, FORM_TITLE)),
        "close": _plain(close),
        "blocks": list(blocks),
    }
    if submit:
        made["submit"] = _plain(submit)
    return {**made, "private_metadata": carries} if carries else made


def text_field(name: str, label: str, value: str, *, hint: str, optional: bool = False, typing: bool = True) -> Block:
    """Make a field to type in; it tells of each change, without `typing` only of the Enter key."""
    followed = ["on_enter_pressed", *(["on_character_entered"] if typing else [])]
    element: Block = {
        "type": "plain_text_input",
        "action_id": f"{FOLLOWED}{name}",
        "dispatch_action_config": {"trigger_actions_on": followed},
        "max_length": 100,
    }
    if value:
        element["initial_value"] = value
    return _input(name, label, element, hint=hint, optional=optional)


def choice_field(name: str, label: str, options: dict[str, str], chosen: str, *, hint: str = "") -> Block:
    """Make a field to choose from, of labels by value."""
    element = {
        "type": "static_select",
        "action_id": f"{FOLLOWED}{name}",
        "options": [_option(value, text) for value, text in options.items()],
        "initial_option": _option(chosen, options[chosen]),
    }
    return _input(name, label, element, hint=hint)


def tick_field(name: str, label: str, value: str, text: str, chosen: str) -> Block:
    """Make a box to tick."""
    element: Block = {"type": "checkboxes", "action_id": f"{FOLLOWED}{name}", "options": [_option(value, text)]}
    if chosen:
        element["initial_options"] = [_option(value, text)]
    return _input(name, label, element, optional=True)


def _input(name: str, label: str, element: Block, *, hint: str = "", optional: bool = False) -> Block:
    made: Block = {
        "type": "input",
        "block_id": name,
        "label": _plain(label),
        "element": element,
        "optional": optional,
        "dispatch_action": True,
    }
    return {**made, "hint": _plain(hint)} if hint else made


def _option(value: str, text: str) -> Block:
    return {"text": _plain(text), "value": value}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}

"""Slack modals, and their input fields, which dispatch every change."""

from collections.abc import Mapping, Sequence
from typing import Any

from handlers.render.message import FORM_TITLE, Block, Message, clip, plain_text

FIELD_PREFIX = "draft_"  # prefix of every field's action_id


def modal(
    callback_id: str,
    title: str,
    blocks: Sequence[Block],
    *,
    submit: str = "",
    close: str = "Cancel",
    private_metadata: str = "",
) -> dict[str, Any]:
    """Return a modal; it is read-only without `submit`. Slack sends `private_metadata` back with every interaction."""
    view: dict[str, Any] = {
        "type": "modal",
        "callback_id": callback_id,
        "title": plain_text(clip(title, FORM_TITLE)),
        "close": plain_text(close),
        "blocks": list(blocks),
    }
    if submit:
        view["submit"] = plain_text(submit)
    return {**view, "private_metadata": private_metadata} if private_metadata else view


def result_modal(message: Message) -> dict[str, Any]:
    """Return a read-only modal with a message, for example in place of a finished editor."""
    return modal("outcome", "MinerPulse", message.blocks, close="Close")


def text_field(
    name: str, label: str, value: str, *, hint: str, optional: bool = False, per_keystroke: bool = True
) -> Block:
    """Return a text input; it dispatches per keystroke, or only on Enter if `per_keystroke` is false."""
    triggers = ["on_enter_pressed", *(["on_character_entered"] if per_keystroke else [])]
    element: Block = {
        "type": "plain_text_input",
        "action_id": f"{FIELD_PREFIX}{name}",
        "dispatch_action_config": {"trigger_actions_on": triggers},
        "max_length": 100,
    }
    if value:
        element["initial_value"] = value
    return _input(name, label, element, hint=hint, optional=optional)


def select_field(name: str, label: str, options: Mapping[str, str], selected: str, *, hint: str = "") -> Block:
    """Return a select menu with labels by value; the first option if the selected one does not exist any more."""
    selected = selected if selected in options else next(iter(options))
    element = {
        "type": "static_select",
        "action_id": f"{FIELD_PREFIX}{name}",
        "options": [_option(value, text) for value, text in options.items()],
        "initial_option": _option(selected, options[selected]),
    }
    return _input(name, label, element, hint=hint)


def _input(name: str, label: str, element: Block, *, hint: str = "", optional: bool = False) -> Block:
    block: Block = {
        "type": "input",
        "block_id": name,
        "label": plain_text(label),
        "element": element,
        "optional": optional,
        "dispatch_action": True,
    }
    return {**block, "hint": plain_text(hint)} if hint else block


def _option(value: str, text: str) -> Block:
    return {"text": plain_text(text), "value": value}

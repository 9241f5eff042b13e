"""Slack modals, their input fields, which dispatch every change, and the buttons that open the rule editor."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from handlers.render.message import (
    FORM_TITLE,
    OPTION_TEXT,
    OPTION_VALUE,
    OPTIONS,
    OPTIONS_TEXT,
    Block,
    Message,
    button,
    clip,
    plain_text,
    select_menu,
)

ADD_LABEL, EDIT_LABEL = "Add a rule", "Edit rule"
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


def checkbox_field(name: str, label: str, value: str, text: str, selected: str) -> Block:
    """Return a single checkbox."""
    element: Block = {"type": "checkboxes", "action_id": f"{FIELD_PREFIX}{name}", "options": [_option(value, text)]}
    if selected:
        element["initial_options"] = [_option(value, text)]
    return _input(name, label, element, optional=True)


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


def add_button() -> Block:
    """Return the button that opens an editor for a new rule."""
    return button("add_rule", ADD_LABEL, "rule")


def edit_button(rules: Mapping[int, str]) -> Block | None:
    """Return a button for one rule, a menu for several, or None for none.

    `rules` has the rule text by id; each value carries both.
    """
    labels = {f"{number}:{text}": clip(f"{number}: {text}", OPTION_TEXT) for number, text in rules.items()}
    match list(labels):
        case []:
            return None
        case [only]:
            return button("edit_rule", EDIT_LABEL, only)
        case values:
            options = dict(_options_within_limits(values, labels))
            return select_menu("edit_rule", EDIT_LABEL, options) if options else None


def _options_within_limits(values: list[str], labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the options that Slack accepts in one menu; other rules are edited by their id."""
    remaining = OPTIONS_TEXT
    for value in values[:OPTIONS]:
        remaining -= len(value) + len(labels[value])
        if remaining >= 0 and len(value) <= OPTION_VALUE:
            yield value, labels[value]

"""Buttons that open the editor: for one rule or several, and for a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render.limits import OPTION_TEXT, OPTION_VALUE, OPTIONS, OPTIONS_TEXT, clip
from handlers.render.message import button, choice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from handlers.render.message import Block

ADD, EDIT = "Add a rule", "Edit rule"


def add_button() -> Block:
    """Make the button for a new rule."""
    return button("add_rule", ADD, "rule")


def edit_button(rules: Mapping[int, str]) -> Block | None:
    """Make a button for one rule, a choice of several, by number and text; each carries both. None without any."""
    carried = {f"{number}:{text}": clip(f"{number}: {text}", OPTION_TEXT) for number, text in rules.items()}
    match list(carried):
        case []:
            return None
        case [alone]:
            return button("edit_rule", EDIT, alone)
        case several:
            offered = dict(_fitting(several, carried))
            return choice("edit_rule", EDIT, offered) if offered else None


def _fitting(values: list[str], labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Offer what Slack takes of a choice; the others are changed by their number."""
    room = OPTIONS_TEXT
    for value in values[:OPTIONS]:
        room -= len(value) + len(labels[value])
        if room >= 0 and len(value) <= OPTION_VALUE:
            yield value, labels[value]

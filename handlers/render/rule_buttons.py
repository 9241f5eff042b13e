"""Buttons that open the editor: for one rule or several, and for a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render.limits import OPTION_TEXT, RULES_LISTED, clip
from handlers.render.message import button, choice

if TYPE_CHECKING:
    from collections.abc import Mapping

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
            return choice("edit_rule", EDIT, {value: carried[value] for value in several[:RULES_LISTED]})

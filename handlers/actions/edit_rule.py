"""Edit rule, and Add a rule: the editor, from an alert or from the list of rules."""

from __future__ import annotations

from handlers.actions.payload import rule_and_text
from handlers.modals.rule_editor import open_editor
from handlers.request import Reply, Request


async def answer(ask: Request) -> Reply | None:
    """Open the editor with the rule as the message shows it; whether it still stands is seen once it is open."""
    number, text = rule_and_text(ask.value)
    return await open_editor(ask, text, number)


async def add(ask: Request) -> Reply | None:
    """Open the editor for a new rule."""
    return await open_editor(ask)

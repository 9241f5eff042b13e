"""Edit Rule and Add a Rule buttons: open the editor from an alert or the rule list."""

from __future__ import annotations

from handlers.actions.payload import parse_rule_reference
from handlers.modals.rule_editor import open_editor
from handlers.request import Reply, Request


async def run(request: Request) -> Reply | None:
    """Open the editor with the rule as the message shows it; the editor then checks that it still exists."""
    rule_id, text = parse_rule_reference(request.value)
    return await open_editor(request, text, rule_id)


async def add_rule(request: Request) -> Reply | None:
    """Open the editor for a new rule."""
    return await open_editor(request)

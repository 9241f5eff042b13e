"""/minerpulse rule add [RULE]: add a rule, typed or in the editor."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.add_rule import add_rule
from handlers.command import Command
from handlers.modals.rule_editor import open_editor
from handlers.render.message import Message
from handlers.render.responses import error_message
from handlers.request import Reply, Request
from services.core.errors import RuleError
from services.rules.grammar import parse_rule


def validate(argument: str, _commands: Sequence[Command]) -> Message | None:
    """Return the parse error if the argument is not a rule."""
    if not argument:
        return None
    try:
        parse_rule(argument)
    except RuleError as error:
        return error_message(error)
    return None


async def run(request: Request) -> Reply | None:
    """Add the rule, or open the editor if none was typed."""
    if not request.value:
        return await open_editor(request)
    return Reply(message=await add_rule(request, request.value))

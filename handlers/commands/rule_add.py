"""/minerpulse rule add [RULE]: watch one thing more, typed or in the editor."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.add_rule import add
from handlers.command import Command
from handlers.modals.rule_editor import open_editor
from handlers.render.message import Message
from handlers.render.responses import error_message
from handlers.request import Reply, Request
from services.core.errors import RuleError
from services.rules.grammar import parse_rule


def at_once(argument: str, _commands: Sequence[Command]) -> Message | None:
    """Refuse what is no rule."""
    if not argument:
        return None
    try:
        parse_rule(argument)
    except RuleError as error:
        return error_message(error)
    return None


async def answer(ask: Request) -> Reply | None:
    """Add the rule that was typed; without one, open the editor."""
    if not ask.value:
        return await open_editor(ask)
    return Reply(message=await add(ask, ask.value))

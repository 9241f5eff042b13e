"""/minerpulse rule add [RULE]: watch one thing more, typed or in the editor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.add_rule import add
from handlers.modals.rule_editor import open_editor
from handlers.request import Reply
from services.core.errors import RuleError
from services.rules.grammar import parse_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.command import Command
    from handlers.render import Message
    from handlers.request import Request


def at_once(argument: str, _commands: Sequence[Command]) -> Message | None:
    """Refuse what is no rule."""
    if not argument:
        return None
    try:
        parse_rule(argument)
    except RuleError as error:
        return render.complaint(error)
    return None


async def answer(ask: Request) -> Reply | None:
    """Add the rule that was typed; without one, open the editor."""
    if not ask.value:
        return await open_editor(ask)
    return Reply(message=await add(ask, ask.value))

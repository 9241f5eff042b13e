"""/minerpulse rule edit ID RULE: let a rule read otherwise; its open alert goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.commands.arguments import wish
from handlers.request import Reply
from services.core.errors import RuleError
from services.rules.grammar import parse_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.command import Command
    from handlers.render import Message
    from handlers.request import Request


def at_once(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what has no number in front, and what is no rule."""
    meant = wish(argument)
    if meant.number is None or not meant.rest:
        rows = [command for command in commands if command.words in {("rule", "edit"), ("rules",)}]
        return render.usage(rows, "Which rule, and how is it to read? Give its number, as in the list of rules:")
    try:
        parse_rule(meant.rest)
    except RuleError as error:
        return render.complaint(error)
    return None


async def answer(ask: Request) -> Reply:
    """Change the rule."""
    meant = wish(ask.value)
    assert meant.number is not None, "at_once lets nothing else pass"  # noqa: S101
    return Reply(message=render.edited(await ask.desk.edit_rule(ask.channel, meant.number, meant.rest, ask.by)))

"""/minerpulse rule edit ID RULE: let a rule read otherwise; its open alert goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.ask import Reply
from handlers.commands.target import wish
from services.domain.errors import RuleError
from services.domain.grammar import parse_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.ask import Ask
    from handlers.commands.command import Command
    from handlers.render import Message


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


async def answer(ask: Ask) -> Reply:
    """Change the rule."""
    meant = wish(ask.value)
    assert meant.number is not None, "at_once lets nothing else pass"  # noqa: S101
    return Reply(message=render.edited(await ask.desk.edit_rule(ask.channel, meant.number, meant.rest, ask.by)))

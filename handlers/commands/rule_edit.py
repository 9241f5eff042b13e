"""/minerpulse rule edit ID RULE: let a rule read otherwise; its open alert goes on."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.command import Command
from handlers.commands.arguments import wish
from handlers.render.help import usage_message
from handlers.render.message import Message
from handlers.render.responses import error_message
from handlers.render.rules import rule_edited_message
from handlers.request import Reply, Request
from services.core.errors import RuleError
from services.rules.grammar import parse_rule


def at_once(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what has no number in front, and what is no rule."""
    meant = wish(argument)
    if meant.number is None or not meant.rest:
        rows = [command for command in commands if command.words in {("rule", "edit"), ("rules",)}]
        return usage_message(rows, "Which rule, and how is it to read? Give its number, as in the list of rules:")
    try:
        parse_rule(meant.rest)
    except RuleError as error:
        return error_message(error)
    return None


async def answer(ask: Request) -> Reply:
    """Change the rule."""
    meant = wish(ask.value)
    assert meant.number is not None, "at_once lets nothing else pass"  # noqa: S101
    return Reply(message=rule_edited_message(await ask.desk.edit_rule(ask.channel, meant.number, meant.rest, ask.by)))

"""/minerpulse rule edit ID RULE: edit a rule; its open alert stays open."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.command import Command
from handlers.commands.arguments import split_number
from handlers.render.help import usage_message
from handlers.render.message import Message
from handlers.render.responses import error_message
from handlers.render.rules import rule_edited_message
from handlers.request import Reply, Request
from services.core.errors import RuleError
from services.rules.grammar import parse_rule


def validate(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage or the parse error if the argument is not an id and a rule."""
    parsed = split_number(argument)
    if parsed.number is None or not parsed.rest:
        rows = [command for command in commands if command.words in {("rule", "edit"), ("rules",)}]
        return usage_message(rows, "Which rule, and how is it to read? Give its number, as in the list of rules:")
    try:
        parse_rule(parsed.rest)
    except RuleError as error:
        return error_message(error)
    return None


async def run(request: Request) -> Reply:
    """Edit the rule."""
    parsed = split_number(request.value)
    assert parsed.number is not None, "validated before"  # noqa: S101
    return Reply(
        message=rule_edited_message(
            await request.commands.edit_rule(request.channel, parsed.number, parsed.rest, request.user_id)
        )
    )

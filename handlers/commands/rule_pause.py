"""/minerpulse rule pause ID and rule resume ID."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.command import Command
from handlers.commands.arguments import split_number
from handlers.render.help import usage_message
from handlers.render.message import Message
from handlers.render.rules import rule_paused_message, rule_resumed_message
from handlers.request import Reply, Request


def validate(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage if the argument is not a rule id."""
    parsed = split_number(argument)
    if parsed.number is not None and not parsed.rest:
        return None
    rows = [command for command in commands if command.words in {("rule", "pause"), ("rule", "resume"), ("rules",)}]
    return usage_message(rows, "Which rule? Give its number, as in the list of rules:")


async def pause(request: Request) -> Reply:
    """Pause the rule."""
    return Reply(
        message=rule_paused_message(
            await request.commands.pause_rule(request.channel, _rule_id(request), request.user_id)
        )
    )


async def resume(request: Request) -> Reply:
    """Resume the rule."""
    return Reply(
        message=rule_resumed_message(
            await request.commands.resume_rule(request.channel, _rule_id(request), request.user_id)
        )
    )


def _rule_id(request: Request) -> int:
    number = split_number(request.value).number
    assert number is not None, "validated before"  # noqa: S101
    return number

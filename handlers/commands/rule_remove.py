"""/minerpulse rule remove ID: delete a rule."""

from __future__ import annotations

import re
from collections.abc import Sequence

from handlers.command import Command
from handlers.render.help import usage_message
from handlers.render.message import Message
from handlers.render.rules import rule_removed_message
from handlers.request import Reply, Request

_NUMBER = re.compile(r"#?(\d{1,9})", re.ASCII)


def validate(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage if the argument is not a rule id."""
    if _NUMBER.fullmatch(argument):
        return None
    rows = [command for command in commands if command.words in {("rule", "remove"), ("rules",)}]
    return usage_message(rows, "Which rule? Give its number, as in the list of rules:")


async def run(request: Request) -> Reply:
    """Delete the rule."""
    rule_id = int(request.value.removeprefix("#"))
    return Reply(
        message=rule_removed_message(await request.commands.remove_rule(request.channel, rule_id, request.user_id))
    )

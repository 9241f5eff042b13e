"""/minerpulse rule remove ID: stop watching it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from handlers.command import Command
from handlers.render.help import usage_message
from handlers.render.message import Message
from handlers.render.rules import rule_removed_message
from handlers.request import Reply, Request

_NUMBER = re.compile(r"#?(\d{1,9})", re.ASCII)


def at_once(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what is no number of a rule."""
    if _NUMBER.fullmatch(argument):
        return None
    rows = [command for command in commands if command.words in {("rule", "remove"), ("rules",)}]
    return usage_message(rows, "Which rule? Give its number, as in the list of rules:")


async def answer(ask: Request) -> Reply:
    """Remove the rule."""
    rule_id = int(ask.value.removeprefix("#"))
    return Reply(message=rule_removed_message(await ask.desk.remove_rule(ask.channel, rule_id, ask.by)))

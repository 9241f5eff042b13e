"""/minerpulse rule pause ID and rule resume ID: leave a rule unwatched for a while."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.command import Command
from handlers.commands.arguments import wish
from handlers.render.help import usage_message
from handlers.render.message import Message
from handlers.render.rules import rule_paused_message, rule_resumed_message
from handlers.request import Reply, Request


def at_once(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what is no number of a rule."""
    meant = wish(argument)
    if meant.number is not None and not meant.rest:
        return None
    rows = [command for command in commands if command.words in {("rule", "pause"), ("rule", "resume"), ("rules",)}]
    return usage_message(rows, "Which rule? Give its number, as in the list of rules:")


async def pause(ask: Request) -> Reply:
    """Stop watching the rule."""
    return Reply(message=rule_paused_message(await ask.desk.pause_rule(ask.channel, _number(ask), ask.by)))


async def resume(ask: Request) -> Reply:
    """Watch it again."""
    return Reply(message=rule_resumed_message(await ask.desk.resume_rule(ask.channel, _number(ask), ask.by)))


def _number(ask: Request) -> int:
    number = wish(ask.value).number
    assert number is not None, "at_once lets nothing else pass"  # noqa: S101
    return number

"""/minerpulse rule add RULE: watch one thing more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.ask import Reply
from handlers.greeting import greet
from services.domain.errors import DeliveryError, RuleError
from services.domain.rule import parse_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.ask import Ask
    from handlers.commands.command import Command
    from handlers.render import Message


def at_once(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what is no rule."""
    if not argument:
        rows = [command for command in commands if command.takes == "RULE"]
        return render.usage(rows, "Which rule? You can type:")
    try:
        parse_rule(argument)
    except RuleError as error:
        return render.complaint(error)
    return None


async def answer(ask: Ask) -> Reply:
    """Add the rule; the first one of a channel is announced there, which proves that alerts can be posted."""
    added = await ask.desk.add_rule(ask.channel, ask.value, ask.by)
    told = render.added(added)
    if added.new and len(await ask.desk.rules(ask.channel)) == 1:
        try:
            await greet(ask, [str(added.watch.rule)])
        except DeliveryError as error:
            told = render.together(told, render.complaint(error))
    return Reply(message=told)

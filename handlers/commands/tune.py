"""/minerpulse tune WINDOW RATE: the rule that fires as often as is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.ask import Reply
from handlers.tuning import previewed
from services.domain.errors import RuleError
from services.domain.grammar import parse_rule
from services.domain.rule import EXAMPLE
from services.domain.wish import parse_wish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.ask import Ask
    from handlers.commands.command import Command
    from handlers.render import Message


def at_once(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what is no wish."""
    if not argument:
        rows = [command for command in commands if command.words == ("tune",)]
        return render.usage(rows, "How many alerts, and of what? As in 5d 2/month, 20d residual below 4/year:")
    try:
        parse_wish(argument, parse_rule(EXAMPLE))
    except RuleError as error:
        return render.complaint(error)
    return None


async def answer(ask: Ask) -> Reply:
    """Tune for the wish, and hold it against the channel's own rules."""
    return Reply(message=await previewed(ask, ask.value))

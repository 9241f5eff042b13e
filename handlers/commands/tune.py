"""/minerpulse tune WINDOW RATE: the rule that fires at a target rate."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.command import Command
from handlers.render.help import usage_message
from handlers.render.message import Message
from handlers.render.responses import error_message
from handlers.request import Reply, Request
from handlers.tune_preview import preview_tuning
from services.core.errors import RuleError
from services.research.rate_target import parse_target
from services.rules.grammar import parse_rule
from services.rules.rule import EXAMPLE


def validate(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage or the parse error if the argument is not a target rate."""
    if not argument:
        rows = [command for command in commands if command.words == ("tune",)]
        return usage_message(rows, "How many alerts, and of what? As in 5d 2/month, 20d residual below 4/year:")
    try:
        parse_target(argument, parse_rule(EXAMPLE))
    except RuleError as error:
        return error_message(error)
    return None


async def run(request: Request) -> Reply:
    """Tune to the target rate and compare with the channel's own rules."""
    return Reply(message=await preview_tuning(request, request.value))

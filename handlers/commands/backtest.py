"""/minerpulse backtest RULE: how a rule would have fired."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.command import Command
from handlers.render.backtest import backtest_message, backtest_picture
from handlers.render.help import usage_message
from handlers.render.message import Message
from handlers.render.responses import error_message
from handlers.request import Reply, Request
from services.core.errors import RuleError
from services.rules.grammar import parse_rule


def validate(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage or the parse error if the argument is not a rule."""
    if not argument:
        rows = [command for command in commands if command.words == ("backtest",)]
        return usage_message(rows, "Which rule? You can type:")
    try:
        parse_rule(argument)
    except RuleError as error:
        return error_message(error)
    return None


async def run(request: Request) -> Reply:
    """Backtest the rule on the history of its pair."""
    result = await request.research.backtest(parse_rule(request.value, request.research.pair), request.now)
    return Reply(message=backtest_message(result), picture=backtest_picture(result))

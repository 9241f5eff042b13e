"""/minerpulse backtest RULE: what a rule would have done."""

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


def at_once(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what is no rule."""
    if not argument:
        rows = [command for command in commands if command.words == ("backtest",)]
        return usage_message(rows, "Which rule? You can type:")
    try:
        parse_rule(argument)
    except RuleError as error:
        return error_message(error)
    return None


async def answer(ask: Request) -> Reply:
    """Put the rule to the history of its pair."""
    found = await ask.study.backtest(parse_rule(ask.value, ask.study.pair), ask.now)
    return Reply(message=backtest_message(found), picture=backtest_picture(found))

"""/minerpulse backtest RULE: what a rule would have done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.request import Reply
from services.core.errors import RuleError
from services.rules.grammar import parse_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.command import Command
    from handlers.render import Message
    from handlers.request import Request


def at_once(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what is no rule."""
    if not argument:
        rows = [command for command in commands if command.words == ("backtest",)]
        return render.usage(rows, "Which rule? You can type:")
    try:
        parse_rule(argument)
    except RuleError as error:
        return render.complaint(error)
    return None


async def answer(ask: Request) -> Reply:
    """Put the rule to the history of its pair."""
    found = await ask.study.backtest(parse_rule(ask.value, ask.study.pair), ask.now)
    return Reply(message=render.backtest(found), picture=render.backtest_picture(found))

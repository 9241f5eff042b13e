"""/minerpulse explain, miners, drawdown, network, backtest and tune: answers from history."""

from collections.abc import Sequence

from handlers.command import Command, usage
from handlers.commands.arguments import WINDOWS, parse_window, rule_error
from handlers.render.backtest import backtest_message, backtest_picture
from handlers.render.drawdown import drawdown_message
from handlers.render.explain import explain_message
from handlers.render.message import Message
from handlers.render.miners import miners_message
from handlers.render.network import network_message
from handlers.render.responses import error_message
from handlers.request import Reply, Request
from handlers.rule_changes import preview_tuning
from services.core.errors import RuleError
from services.market.measure import Window
from services.research.rate_target import parse_target
from services.rules.grammar import parse_rule
from services.rules.rule import EXAMPLE


def validate_explain(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage of `explain` if the argument is not a window."""
    return _validate_window(argument, commands, "explain")


def validate_miners(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage of `miners` if the argument is not a window."""
    return _validate_window(argument, commands, "miners")


def _validate_window(argument: str, commands: Sequence[Command], name: str) -> Message | None:
    if not argument.strip() or parse_window(argument):
        return None
    return usage(commands, {name}, f"Over which window? One of {', '.join(WINDOWS)}:")


async def explain(request: Request) -> Reply:
    """Attribute the ETF's return over the window, year to date by default, up to the last close."""
    result = await request.research.explain(parse_window(request.value) or Window.YTD, request.now)
    return Reply(message=explain_message(result))


async def miners(request: Request) -> Reply:
    """Attribute the fund's return over the window, year to date by default, to its holdings."""
    result = await request.research.holdings.report(parse_window(request.value) or Window.YTD, request.now)
    return Reply(message=miners_message(result))


async def drawdown(request: Request) -> Reply:
    """Show the drawdown of both legs from their highs, at the last close."""
    return Reply(message=drawdown_message(await request.research.drawdowns(request.now)))


async def network(request: Request) -> Reply:
    """Show the difficulty, fees and hashprice of the bitcoin network."""
    return Reply(message=network_message(await request.research.network(request.now), request.now))


def validate_backtest(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage or the parse error if the argument is not a rule."""
    if not argument:
        return usage(commands, {"backtest"}, "Which rule? You can type:")
    return rule_error(argument)


async def backtest(request: Request) -> Reply:
    """Show how the rule would have fired on the history of its pair."""
    result = await request.research.backtest(parse_rule(request.value, request.research.pair), request.now)
    return Reply(message=backtest_message(result), picture=backtest_picture(result))


def validate_tune(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage or the parse error if the argument is not a target rate."""
    if not argument:
        opening = "How many alerts, and of what? As in 5d 2/month, 20d residual below 4/year:"
        return usage(commands, {"tune"}, opening)
    try:
        parse_target(argument, parse_rule(EXAMPLE))
    except RuleError as error:
        return error_message(error)
    return None


async def tune(request: Request) -> Reply:
    """Find the rule for the target rate and compare it with the channel's own rules."""
    return Reply(message=await preview_tuning(request, request.value))

"""/minerpulse board, status, chart, brief and sources: the market now; explain to tune: answers from history."""

from collections.abc import Sequence

from handlers.command import WINDOWS, Command, is_optional_window, parse_window, rule_error
from handlers.render.backtest import backtest_message, backtest_picture
from handlers.render.board import board_message, status_message
from handlers.render.brief import brief_message
from handlers.render.chart import chart_message, chart_picture
from handlers.render.drawdown import drawdown_message
from handlers.render.explain import explain_message
from handlers.render.help import expects, usage
from handlers.render.message import Message
from handlers.render.miners import miners_message
from handlers.render.network import network_message
from handlers.render.responses import error_message
from handlers.render.sources import sources_message
from handlers.request import Reply, Request
from handlers.rule_changes import preview_tuning
from services.core.errors import RuleError
from services.market.measure import Window
from services.research.tune import parse_target
from services.rules.grammar import parse_rule
from services.rules.rule import EXAMPLE

DEFAULT_CHART_WINDOW = Window.D20
OVER_WHICH_WINDOW = f"Over which window? One of {', '.join(WINDOWS)}:"

validate_window = expects(
    is_optional_window, f"Which window? There are {', '.join(WINDOWS)}:", "status", "chart", "explain", "miners"
)
validate_explain = expects(is_optional_window, OVER_WHICH_WINDOW, "explain")
validate_miners = expects(is_optional_window, OVER_WHICH_WINDOW, "miners")


async def show_board(request: Request) -> Reply:
    """Show the board of the channel."""
    return Reply(message=board_message(await request.commands.board(request.channel, request.user_id), request.now))


async def show_status(request: Request) -> Reply:
    """Show the board, or the window that was typed."""
    window = parse_window(request.value)
    if window is None:
        return await show_board(request)
    return Reply(message=status_message(await request.commands.board(request.channel), window, request.now))


async def show_chart(request: Request) -> Reply:
    """Chart both legs over the window, 20 sessions by default."""
    result = await request.commands.chart(request.channel, parse_window(request.value) or DEFAULT_CHART_WINDOW)
    return Reply(message=chart_message(result, request.now), picture=chart_picture(result))


async def show_brief(request: Request) -> Reply:
    """Build a market brief for the person who asked."""
    return Reply(message=brief_message(await request.commands.brief(request.channel)))


async def show_sources(request: Request) -> Reply:
    """List the price sources of both legs and their status."""
    return Reply(message=sources_message(await request.commands.source_status(), request.now))


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
    """Show the difficulty, fees, hashprice and power draw of the bitcoin network."""
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

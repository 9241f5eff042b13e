"""/minerpulse board, status, chart, brief and sources: the market now; explain to tune: answers from history."""

from collections.abc import Sequence

from handlers.command import WINDOWS, Command, MarketArgument, is_optional_window, parse_market_argument
from handlers.commands.parse import rule_error
from handlers.render.backtest import backtest_message, backtest_picture
from handlers.render.board import board_message, status_message
from handlers.render.brief import brief_message
from handlers.render.chart import chart_message, chart_picture
from handlers.render.drawdown import drawdown_message
from handlers.render.explain import explain_message
from handlers.render.help import RUN_COMMAND, expects, rule_error_message, usage
from handlers.render.message import Message, button
from handlers.render.miners import miners_message
from handlers.render.network import network_message
from handlers.render.sources import sources_message
from handlers.render.study import study_message, window_menu
from handlers.request import Reply, Request
from handlers.rule_changes import preview_tuning
from services.core.errors import RuleError
from services.market.measure import Window
from services.research.tune import parse_target
from services.rules.grammar import parse_rule, parse_window
from services.rules.rule import EXAMPLE

DEFAULT_CHART_WINDOW = Window.D20
OVER_WHICH_WINDOW = f"Over which window? One of {', '.join(WINDOWS)}:"
WHICH_MARKET = f"Which symbol or window? The windows are {', '.join(WINDOWS)}:"

validate_status = expects(parse_market_argument, WHICH_MARKET, "status")
validate_chart = expects(parse_market_argument, WHICH_MARKET, "chart")
validate_explain = expects(is_optional_window, OVER_WHICH_WINDOW, "explain")
validate_miners = expects(is_optional_window, OVER_WHICH_WINDOW, "miners")


async def show_board(request: Request) -> Reply:
    """Show the board of the channel."""
    return Reply(message=board_message(await request.commands.board(request.channel, request.user_id), request.now))


async def show_status(request: Request) -> Reply:
    """Show the board of the pair, or the window that was typed."""
    pair, window = parse_market_argument(request.value) or MarketArgument(None, None)
    board = await request.commands.board(request.channel, request.user_id, pair)
    return Reply(
        message=board_message(board, request.now) if window is None else status_message(board, window, request.now)
    )


async def show_chart(request: Request) -> Reply:
    """Chart both legs of the pair over the window, 20 sessions by default."""
    pair, window = parse_market_argument(request.value) or MarketArgument(None, None)
    result = await request.commands.chart(request.channel, window or DEFAULT_CHART_WINDOW, pair=pair)
    return Reply(message=chart_message(result, request.now), picture=chart_picture(result))


async def show_brief(request: Request) -> Reply:
    """Build a market brief for the person who asked."""
    return Reply(message=brief_message(await request.commands.brief(request.channel)))


async def show_sources(request: Request) -> Reply:
    """List the price sources of both legs and their status."""
    return Reply(message=sources_message(await request.commands.source_status(), request.now))


async def explain(request: Request) -> Reply:
    """Attribute the ETF's return over the window, year to date by default, up to the last close."""
    window = parse_window(request.value) or Window.YTD
    message = explain_message(await request.research.explain(window, request.now))
    return Reply(message=study_message(message, "explain", window.value, window_menu("explain_window")))


async def miners(request: Request) -> Reply:
    """Attribute the fund's return over the window, year to date by default, to its holdings."""
    window = parse_window(request.value) or Window.YTD
    message = miners_message(await request.research.holdings.report(window, request.now))
    return Reply(message=study_message(message, "miners", window.value, window_menu("miners_window")))


async def drawdown(request: Request) -> Reply:
    """Show the drawdown of both legs from their highs, at the last close."""
    message = drawdown_message(await request.research.drawdowns(request.now))
    return Reply(message=study_message(message, "drawdown"))


async def network(request: Request) -> Reply:
    """Show the difficulty, fees, hashprice and power draw of the bitcoin network."""
    message = network_message(await request.research.network(request.now), request.now)
    return Reply(message=study_message(message, "network"))


def validate_backtest(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage or the parse error if the argument is not a rule."""
    if not argument:
        return usage(commands, {"backtest"}, "Which rule?")
    return rule_error(argument, "Not backtested", "Backtest", "backtest", editor="")


async def backtest(request: Request) -> Reply:
    """Show how the rule would have fired on the history of its pair."""
    rule = parse_rule(request.value, request.research.pair)
    result = await request.research.backtest(rule, request.now)
    add = button(RUN_COMMAND[0], "Add Rule", f"rule add {rule}", names=f"Add rule {rule}")
    message = study_message(backtest_message(result), "backtest", f"{rule}", add)
    return Reply(message=message, picture=backtest_picture(result))


def validate_tune(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage or the parse error if the argument is not a target rate."""
    if not argument:
        opening = "How many alerts, and on which window? For example `5d 2/month` or `20d residual below 4/year`:"
        return usage(commands, {"tune"}, opening)
    try:
        parse_target(argument, parse_rule(EXAMPLE))
    except RuleError as error:
        return rule_error_message(error, "Not tuned")
    return None


async def tune(request: Request) -> Reply:
    """Find the rule for the target rate and compare it with the channel's own rules."""
    return Reply(message=await preview_tuning(request, request.value))

"""`minerpulse chart`: draw both legs and a rule's spread as a PNG, from price files or live."""

from pathlib import Path

import click

from bot.asyncio_runner import run_async
from bot.commands.base import command
from bot.commands.live import query_live, view_files
from bot.commands.options import (
    PNG_FILE,
    STDOUT,
    btc_option,
    etf_option,
    output_options,
    require_both_files,
    resolve_output,
    write_output,
)
from bot.market_app import MarketApp
from bot.settings import load_settings
from bot.streams import echo
from handlers.render.chart import chart_message, chart_picture
from handlers.render.drawing import render_png
from handlers.render.picture import ColorScheme, Size
from services.channels.charts import build_replay_chart
from services.core.errors import NoHistoryError
from services.market.measure import Window
from services.rules.grammar import parse_rule
from services.rules.market_view import MarketView
from services.rules.rule import DEFAULT_RULES, Rule

DEFAULT_FILE = "spread.png"
DEFAULT_RULE_TEXTS = {parse_rule(text).window: text for text in DEFAULT_RULES}
ONE_SESSION, ONE_SESSION_CHART = Window.D1, Window.D20  # one session has only two points


@command("minerpulse chart 60d -o spread.png", "minerpulse chart --etf wgmi.csv --btc btc_1h.csv -o - > spread.png")
@click.argument("window", type=click.Choice([option.value for option in Window], case_sensitive=False), default="20d")
@output_options(DEFAULT_FILE, PNG_FILE)
@click.option("--dark", is_flag=True, help="Use a dark background.")
@click.option(
    "--size",
    type=click.Choice([option.value for option in Size]),
    default=Size.DESKTOP.value,
    show_default=True,
    help="Draw it 1,200 pixels wide for a desktop, or as a card for a phone.",
)
@click.option(
    "--rule", "text", help="Rule to draw, such as “5d 15pp”.  [default: the default rule of the window, or 5d 15pp]"
)
@etf_option
@btc_option
def chart_command(
    *,
    window: str,
    path: Path | None,
    force: bool,
    dark: bool,
    size: str,
    text: str | None,
    etf: Path | None,
    btc: Path | None,
) -> None:
    """Draw both legs over WINDOW, and below them the value of a rule with its thresholds and past alerts.

    WINDOW is 1d, 5d, 20d, 60d, 252d or ytd; the default is 20d. The description of the picture is printed too: on
    stderr if the picture goes to standard output.
    """
    target = resolve_output(path, DEFAULT_FILE, force=force)
    chart_window = Window(window)
    settings = load_settings()
    rule = parse_rule(text or DEFAULT_RULE_TEXTS.get(chart_window, DEFAULT_RULE_TEXTS[Window.D5]), settings.pair)
    files = require_both_files(etf, btc)
    view = run_async(view_files(*files, settings.pair) if files else query_live(settings, lambda app: _view(app, rule)))
    chart = build_replay_chart(view, ONE_SESSION_CHART if chart_window is ONE_SESSION else chart_window, rule)
    picture = chart_picture(chart)
    if picture is None:
        raise NoHistoryError(chart_message(chart, view.now).text)
    write_output(target, render_png(picture, ColorScheme.DARK if dark else ColorScheme.LIGHT, Size(size)))
    echo(picture.alt, err=target == STDOUT)


async def _view(app: MarketApp, rule: Rule) -> MarketView:
    return await app.market.view(rule.pair, app.clock.now())

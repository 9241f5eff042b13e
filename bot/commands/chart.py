"""`minerpulse chart`: both legs and a rule's spread as a PNG, from price files or live."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from bot.app import App
from bot.atomic_write import write_whole
from bot.commands.live import live
from bot.commands.options import both_or_neither, btc_file, etf_file, output
from bot.file_view import view_of
from bot.settings import load_settings
from handlers.render.chart import chart_message, chart_picture
from handlers.render.drawing import png
from handlers.render.picture import Scheme
from services.channels.charts import build_replay_chart
from services.core.errors import NoHistoryError
from services.market.measure import Window
from services.rules.grammar import parse_rule
from services.rules.market_service import MarketView
from services.rules.rule import DEFAULT_RULES, Rule

USUAL = {parse_rule(text).window: text for text in DEFAULT_RULES}
TWO_POINTS, INSTEAD = Window.D1, Window.D20  # a curve of one session has two points


@click.command()
@click.argument("window", type=click.Choice([one.value for one in Window], case_sensitive=False), default="20d")
@output("spread.png")
@click.option("--dark", is_flag=True, help="Draw on a dark ground.")
@click.option("--rule", "text", help="A rule to draw beneath, as in “5d 15pp”.  [default: a new channel's, or 5d 15pp]")
@etf_file
@btc_file
def command(*, window: str, path: Path, dark: bool, text: str | None, etf: Path | None, btc: Path | None) -> None:
    """Draw the ETF and bitcoin over a WINDOW, and beneath them what a rule watches, where it fires and where it did.

    WINDOW is 1d, 5d, 20d, 60d, 252d or ytd; without one, 20d. The picture is described on the terminal, too.
    """
    span = Window(window)
    settings = load_settings()
    rule = parse_rule(text or USUAL.get(span, USUAL[Window.D5]), settings.pair)
    files = both_or_neither(etf, btc)
    view = asyncio.run(view_of(*files, settings.pair) if files else live(settings, lambda app: _view(app, rule)))
    drawn = build_replay_chart(view, INSTEAD if span is TWO_POINTS else span, rule)
    picture = chart_picture(drawn)
    if picture is None:
        raise NoHistoryError(chart_message(drawn, view.now).text)
    write_whole(path, png(picture, Scheme.DARK if dark else Scheme.LIGHT))
    click.echo(picture.alt)


async def _view(app: App, rule: Rule) -> MarketView:
    return await app.market.view(rule.pair, app.clock.now())

"""`minerpulse pulse`: show the board without a channel's alerts and rules, from price files or live."""

import asyncio
from datetime import datetime
from pathlib import Path

import click

from bot.app import App
from bot.commands.live import query_live, view_files
from bot.commands.options import btc_option, etf_option, json_option, print_document, require_both_files
from bot.documents.pulse import view_document
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render import fmt
from handlers.render.market import (
    RANK_NOTE,
    data_quality_line,
    drawdown_lines,
    headline,
    live_line,
    market_line,
    price_lines,
    problem_lines,
    unmeasured_lines,
    windows_table,
    windows_text,
)
from handlers.render.markup import mark_simulated
from handlers.render.message import PROBLEMS_SHOWN, Message, compose, context, header, section
from services.rules.market_view import MarketView


@click.command()
@etf_option
@btc_option
@json_option
def pulse_command(*, etf: Path | None, btc: Path | None, as_json: bool) -> None:
    """Show the board: every window of the pair, live or as of the last session of two price files."""
    files = require_both_files(etf, btc)
    settings = load_settings()
    view = asyncio.run(view_files(*files, settings.pair) if files else query_live(settings, _view))
    if as_json:
        print_document(view_document(view))
    else:
        print_message(build_board(view, None if files else view.now))


async def _view(app: App) -> MarketView:
    return await app.market.view(app.settings.pair, app.clock.now())


def build_board(view: MarketView, now: datetime | None) -> Message:
    """Build the board from the lines that Slack shows. Prices have no age if `now` is None, as with files."""
    title, snapshot = mark_simulated(headline(view), when=view.simulated), view.current
    state = [f"As of {fmt.full_moment(view.current.at)}.", market_line(view.market), live_line(view)]
    unmeasured, drawdowns = unmeasured_lines(view.current), drawdown_lines(view)
    prices = [*price_lines(view, now), data_quality_line(snapshot.trust), *problem_lines(view, PROBLEMS_SHOWN)]
    return compose(
        [
            header(title),
            section(*state),
            windows_table(view.current, view.pair),
            context(RANK_NOTE, *unmeasured),
            section(*drawdowns),
            context(*prices),
        ],
        [title, *state, *windows_text(view.current, view.pair), *unmeasured, *drawdowns, *prices],
    )

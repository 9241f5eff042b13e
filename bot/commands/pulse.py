"""`minerpulse pulse`: show the board without a channel's alerts and rules, from price files or live."""

from datetime import datetime
from pathlib import Path

from bot.asyncio_runner import run_async
from bot.commands.base import command
from bot.commands.live import query_live, view_files
from bot.commands.options import btc_option, etf_option, json_option, print_document, require_both_files
from bot.documents.pulse import view_document
from bot.market_app import MarketApp
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render import fmt, market
from handlers.render.markup import mark_simulated
from handlers.render.message import PROBLEMS_SHOWN, Message, compose, context, header, section
from services.rules.market_view import MarketView


@command("minerpulse pulse", "minerpulse pulse --json | jq '.windows[] | {window, spread, percentile}'")
@etf_option
@btc_option
@json_option
def pulse_command(*, etf: Path | None, btc: Path | None, as_json: bool) -> None:
    """Show the board: returns and spreads over every window, live or from price files.

    With price files, the board is as of the last session that both files have.
    """
    files = require_both_files(etf, btc)
    settings = load_settings()
    view = run_async(view_files(*files, settings.pair) if files else query_live(settings, _view))
    if as_json:
        print_document(view_document(view))
    else:
        print_message(build_board(view, None if files else view.now))


async def _view(app: MarketApp) -> MarketView:
    return await app.market.view(app.settings.pair, app.clock.now())


def build_board(view: MarketView, now: datetime | None) -> Message:
    """Build the board from the lines that Slack shows. Prices have no age if `now` is None, as with files."""
    title, snapshot = mark_simulated(market.headline(view), when=view.simulated), view.current
    legs = [(view.pair.etf, snapshot.etf), (view.pair.crypto, snapshot.crypto)]
    state = [f"As of {fmt.plain_instant(snapshot.at)}", market.market_text(view.market), *market.basis_parts(view)]
    gap = market.gap_basis(view.gap) if view.gap and not view.market.is_open else []
    return compose(
        [
            header(title),
            section(*market.now_lines(view)),
            market.windows_table(tuple(snapshot.measurements.values()), view.pair),
            section(*market.drawdown_lines(view)),
            context(" · ".join([*state, *gap, *market.drawdown_basis(view)])),
            context(
                *(market.price_line(symbol, stamp, now) for symbol, stamp in legs),
                f"{market.data_quality_line(snapshot.trust)}.",
                *market.unmeasured_lines(snapshot),
                *market.problem_lines(view, PROBLEMS_SHOWN),
            ),
        ],
        [title],
    )

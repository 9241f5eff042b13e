"""`minerpulse drawdown`, `miners` and `network`: answers from history, as messages or as JSON."""

from datetime import datetime
from pathlib import Path

import numpy as np

from bot.asyncio_runner import run_async
from bot.commands.base import command
from bot.commands.live import query_history, query_live
from bot.commands.options import (
    btc_option,
    etf_option,
    json_option,
    print_document,
    require_both_files,
    window_argument,
)
from bot.documents.studies import drawdown_document, miners_document, network_document
from bot.market_app import MarketApp
from bot.price_files import PriceFiles, align_files, read_price_files
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.drawdown import drawdown_message
from handlers.render.miners import miners_message
from handlers.render.network import network_message
from services.core.errors import NoHistoryError
from services.market.measure import Window
from services.research.report import summarize_drawdowns
from services.research.service import DrawdownResult, NetworkResult, Provenance


@command("minerpulse drawdown", "minerpulse drawdown --etf wgmi.csv --btc btc_1h.csv --json")
@etf_option
@btc_option
@json_option
def drawdown_command(*, etf: Path | None, btc: Path | None, as_json: bool) -> None:
    """Show the drawdowns of BTC and the ETF from their highs, and how rare they are."""
    files = require_both_files(etf, btc)
    settings = load_settings()
    if files:
        result = _drawdown_files(read_price_files(*files, settings.pair))
    else:
        result = run_async(query_history(settings, lambda app: app.research.drawdowns(app.clock.now())))
    if as_json:
        print_document(drawdown_document(result))
    else:
        print_message(drawdown_message(result))


def _drawdown_files(files: PriceFiles) -> DrawdownResult:
    rows = align_files(files)
    known = np.flatnonzero(rows.complete)
    if not len(known):
        raise NoHistoryError("The files have no sessions in common. Check their dates.", remedy="")
    rows, provenance = rows.head(int(known[-1]) + 1), Provenance(problems=files.warnings)
    return DrawdownResult(
        session=rows.sessions[-1].item(), legs=summarize_drawdowns(rows, files.bars), provenance=provenance
    )


@command("minerpulse miners", "minerpulse miners 20d --json")
@window_argument
@json_option
def miners_command(*, window: str, as_json: bool) -> None:
    """Attribute the fund's return to its holdings and cohorts, using the imported weights.

    WINDOW is 1d, 5d, 20d, 60d, 252d or ytd; the default is ytd. It ends with the last close.
    """
    result = run_async(
        query_live(load_settings(), lambda app: app.research.holdings.report(Window(window), app.clock.now()))
    )
    if as_json:
        print_document(miners_document(result))
    else:
        print_message(miners_message(result))


@command("minerpulse network", "minerpulse network --json | jq .hashprice_usd_ph_day")
@json_option
def network_command(*, as_json: bool) -> None:
    """Show difficulty, hash rate, the next retarget, fees, hashprice and the network's power draw."""
    result, now = run_async(query_live(load_settings(), _network))
    if as_json:
        print_document(network_document(result, now))
    else:
        print_message(network_message(result, now))


async def _network(app: MarketApp) -> tuple[NetworkResult, datetime]:
    now = app.clock.now()
    return await app.research.network(now), now

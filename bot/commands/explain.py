"""`minerpulse explain`: attribute the ETF's return, from price files or live, with standard errors."""

from pathlib import Path

import click

from bot.asyncio_runner import run_async
from bot.commands.base import command
from bot.commands.live import query_live
from bot.commands.options import ai_option, btc_option, etf_option, json_option, print_document, window_argument
from bot.documents.explain import explain_document
from bot.price_files import PriceFiles, align_files, build_calendar, read_closes_file, read_price_files
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.explain import explain_message
from services.core.prices import Closes, Symbol
from services.market.basis import pair_basis
from services.market.measure import Window
from services.research.attribution import Legs
from services.research.explain import explain
from services.research.service import ExplainResult, Provenance


@command("minerpulse explain 60d", "minerpulse explain 20d --etf wgmi.csv --btc btc_1h.csv --ai smh.csv")
@window_argument
@etf_option
@btc_option
@ai_option
@json_option
def explain_command(*, window: str, etf: Path | None, btc: Path | None, ai: Path | None, as_json: bool) -> None:
    """Attribute the ETF's return to BTC, AI and a residual, with standard errors.

    WINDOW is 1d, 5d, 20d, 60d, 252d or ytd; the default is ytd. It ends with the last close. Attribution shows
    co-movement, not cause.
    """
    settings = load_settings()
    if etf and btc and ai:
        result = _explain_files(
            read_price_files(etf, btc, settings.pair), read_closes_file(ai, Symbol(settings.ai_proxy)), Window(window)
        )
    elif etf or btc or ai:
        raise click.UsageError("Pass all of --etf, --btc and --ai, or none of them.")
    else:
        result = run_async(query_live(settings, lambda app: app.research.explain(Window(window), app.clock.now())))
    if as_json:
        print_document(explain_document(result))
    else:
        print_message(explain_message(result))


def _explain_files(files: PriceFiles, proxy: Closes, window: Window) -> ExplainResult:
    rows = align_files(files)
    legs = Legs.of(rows, proxy)
    explanation = explain(legs, window, files.closes, files.bars, build_calendar(files))
    provenance = Provenance(problems=files.warnings, basis=pair_basis(legs.until_complete().aligned))
    return ExplainResult(explanation=explanation, provenance=provenance)

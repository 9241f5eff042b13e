"""`minerpulse explain`: attribute the ETF's return, from price files or live, with standard errors."""

import asyncio
from pathlib import Path

import click

from bot.commands.live import query_live
from bot.commands.options import AI_HELP, FILE, btc_option, etf_option, json_option, print_document, window_argument
from bot.documents.explain import explain_document
from bot.price_files import PriceFiles, align_files, build_calendar, read_price_files
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.explain import explain_message
from services.core.prices import Closes, Symbol
from services.market.measure import Window
from services.market.sources.files.prices import read_etf_csv
from services.research.attribution import Legs
from services.research.explain import explain
from services.research.service import ExplainResult, Provenance


@click.command()
@window_argument
@etf_option
@btc_option
@click.option("--ai", type=FILE, help=AI_HELP)
@json_option
def explain_command(*, window: str, etf: Path | None, btc: Path | None, ai: Path | None, as_json: bool) -> None:
    """Attribute the ETF's return to bitcoin, AI and a residual.

    WINDOW is 1d, 5d, 20d, 60d, 252d or ytd, which is the default; it ends with the last close.
    """
    settings = load_settings()
    if etf and btc and ai:
        result = _explain_files(
            read_price_files(etf, btc, settings.pair), read_etf_csv(ai, Symbol(settings.ai_proxy)), Window(window)
        )
    elif etf or btc or ai:
        raise click.UsageError("--etf, --btc and --ai go together: all three come from files, or none.")
    else:
        result = asyncio.run(query_live(settings, lambda app: app.research.explain(Window(window), app.clock.now())))
    if as_json:
        print_document(explain_document(result))
    else:
        print_message(explain_message(result))


def _explain_files(files: PriceFiles, proxy: Closes, window: Window) -> ExplainResult:
    explanation = explain(Legs.of(align_files(files), proxy), window, files.closes, files.bars, build_calendar(files))
    return ExplainResult(explanation=explanation, provenance=Provenance(problems=files.warnings))

"""`minerpulse explain`: why the ETF and bitcoin parted, from price files or live."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path

import click

from bot.commands.live import live
from bot.commands.options import AI_HELP, FILE, as_json, btc_file, etf_file, window
from bot.price_files import PriceFiles, aligned, calendar, read_files
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.explain import explain_message
from services.core.prices import Closes, Symbol
from services.market.measure import Window
from services.market.sources.files.prices import read_etf_csv
from services.research.attribution import Legs
from services.research.explain import explain
from services.research.results import ExplainResult, Provenance


@click.command()
@window
@etf_file
@btc_file
@click.option("--ai", type=FILE, help=AI_HELP)
@as_json
def command(*, window: str, etf: Path | None, btc: Path | None, ai: Path | None, as_json: bool) -> None:
    """Tell what of the ETF's return came with bitcoin, what with AI, and what with neither.

    WINDOW is 1d, 5d, 20d, 60d, 252d or ytd, which is the default; it ends with the last close.
    """
    settings = load_settings()
    if etf and btc and ai:
        told = _explained(
            read_files(etf, btc, settings.pair), read_etf_csv(ai, Symbol(settings.ai_proxy)), Window(window)
        )
    elif etf or btc or ai:
        raise click.UsageError("--etf, --btc and --ai go together: all three come from files, or none.")
    else:
        told = asyncio.run(live(settings, lambda app: app.study.explain(Window(window), app.clock.now())))
    if as_json:
        click.echo(json.dumps(asdict(told), ensure_ascii=False, default=_written))
    else:
        print_message(explain_message(told))


def _explained(files: PriceFiles, proxy: Closes, window: Window) -> ExplainResult:
    found = explain(Legs.of(aligned(files), proxy), window, files.closes, files.bars, calendar(files))
    return ExplainResult(explanation=found, basis=Provenance(problems=files.warnings))


def _written(value: object) -> str:
    return str(value.value if isinstance(value, Enum) else value)

"""`minerpulse report`: everything about the pair as one page, from price files or live."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import click

from bot.atomic_write import write_whole
from bot.clock import SystemClock
from bot.commands.live import live
from bot.commands.options import AI_HELP, FILE, Day, btc_file, etf_file, output
from bot.price_files import aligned, calendar, read_files
from bot.settings import Settings, load_settings
from handlers.render.drawing import png
from handlers.render.html_page import Shown, written
from handlers.render.picture import Picture, Scheme
from handlers.render.report import report_page, report_pictures
from services.core.prices import Symbol
from services.market.sources.files.prices import read_etf_csv
from services.research.report import Material, report
from services.research.results import Provenance, ReportResult
from services.rules.grammar import parse_rule
from services.rules.rule import DEFAULT_RULES

NO_AI = "Nothing is parted here: give the closes of {proxy}, the AI proxy, with --ai."
DEFAULTS = ", ".join(DEFAULT_RULES)


@click.command()
@output("report.html")
@click.option("--from", "first", type=Day(), help="The first session; earlier ones still feed look-backs.")
@click.option("--to", "last", type=Day(), help="The last session; what came later is not looked at.")
@click.option("--rule", "texts", multiple=True, help=f"A rule, as in “1d 8pp”; may be repeated.  [default: {DEFAULTS}]")
@etf_file
@btc_file
@click.option("--ai", type=FILE, help=AI_HELP)
def command(
    *,
    path: Path,
    first: date | None,
    last: date | None,
    texts: tuple[str, ...],
    etf: Path | None,
    btc: Path | None,
    ai: Path | None,
) -> None:
    """Write one page: spread and episodes, why the legs parted, betas, drawdowns, and what the numbers rest on.

    It opens in any browser without a network, and prints.
    """
    settings = load_settings()
    rules = [parse_rule(text, settings.pair) for text in texts or DEFAULT_RULES]
    if etf and btc:
        material, basis = _from_files(etf, btc, ai, settings)
        told = ReportResult(report=report(material, rules, first, last), basis=basis)
    elif etf or btc or ai:
        raise click.UsageError("--etf and --btc go together, and --ai only with both: prices come from files, or none.")
    else:
        told = asyncio.run(live(settings, lambda app: app.study.report(rules, first, last, app.clock.now())))
    shown = {name: _shown(picture) for name, picture in report_pictures(told).items()}
    write_whole(path, written(report_page(told, shown, SystemClock().now())))


def _from_files(etf: Path, btc: Path, ai: Path | None, settings: Settings) -> tuple[Material, Provenance]:
    files, proxy = read_files(etf, btc, settings.pair), Symbol(settings.ai_proxy)
    made = Material(
        aligned=aligned(files),
        etf=files.closes,
        crypto=files.bars,
        sessions=calendar(files),
        proxy=read_etf_csv(ai, proxy) if ai else None,
        missing=NO_AI.format(proxy=proxy),
    )
    return made, Provenance(problems=files.warnings)


def _shown(picture: Picture) -> Shown:
    return Shown(light=png(picture, Scheme.LIGHT), dark=png(picture, Scheme.DARK), alt=picture.alt)

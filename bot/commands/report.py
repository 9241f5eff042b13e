"""`minerpulse report`: write an HTML report about the pair, or print it as JSON, from price files or live."""

import asyncio
from datetime import date
from pathlib import Path

import click
from click.core import ParameterSource

from bot.clock import SystemClock
from bot.commands.live import query_history
from bot.commands.options import (
    AI_HELP,
    FILE,
    HTML_FILE,
    DayOption,
    btc_option,
    etf_option,
    json_option,
    output_option,
    print_document,
    write_output,
)
from bot.documents.report import report_document
from bot.price_files import align_files, build_calendar, read_price_files
from bot.settings import Settings, load_settings
from handlers.render.drawing import render_png
from handlers.render.html_page import PagePicture, render_html
from handlers.render.picture import ColorScheme, Picture
from handlers.render.report import report_page, report_pictures
from services.core.prices import Symbol
from services.market.basis import pair_basis
from services.market.sources.files.prices import read_etf_csv
from services.research.report import ReportInput, build_report
from services.research.service import Provenance, ReportResult
from services.rules.grammar import parse_rule
from services.rules.rule import DEFAULT_RULES

NO_PROXY_HINT = "No return attribution: pass the closes of {proxy}, the AI proxy, with --ai."
DEFAULTS = ", ".join(DEFAULT_RULES)


@click.command()
@output_option("report.html", HTML_FILE)
@click.option("--from", "first", type=DayOption(), help="The first session; earlier ones still feed look-backs.")
@click.option("--to", "last", type=DayOption(), help="The last session; later prices are ignored.")
@click.option("--rule", "texts", multiple=True, help=f"A rule, as in “1d 8pp”; may be repeated.  [default: {DEFAULTS}]")
@etf_option
@btc_option
@click.option("--ai", type=FILE, help=AI_HELP)
@json_option
@click.pass_context
def report_command(
    ctx: click.Context,
    *,
    path: Path,
    first: date | None,
    last: date | None,
    texts: tuple[str, ...],
    etf: Path | None,
    btc: Path | None,
    ai: Path | None,
    as_json: bool,
) -> None:
    """Write one page: spread and episodes, return attribution, betas, drawdowns, and the sources.

    It opens in any browser without a network, and prints.
    """
    if as_json and ctx.get_parameter_source("path") is not ParameterSource.DEFAULT:
        raise click.UsageError("--json prints the document and writes no page: leave -o out.")
    settings = load_settings()
    rules = [parse_rule(text, settings.pair) for text in texts or DEFAULT_RULES]
    if etf and btc:
        report_input, provenance = _read_input(etf, btc, ai, settings)
        result = ReportResult(report=build_report(report_input, rules, first, last), provenance=provenance)
    elif etf or btc or ai:
        raise click.UsageError("--etf and --btc go together, and --ai only with both: prices come from files, or none.")
    else:
        result = asyncio.run(
            query_history(settings, lambda app: app.research.report(rules, first, last, app.clock.now()))
        )
    if as_json:
        print_document(report_document(result))
        return
    images = {name: _page_picture(picture) for name, picture in report_pictures(result).items()}
    write_output(path, render_html(report_page(result, images, SystemClock().now())))


def _read_input(etf: Path, btc: Path, ai: Path | None, settings: Settings) -> tuple[ReportInput, Provenance]:
    files, proxy = read_price_files(etf, btc, settings.pair), Symbol(settings.ai_proxy)
    report_input = ReportInput(
        aligned=align_files(files),
        etf=files.closes,
        crypto=files.bars,
        sessions=build_calendar(files),
        proxy=read_etf_csv(ai, proxy) if ai else None,
        proxy_missing=NO_PROXY_HINT.format(proxy=proxy),
    )
    return report_input, Provenance(problems=files.warnings, basis=pair_basis(report_input.aligned))


def _page_picture(picture: Picture) -> PagePicture:
    return PagePicture(
        light=render_png(picture, ColorScheme.LIGHT), dark=render_png(picture, ColorScheme.DARK), alt=picture.alt
    )

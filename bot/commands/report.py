"""`minerpulse report`: write an HTML report about the pair, or print it as JSON, from price files or live."""

from datetime import date
from pathlib import Path

import click

from bot.asyncio_runner import run_async
from bot.clock import SystemClock
from bot.commands.base import command
from bot.commands.live import query_history
from bot.commands.options import (
    HTML_FILE,
    STDOUT,
    ai_option,
    btc_option,
    etf_option,
    from_option,
    json_option,
    output_options,
    print_document,
    resolve_output,
    to_option,
    write_output,
)
from bot.documents.report import report_document
from bot.price_files import align_files, build_calendar, read_closes_file, read_price_files
from bot.settings import Settings, load_settings
from handlers.render.html_page import render_html
from handlers.render.report import report_page
from services.core.prices import Symbol
from services.market.basis import pair_basis
from services.research.report import ReportInput, build_report
from services.research.service import Provenance, ReportResult
from services.rules.grammar import parse_rule
from services.rules.rule import DEFAULT_RULES

NO_PROXY_HINT = "No return attribution: pass the closes of {proxy}, the AI proxy, with --ai."
DEFAULT_FILE = "report.html"
DEFAULTS = ", ".join(DEFAULT_RULES)


@command("minerpulse report -o wgmi.html", "minerpulse report --from 2026-01-02 --rule '5d 15pp' --json")
@output_options(DEFAULT_FILE, HTML_FILE)
@from_option
@to_option
@click.option("--rule", "texts", multiple=True, help=f"Rule such as “1d 8pp”; can be repeated.  [default: {DEFAULTS}]")
@etf_option
@btc_option
@ai_option
@json_option
def report_command(
    *,
    path: Path | None,
    force: bool,
    first: date | None,
    last: date | None,
    texts: tuple[str, ...],
    etf: Path | None,
    btc: Path | None,
    ai: Path | None,
    as_json: bool,
) -> None:
    """Write one HTML page: spread, alerts of each rule, return attribution, betas, drawdowns and sources.

    The page needs no network and can be printed.
    """
    if as_json and path:
        raise click.UsageError("--json prints the document and writes no page. Omit -o.")
    target = STDOUT if as_json else resolve_output(path, DEFAULT_FILE, force=force)
    settings = load_settings()
    rules = [parse_rule(text, settings.pair) for text in texts or DEFAULT_RULES]
    if etf and btc:
        report_input, provenance = _read_input(etf, btc, ai, settings)
        result = ReportResult(report=build_report(report_input, rules, first, last), provenance=provenance)
    elif etf or btc or ai:
        raise click.UsageError("Pass both --etf and --btc; --ai needs both.")
    else:
        result = run_async(
            query_history(settings, lambda app: app.research.report(rules, first, last, app.clock.now()))
        )
    if as_json:
        print_document(report_document(result))
        return
    write_output(target, render_html(report_page(result, SystemClock().now())))


def _read_input(etf: Path, btc: Path, ai: Path | None, settings: Settings) -> tuple[ReportInput, Provenance]:
    files, proxy = read_price_files(etf, btc, settings.pair), Symbol(settings.ai_proxy)
    report_input = ReportInput(
        aligned=align_files(files),
        etf=files.closes,
        crypto=files.bars,
        sessions=build_calendar(files),
        proxy=read_closes_file(ai, proxy) if ai else None,
        proxy_missing=NO_PROXY_HINT.format(proxy=proxy),
    )
    return report_input, Provenance(problems=files.warnings, basis=pair_basis(report_input.aligned))

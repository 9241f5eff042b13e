"""`minerpulse backtest`: a rule's episodes and what followed them, from price files or live."""

from pathlib import Path

import click

from bot.asyncio_runner import run_async
from bot.commands.base import command
from bot.commands.live import query_history
from bot.commands.options import btc_option, etf_option, json_option, print_document, require_both_files
from bot.documents.rules import backtest_document
from bot.price_files import PriceFiles, align_files, read_price_files
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.backtest import backtest_message
from services.market.basis import pair_basis
from services.research.service import BacktestResult, Provenance, backtest_with_curve
from services.rules.grammar import parse_rule
from services.rules.rule import Rule


@command("minerpulse backtest 5d 15pp", "minerpulse backtest 1d 8pp --etf wgmi.csv --btc btc_1h.csv")
@click.argument("words", metavar="RULE", nargs=-1, required=True)
@etf_option
@btc_option
@json_option
def backtest_command(*, words: tuple[str, ...], etf: Path | None, btc: Path | None, as_json: bool) -> None:
    """Show how often RULE would have fired since the ETF was listed, and what followed.

    RULE is a rule such as “5d 15pp”. It is evaluated at each session's close. With price files, the backtest covers
    the sessions in the files.
    """
    files = require_both_files(etf, btc)
    settings = load_settings()
    rule = parse_rule(" ".join(words), settings.pair)
    if files:
        result = _backtest_files(read_price_files(*files, settings.pair), rule)
    else:
        result = run_async(query_history(settings, lambda app: app.research.backtest(rule, app.clock.now())))
    if as_json:
        print_document(backtest_document(result))
    else:
        print_message(backtest_message(result))


def _backtest_files(files: PriceFiles, rule: Rule) -> BacktestResult:
    rows = align_files(files)
    backtest, curve = backtest_with_curve(rows, rule)
    provenance = Provenance(problems=files.warnings, basis=pair_basis(rows))
    return BacktestResult(backtest=backtest, curve=curve, provenance=provenance, left_out=rows.exclusions)

"""`minerpulse tune`: find the rule with a target rate of alerts, from price files or live."""

from collections.abc import Sequence
from pathlib import Path

import click

from bot.asyncio_runner import run_async
from bot.commands.base import command
from bot.commands.live import query_history
from bot.commands.options import btc_option, etf_option, json_option, print_document, require_both_files
from bot.documents.rules import tune_document
from bot.price_files import PriceFiles, align_files, read_price_files
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.tune import tune_message
from services.market.basis import pair_basis
from services.research.service import Provenance, TuneResult
from services.research.tune import RateTarget, parse_target, tune_with_diffs
from services.rules.grammar import parse_rule
from services.rules.rule import DEFAULT_RULES, EXAMPLE, Rule


@command("minerpulse tune 5d 2/month", "minerpulse tune 1d 12/year --against '1d 8pp' --json")
@click.argument("wish", metavar="WINDOW RATE", nargs=-1, required=True)
@etf_option
@btc_option
@click.option("--against", multiple=True, help="Rule to compare with; can be repeated.  [default: the default rules]")
@json_option
def tune_command(
    *, wish: tuple[str, ...], etf: Path | None, btc: Path | None, against: tuple[str, ...], as_json: bool
) -> None:
    """Find the threshold for a target rate of alerts, with an out-of-sample check.

    WINDOW RATE is a window and a rate such as “5d 2/month”. The threshold that fits the first half of the history is
    checked on the second half. No rule is changed.
    """
    files = require_both_files(etf, btc)
    settings = load_settings()
    target = parse_target(" ".join(wish), parse_rule(EXAMPLE, settings.pair))
    rules = [parse_rule(text, settings.pair) for text in against or DEFAULT_RULES]
    if files:
        result = _tune_files(read_price_files(*files, settings.pair), target, rules)
    else:
        result = run_async(query_history(settings, lambda app: app.research.tune(target, rules, app.clock.now())))
    if as_json:
        print_document(tune_document(result))
    else:
        print_message(tune_message(result))


def _tune_files(files: PriceFiles, target: RateTarget, rules: Sequence[Rule]) -> TuneResult:
    closes = align_files(files)
    tuned, diffs = tune_with_diffs(closes, target, rules)
    provenance = Provenance(problems=files.warnings, basis=pair_basis(closes))
    return TuneResult(tuned=tuned, diffs=diffs, provenance=provenance, left_out=closes.exclusions)

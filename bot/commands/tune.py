"""`minerpulse tune`: find the rule with a target rate of alerts, from price files or live."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bot.commands.live import query_live
from bot.commands.options import btc_option, etf_option, json_option, print_document, require_both_files
from bot.price_files import PriceFiles, align_files, read_price_files
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.tune import tune_message
from services.research.service import Provenance, TuneResult
from services.research.tune import RateTarget, parse_target, tune_with_diffs
from services.rules.grammar import parse_rule
from services.rules.rule import DEFAULT_RULES, EXAMPLE, Rule


@click.command()
@click.argument("wish", nargs=-1, required=True)
@etf_option
@btc_option
@click.option("--against", multiple=True, help="A rule to compare with; may be repeated.  [default: a new channel's]")
@json_option
def tune_command(
    *, wish: tuple[str, ...], etf: Path | None, btc: Path | None, against: tuple[str, ...], as_json: bool
) -> None:
    """Find the threshold for as many alerts as you want; WISH is a window and a rate, as in “5d 2/month”.

    What the first half of the history alone would have found is checked on the second. Nothing is changed.
    """
    files = require_both_files(etf, btc)
    settings = load_settings()
    target = parse_target(" ".join(wish), parse_rule(EXAMPLE, settings.pair))
    rules = [parse_rule(text, settings.pair) for text in against or DEFAULT_RULES]
    if files:
        result = _tune_files(read_price_files(*files, settings.pair), target, rules)
    else:
        result = asyncio.run(query_live(settings, lambda app: app.research.tune(target, rules, app.clock.now())))
    if as_json:
        print_document(_document(result))
    else:
        print_message(tune_message(result))


def _tune_files(files: PriceFiles, target: RateTarget, rules: Sequence[Rule]) -> TuneResult:
    closes = align_files(files)
    tuned, diffs = tune_with_diffs(closes, target, rules)
    provenance = Provenance(problems=files.warnings)
    return TuneResult(tuned=tuned, diffs=diffs, provenance=provenance, left_out=closes.exclusions)


def _document(result: TuneResult) -> dict[str, Any]:
    """Return the result as JSON-ready values: rules in rule grammar, rates per year, dates of changed alerts."""
    tuned, check = result.tuned, result.tuned.check
    return {
        "rule": str(tuned.rule),
        "wanted_per_year": tuned.target.per_year,
        "per_year": tuned.per_year,
        "episodes": tuned.episodes,
        "years": tuned.years,
        "check": check
        and {
            "rule": str(check.rule),
            "since": f"{check.since}",
            "episodes": check.episodes,
            "per_year": check.per_year,
            "low": check.low,
            "high": check.high,
        },
        "against": [
            {"rule": str(diff.against), "gained": [*map(str, diff.added)], "lost": [*map(str, diff.removed)]}
            for diff in result.diffs
        ],
        "left_out": [
            {"session": f"{excluded.session}", "leg": excluded.leg.value, "reason": excluded.reason}
            for excluded in result.left_out
        ],
        "simulated": result.provenance.simulated,
        "problems": list(result.provenance.problems),
    }

"""`minerpulse tune`: the rule that fires as often as is wanted, from price files or live."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bot.commands.live import live
from bot.commands.options import as_json, both_or_neither, btc_file, etf_file
from bot.price_files import PriceFiles, aligned, read_files
from bot.settings import load_settings
from bot.terminal import print_message
from handlers.render.tune import tune_message
from services.research.rate_target import RateTarget, parse_target
from services.research.results import Provenance, TuneResult
from services.research.tune import calibrated
from services.rules.grammar import parse_rule
from services.rules.rule import DEFAULT_RULES, EXAMPLE, Rule


@click.command()
@click.argument("wish", nargs=-1, required=True)
@etf_file
@btc_file
@click.option("--against", multiple=True, help="A rule to compare with; may be repeated.  [default: a new channel's]")
@as_json
def command(
    *, wish: tuple[str, ...], etf: Path | None, btc: Path | None, against: tuple[str, ...], as_json: bool
) -> None:
    """Find the threshold for as many alerts as you want; WISH is a window and a rate, as in “5d 2/month”.

    What the first half of the history alone would have found is checked on the second. Nothing is changed.
    """
    files = both_or_neither(etf, btc)
    settings = load_settings()
    asked = parse_target(" ".join(wish), parse_rule(EXAMPLE, settings.pair))
    rules = [parse_rule(text, settings.pair) for text in against or DEFAULT_RULES]
    if files:
        told = _calibrated(read_files(*files, settings.pair), asked, rules)
    else:
        told = asyncio.run(live(settings, lambda app: app.study.tune(asked, rules, app.clock.now())))
    if as_json:
        click.echo(json.dumps(_document(told), ensure_ascii=False))
    else:
        print_message(tune_message(told))


def _calibrated(files: PriceFiles, wish: RateTarget, against: Sequence[Rule]) -> TuneResult:
    found, shifts = calibrated(aligned(files), wish, against)
    return TuneResult(tuned=found, shifts=shifts, basis=Provenance(problems=files.warnings))


def _document(told: TuneResult) -> dict[str, Any]:
    """Write a calibration as JSON: rules as they are typed, rates a year, dates of the alerts gained and lost."""
    found, check = told.tuned, told.tuned.check
    return {
        "rule": str(found.rule),
        "wanted_per_year": found.wish.per_year,
        "per_year": found.per_year,
        "episodes": found.episodes,
        "years": found.years,
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
            {"rule": str(one.against), "gained": [*map(str, one.gained)], "lost": [*map(str, one.lost)]}
            for one in told.shifts
        ],
        "simulated": told.basis.simulated,
        "problems": list(told.basis.problems),
    }

"""`minerpulse replay`: rules put to price files, as one JSON document or as tables of episodes."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import click

from bot.atomic_write import write_whole
from bot.commands.options import BTC_HELP, ETF_HELP, FILE, Day, as_json
from bot.commands.replay_report import as_document, show
from bot.price_files import aligned, read_files
from handlers.image_cache import drawn
from handlers.render.chart import replay_picture
from handlers.render.picture import Scheme
from services.market.align import Aligned
from services.research.track_record import looked_at
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from services.rules.rule import DEFAULT_RULES

DAY = timedelta(days=1)
DEFAULTS = ", ".join(DEFAULT_RULES)


@click.command()
@click.option("--etf", type=FILE, required=True, help=ETF_HELP)
@click.option("--btc", type=FILE, required=True, help=BTC_HELP)
@click.option("--rule", "texts", multiple=True, help=f"A rule, as in “1d 8pp”; may be repeated.  [default: {DEFAULTS}]")
@click.option("--from", "first", type=Day(), help="The first session to decide; earlier ones still feed look-backs.")
@click.option("--to", "last", type=Day(), help="The last session to decide.")
@click.option("--chart", type=click.Path(dir_okay=False, path_type=Path), help="Draw it, too, in this PNG.")
@click.option("--dark", is_flag=True, help="Draw on a dark ground.")
@as_json
def command(
    *,
    etf: Path,
    btc: Path,
    texts: tuple[str, ...],
    first: date | None,
    last: date | None,
    chart: Path | None,
    dark: bool,
    as_json: bool,
) -> None:
    """Tell what rules would have done over history, decided at each session's close."""
    rules = [parse_rule(text) for text in texts or DEFAULT_RULES]
    files = read_files(etf, btc)
    market = aligned(files)
    outcome = replay(market, rules, first=first, last=last)
    if as_json:
        click.echo(json.dumps(as_document(outcome), ensure_ascii=False))
    else:
        show(outcome, [looked_at(_until(market, outcome.last), found) for found in outcome.rules])
    if chart:
        picture = replay_picture(market, outcome)
        write_whole(chart, drawn(picture, Scheme.DARK if dark else Scheme.LIGHT))


def _until(market: Aligned, last: date) -> Aligned:
    """Cut off what came after the last session that was decided."""
    return market.before(last + DAY)

"""`minerpulse replay`: replay rules over price files, as JSON or as tables of episodes."""

from datetime import date, timedelta
from pathlib import Path

import click

from bot.atomic_write import write_atomically
from bot.commands.options import BTC_HELP, ETF_HELP, FILE, DayOption, json_option, print_document
from bot.commands.replay_report import print_replay, replay_document
from bot.price_files import align_files, read_price_files
from handlers.image_cache import draw_png
from handlers.render.chart import replay_picture
from handlers.render.picture import ColorScheme
from services.market.align import Aligned
from services.research.track_record import build_backtest
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from services.rules.rule import DEFAULT_RULES

DAY = timedelta(days=1)
DEFAULTS = ", ".join(DEFAULT_RULES)


@click.command()
@click.option("--etf", type=FILE, required=True, help=ETF_HELP)
@click.option("--btc", type=FILE, required=True, help=BTC_HELP)
@click.option("--rule", "texts", multiple=True, help=f"A rule, as in “1d 8pp”; may be repeated.  [default: {DEFAULTS}]")
@click.option(
    "--from", "first", type=DayOption(), help="The first session to decide; earlier ones still feed look-backs."
)
@click.option("--to", "last", type=DayOption(), help="The last session to decide.")
@click.option("--chart", type=click.Path(dir_okay=False, path_type=Path), help="Draw it, too, in this PNG.")
@click.option("--dark", is_flag=True, help="Draw on a dark ground.")
@json_option
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
    files = read_price_files(etf, btc)
    aligned = align_files(files)
    result = replay(aligned, rules, first=first, last=last)
    if as_json:
        print_document(replay_document(result))
    else:
        print_replay(
            result, [build_backtest(_until(aligned, result.last), rule_result) for rule_result in result.rules]
        )
    if chart:
        picture = replay_picture(aligned, result)
        write_atomically(chart, draw_png(picture, ColorScheme.DARK if dark else ColorScheme.LIGHT))


def _until(aligned: Aligned, last: date) -> Aligned:
    """Cut off everything after the last replayed session."""
    return aligned.before(last + DAY)

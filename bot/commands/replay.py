"""`minerpulse replay`: replay rules over price files, as JSON or as tables of episodes with a summary."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from bot.commands.base import command
from bot.commands.options import (
    BTC_HELP,
    ETF_HELP,
    FILE,
    OutputFile,
    dates_option,
    from_option,
    json_option,
    print_document,
    to_option,
    write_output,
)
from bot.documents.rules import replay_document
from bot.price_files import align_files, read_price_files
from bot.terminal import SafeConsole
from handlers.render import fmt
from handlers.render.backtest import findings
from handlers.render.chart import replay_picture
from handlers.render.fmt import sparkline
from handlers.render.market import left_out_lines
from handlers.render.picture import ColorScheme
from services.market.align import Aligned
from services.market.metrics import SPREAD, Unit
from services.research.track_record import Backtest, build_backtest
from services.rules.decide import Change
from services.rules.grammar import parse_rule
from services.rules.replay import Replay, RuleReplay, Step, replay
from services.rules.rule import DEFAULT_RULES

DAY = timedelta(days=1)
DEFAULTS = ", ".join(DEFAULT_RULES)


@command(
    "minerpulse replay --etf wgmi.csv --btc btc_1h.csv --rule '1d 8pp' --rule '5d 15pp'",
    "minerpulse replay --etf wgmi.csv --btc btc_1h.csv --from 2026-01-02 --json",
)
@click.option("--etf", type=FILE, required=True, help=ETF_HELP)
@click.option("--btc", type=FILE, required=True, help=BTC_HELP)
@dates_option
@click.option("--rule", "texts", multiple=True, help=f"Rule such as “1d 8pp”; can be repeated.  [default: {DEFAULTS}]")
@from_option
@to_option
@click.option(
    "--chart", type=OutputFile("PNG", [".png"], allow_stdout=False), help="Also write a chart to this PNG file."
)
@click.option("--dark", is_flag=True, help="Use a dark background.")
@json_option
def replay_command(
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
    """Replay rules over price files, evaluated at each session's close.

    For each rule, the alerts are listed with a backtest. `minerpulse backtest` does the same for one rule
    with prices from your sources.
    """
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
        from handlers.render.drawing import render_png  # noqa: PLC0415 -- imports matplotlib, which tables do not need

        picture = replay_picture(aligned, result)
        write_output(chart, render_png(picture, ColorScheme.DARK if dark else ColorScheme.LIGHT))


def _until(aligned: Aligned, last: date) -> Aligned:
    """Cut off everything after the last replayed session."""
    return aligned.before(last + DAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One firing of a rule with its end.

    Attributes:
        resolved: None if the episode is still open.
        length: Number of sessions.
    """

    fired: Step
    resolved: Step | None
    length: int


def print_replay(result: Replay, backtests: Sequence[Backtest]) -> None:
    """Print a table of episodes and the backtest for each rule, and the excluded sessions."""
    console = SafeConsole()
    span = f"{result.first} to {result.last}"
    console.print(Text(f"{fmt.sessions(result.sessions)} with both prices, {span}", style="bold"))
    for rule_result, backtest in zip(result.rules, backtests, strict=True):
        console.print()
        if rule_result.episodes:
            console.print(_table(rule_result))
        console.print(_summary(rule_result, result))
        if rule_result.episodes:
            console.print(Text("\n".join(findings(backtest))))
    if result.left_out:
        console.print()
        for line in left_out_lines(result.left_out, backtests[0].replay.rule.pair):
            console.print(Text(line, style="dim"))


def episodes(rule_result: RuleReplay) -> list[Episode]:
    """Pair each firing with the resolution that ended it."""
    firings = [step for step in rule_result.steps if step.change is Change.FIRING]
    resolutions = [step for step in rule_result.steps if step.change is Change.RESOLVED]
    ends: list[Step | None] = [*resolutions, *[None] * (len(firings) - len(resolutions))]
    return [
        Episode(fired=start, resolved=end, length=length)
        for start, end, length in zip(firings, ends, rule_result.episode_lengths, strict=True)
    ]


def _table(rule_result: RuleReplay) -> Table:
    table = Table(
        title=str(rule_result.rule),
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        collapse_padding=True,
    )
    for heading in ("Fired", "Resolved", "Side"):
        table.add_column(heading, no_wrap=True)
    metric = rule_result.rule.metric
    metric_column = [] if metric is SPREAD else [metric.name.capitalize()]
    for heading in (*metric_column, "Spread", "ETF", "BTC", "Sessions"):
        table.add_column(heading, justify="right", no_wrap=True)
    for episode in episodes(rule_result):
        fired = episode.fired
        table.add_row(
            f"{fired.session}",
            f"{episode.resolved.session}" if episode.resolved else "still open",
            fired.side.value,
            *(format_rule_value(fired.value, rule_result.rule.unit) for _heading in metric_column),
            _format_hundredths(fired.spread, " pp"),
            _format_hundredths(fired.etf_return, "%"),
            _format_hundredths(fired.crypto_return, "%"),
            f"{episode.length}",
        )
    return table


def format_rule_value(value: float, unit: Unit) -> str:
    """Return the value that the rule fired on; zero after rounding has no sign."""
    text = unit.cell.format(unit.scale * value)
    return text.replace("-", "−") if any(digit in text for digit in "123456789") else text.lstrip("+-")


def _format_hundredths(value: float, unit: str) -> str:
    """Return a fraction in hundredths with a sign; zero after rounding has none."""
    if not math.isfinite(value):
        return "–"
    hundredths = round(100 * value, 1)
    return f"{hundredths:+.1f}{unit}".replace("-", "−") if hundredths else f"0.0{unit}"


def _summary(rule_result: RuleReplay, result: Replay) -> Text:
    """Summarize count and length. The bars count episodes per quarter; a dot means nothing was measured."""
    if not rule_result.episodes:
        return Text(f"{rule_result.rule}: never fired.", style="bold")
    count = f"fired {rule_result.episodes} time{'' if rule_result.episodes == 1 else 's'}"
    length = f"{rule_result.median_length:g} session{'' if rule_result.median_length == 1 else 's'}"
    headline = f"{rule_result.rule}: {count}, {rule_result.per_year:.1f} a year, median length {length}"
    quarters = _quarters(result.first, result.last)
    counts = Counter(_quarter(step.session) for step in rule_result.steps if step.change is Change.FIRING)
    first, last = map(_quarter, rule_result.measured_range or (result.first, result.last))
    bars = sparkline([0, *(counts[quarter] if first <= quarter <= last else None for quarter in quarters)])[1:]
    return Text.assemble(
        (headline, "bold"), f"\n{_quarter_label(quarters[0])} {bars} {_quarter_label(quarters[-1])} alerts per quarter"
    )


def _quarter(day: date) -> int:
    return day.year * 4 + (day.month - 1) // 3


def _quarters(first: date, last: date) -> range:
    return range(_quarter(first), _quarter(last) + 1)


def _quarter_label(quarter: int) -> str:
    return f"{quarter // 4} Q{quarter % 4 + 1}"

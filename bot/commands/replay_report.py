"""What a replay found: as one JSON document, and as tables with a summary."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, assert_never

from rich.console import Console
from rich.table import Table
from rich.text import Text

from handlers.render.backtest import findings
from handlers.render.footers import left_out_lines
from handlers.render.gauges import spark
from services.market.measure import Metric, Unit
from services.research.track_record import Backtest
from services.rules.decide import Change
from services.rules.replay import Replay, RuleReplay, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One firing of a rule with its end, None where it is still open; `length` counts sessions."""

    fired: Step
    resolved: Step | None
    length: int


def as_document(outcome: Replay) -> dict[str, Any]:
    """Write a replay as JSON: the spread in percentage points, returns as fractions, null where a leg has none."""
    return {
        "sessions": outcome.sessions,
        "left_out": [
            {"session": f"{out.session}", "leg": out.leg.value, "reason": out.reason} for out in outcome.left_out
        ],
        "rules": [
            {
                "rule": str(found.rule),
                "episodes": found.episodes,
                "per_year": found.per_year,
                "transitions": [_transition(step) for step in found.steps],
            }
            for found in outcome.rules
        ],
    }


def _transition(step: Step) -> dict[str, Any]:
    return {
        "session": f"{step.session}",
        "to": step.to.value,
        "direction": step.side.value,
        "spread_pp": _number(100 * step.spread),
        "etf_return": _number(step.etf_return),
        "btc_return": _number(step.crypto_return),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def show(outcome: Replay, tested: Sequence[Backtest]) -> None:
    """Print a table of episodes and what was found for each rule, and what was left out."""
    console = Console(highlight=False)
    span = f"{outcome.first} to {outcome.last}"
    console.print(Text(f"{outcome.sessions:,} sessions with both prices, {span}", style="bold"))
    for found, seen in zip(outcome.rules, tested, strict=True):
        console.print()
        if found.episodes:
            console.print(_table(found))
        console.print(_summary(found, outcome))
        if found.episodes:
            console.print(Text("\n".join(findings(seen))))
    if outcome.left_out:
        console.print()
        for line in left_out_lines(outcome.left_out):
            console.print(Text(line, style="dim"))


def episodes(found: RuleReplay) -> list[Episode]:
    """Pair each firing with the resolve that ended it."""
    fired = [step for step in found.steps if step.to is Change.FIRING]
    resolved = [step for step in found.steps if step.to is Change.RESOLVED]
    ends: list[Step | None] = [*resolved, *[None] * (len(fired) - len(resolved))]
    return [
        Episode(fired=start, resolved=end, length=length)
        for start, end, length in zip(fired, ends, found.lengths, strict=True)
    ]


def _table(found: RuleReplay) -> Table:
    table = Table(
        title=str(found.rule), title_justify="left", title_style="bold", box=None, pad_edge=False, collapse_padding=True
    )
    for heading in ("Fired", "Resolved", "Side"):
        table.add_column(heading, no_wrap=True)
    metric = found.rule.metric
    own = [] if metric is Metric.SPREAD else [metric.value.capitalize()]
    for heading in (*own, "Spread", "ETF", "Bitcoin", "Length"):
        table.add_column(heading, justify="right", no_wrap=True)
    for episode in episodes(found):
        fired = episode.fired
        table.add_row(
            f"{fired.session}",
            f"{episode.resolved.session}" if episode.resolved else "still open",
            fired.side.value,
            *(_value(fired.value, found.rule.unit) for _heading in own),
            _written(fired.spread, " pp"),
            _written(fired.etf_return, "%"),
            _written(fired.crypto_return, "%"),
            f"{episode.length}",
        )
    return table


def _value(value: float, unit: Unit) -> str:
    """Write what the rule fired on."""
    match unit:
        case Unit.PP:
            return _written(value, " pp")
        case Unit.PERCENT:
            return f"{100 * value:.1f}%"
        case Unit.SIGMA:
            return _written(value / 100, "")
        case _:
            assert_never(unit)


def _written(value: float, unit: str) -> str:
    """Write a fraction in hundredths with its sign; what rounds to zero has none."""
    if not math.isfinite(value):
        return "–"
    hundredths = round(100 * value, 1)
    return f"{hundredths:+.1f}{unit}".replace("-", "−") if hundredths else f"0.0{unit}"


def _summary(found: RuleReplay, outcome: Replay) -> Text:
    """Say how often and how long; the bars count episodes by quarter, a dot stands where nothing is measured."""
    if not found.episodes:
        return Text(f"{found.rule}: never fired.", style="bold")
    count = f"{found.episodes} episode{'' if found.episodes == 1 else 's'}"
    length = f"{found.median_length:g} session{'' if found.median_length == 1 else 's'}"
    told = f"{found.rule}: {count}, {found.per_year:.1f} a year, median length {length}"
    quarters = _quarters(outcome.first, outcome.last)
    fired = Counter(_quarter(step.session) for step in found.steps if step.to is Change.FIRING)
    first, last = map(_quarter, found.measured or (outcome.first, outcome.last))
    bars = spark([0, *(fired[quarter] if first <= quarter <= last else None for quarter in quarters)])[1:]
    return Text.assemble((told, "bold"), f"\n{_named(quarters[0])} {bars} {_named(quarters[-1])} by quarter")


def _quarter(day: date) -> int:
    return day.year * 4 + (day.month - 1) // 3


def _quarters(first: date, last: date) -> range:
    return range(_quarter(first), _quarter(last) + 1)


def _named(quarter: int) -> str:
    return f"{quarter // 4} Q{quarter % 4 + 1}"

"""One tick with very many rules of which none changes: the numbers alone, without the network and the database."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING

from services.domain.decide import RuleState, decide
from services.domain.episode import Channel
from services.domain.rule import parse_rule
from services.ports import Watch
from services.watchlist import lay_out
from tests.bench.figure import Figure, median_ms
from tests.fakes.market import random_market
from tests.fakes.views import a_view

if TYPE_CHECKING:
    from services.market import MarketView

RULES = 100_000
TEXTS = ("1d 60pp", "5d 90pp", "20d 200pp", "60d 300pp above", "1d 70pp below", "252d 900pp", "5d residual 90pp")


async def bench() -> list[Figure]:
    """100,000 rules screened at once, beside deciding each of them in Python."""
    view = a_view(random_market(700))
    watches = [_watch(number) for number in range(RULES)]
    laid_out = lay_out(watches)
    if laid_out.observed(view):
        raise AssertionError("this bench is about rules that do not change")
    return [
        Figure(
            what=f"one tick, {RULES:,} rules, none changing",
            measured=median_ms(lambda: laid_out.observed(view), 50),
            beside=_each_in_python(watches, view),
            beside_what="deciding each in Python",
            unit="ms",
            budget=5,
        )
    ]


def _watch(number: int) -> Watch:
    return Watch(
        id=number,
        channel=Channel(team="T1", id=f"C{number % 500}"),
        rule=parse_rule(TEXTS[number % len(TEXTS)]),
        state=RuleState(),
        created_by="U1",
        created_at=datetime(2026, 3, 2, tzinfo=UTC),
    )


def _each_in_python(watches: list[Watch], view: MarketView) -> float:
    spans = []
    for _ in range(3):
        began = time.perf_counter()
        for watch in watches:
            decide(watch.state, view.observe(watch.rule), watch.rule, view.now)
        spans.append(time.perf_counter() - began)
    return 1000 * median(spans)

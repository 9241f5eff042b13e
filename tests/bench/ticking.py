"""One tick with very many rules of which none, or one, has changed: without the network, the change with a database."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING

from services.domain.decide import RuleState, Side, decide
from services.domain.episode import Channel
from services.domain.prices import WGMI_BTC
from services.domain.rule import parse_rule
from services.ports import StateChange, Watch
from services.store import SqlStore
from services.watchlist import Watchlist, lay_out
from tests.bench.figure import Figure, median_ms
from tests.fakes.market import random_market
from tests.fakes.views import a_view

if TYPE_CHECKING:
    from services.market import MarketView

RULES = 100_000
CHANNELS = 500
TEXTS = ("1d 60pp", "5d 90pp", "20d 200pp", "60d 300pp above", "1d 70pp below", "252d 900pp", "5d residual 90pp")
AT = datetime(2026, 3, 2, tzinfo=UTC)
STATES = RuleState(), RuleState(breach=Side.ABOVE, breach_at=AT, breach_seen_at=AT)
RUNS = 50


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


async def bench_change() -> list[Figure]:
    """The rules of a tick after one of 100,000 has changed in the store, beside those of a tick after none has."""
    view = a_view(random_market(700))
    store = await SqlStore.open("sqlite://")
    rules = [parse_rule(f"1d {300 + number}pp") for number in range(RULES // CHANNELS)]
    for number in range(CHANNELS):
        await store.add_rules(Channel(team="T1", id=f"C{number}"), rules, "U1", AT)
    watchlist, spans = Watchlist(store), (list[float](), list[float]())
    last = (await watchlist.of(WGMI_BTC)).watches[-1].id
    for turn in range(RUNS):
        before, after = STATES[turn % 2], STATES[1 - turn % 2]
        await store.record([StateChange(rule_id=last, before=before, after=after)], [], AT)
        for kept in spans:  # first with the change, then without
            began = time.perf_counter()
            (await watchlist.of(WGMI_BTC)).observed(view)
            kept.append(1000 * (time.perf_counter() - began))
    await store.aclose()
    return [
        Figure(
            what=f"the rules of a tick, one of {RULES:,} changed",
            measured=median(spans[0]),
            beside=median(spans[1]),
            beside_what="none changed",
            unit="ms",
            budget=20,
        )
    ]


def _watch(number: int) -> Watch:
    return Watch(
        id=number,
        channel=Channel(team="T1", id=f"C{number % CHANNELS}"),
        rule=parse_rule(TEXTS[number % len(TEXTS)]),
        state=RuleState(),
        created_by="U1",
        created_at=AT,
    )


def _each_in_python(watches: list[Watch], view: MarketView) -> float:
    spans = []
    for _ in range(3):
        began = time.perf_counter()
        for watch in watches:
            decide(watch.state, view.observe(watch.rule), watch.rule, view.now)
        spans.append(time.perf_counter() - began)
    return 1000 * median(spans)

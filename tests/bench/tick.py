"""One tick with very many rules of which none, or one, has changed: without the network, the change with a database."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from statistics import median

from services.alerting.records import ChannelRule, StateChange
from services.alerting.rule_index import RuleIndex, build_index
from services.core.identity import Channel
from services.core.prices import WGMI_BTC
from services.rules.decide import RuleState, Side, decide
from services.rules.grammar import parse_rule
from services.rules.market_service import MarketView
from services.storage import SqlStore
from tests.bench.measurement import Measurement, median_ms
from tests.fakes.harness import OPEN, open_harness
from tests.fakes.market import random_market
from tests.fakes.views import a_view

RULES = 100_000
CHANNELS = 500
TEXTS = ("1d 60pp", "5d 90pp", "20d 200pp", "60d 300pp above", "1d 70pp below", "252d 900pp", "5d residual 90pp")
AT = datetime(2026, 3, 2, tzinfo=UTC)
STATES = RuleState(), RuleState(breach=Side.ABOVE, breach_at=AT, breach_seen_at=AT)
RUNS = 50
WHOLE = {1_000: (60, 60), 10_000: (60, 60), 100_000: (100, 200)}  # ms with none changing, and with 1%
IN_EVERY = 100
WHOLE_RUNS = 20


async def bench() -> list[Measurement]:
    """100,000 rules screened at once, beside deciding each of them in Python."""
    view = a_view(random_market(700))
    watches = [_watch(number) for number in range(RULES)]
    laid_out = build_index(watches)
    if laid_out.observe(view):
        raise AssertionError("this bench is about rules that do not change")
    return [
        Measurement(
            name=f"one tick, {RULES:,} rules, none changing",
            measured=median_ms(lambda: laid_out.observe(view), 50),
            baseline=_each_in_python(watches, view),
            baseline_name="deciding each in Python",
            unit="ms",
            budget=5,
        )
    ]


async def bench_change() -> list[Measurement]:
    """The rules of a tick after one of 100,000 has changed in the store, beside those of a tick after none has."""
    view = a_view(random_market(700))
    store = await SqlStore.open("sqlite://")
    rules = [parse_rule(f"1d {300 + number}pp") for number in range(RULES // CHANNELS)]
    for number in range(CHANNELS):
        await store.add_rules(Channel(team="T1", id=f"C{number}"), rules, "U1", AT)
    watchlist, spans = RuleIndex(store), (list[float](), list[float]())
    last = (await watchlist.for_pair(WGMI_BTC)).rules[-1].id
    for turn in range(RUNS):
        before, after = STATES[turn % 2], STATES[1 - turn % 2]
        await store.record([StateChange(rule_id=last, before=before, after=after)], [], AT)
        for kept in spans:  # first with the change, then without
            began = time.perf_counter()
            (await watchlist.for_pair(WGMI_BTC)).observe(view)
            kept.append(1000 * (time.perf_counter() - began))
    await store.aclose()
    return [
        Measurement(
            name=f"the rules of a tick, one of {RULES:,} changed",
            measured=median(spans[0]),
            baseline=median(spans[1]),
            baseline_name="none changed",
            unit="ms",
            budget=20,
        )
    ]


async def bench_whole() -> list[Measurement]:
    """A whole tick, prices, rules, decisions and their record, of which none or 1% changes; beside one of one rule."""
    alone, _ = await _whole_ms(1)
    measurements = []
    for rules, budget in WHOLE.items():
        still, moving = await _whole_ms(rules)
        measurements += [
            Measurement(name=what, measured=took, baseline=alone, baseline_name="of one rule", unit="ms", budget=limit)
            for what, took, limit in (
                (f"a whole tick of {rules:,} rules, none changing", still, budget[0]),
                (f"a whole tick of {rules:,} rules, 1% changing", moving, budget[1]),
            )
        ]
    return measurements


async def _whole_ms(rules: int) -> tuple[float, float]:
    """Time ticks in which nothing changes, and ticks in which one rule in 100 does; the medians."""
    async with open_harness() as harness:
        for start in range(0, rules, IN_EVERY):
            texts = [f"1d {60 + step}pp" for step in range(min(rules - start, IN_EVERY) - 1)]
            channel = Channel(team="T1", id=f"C{start}")
            await harness.store.add_rules(channel, [parse_rule(text) for text in (*texts, "1d 8pp for 4h")], "U1", OPEN)
        spans: tuple[list[float], list[float]] = ([], [])
        at = OPEN + timedelta(minutes=30)
        await harness.tick(at, 0.01)
        for _ in range(WHOLE_RUNS):
            for spread, kept in ((0.09, spans[1]), (0.07, spans[1]), (0.07, spans[0])):
                at += timedelta(minutes=1)
                began = time.perf_counter()
                await harness.tick(at, spread)
                kept.append(1000 * (time.perf_counter() - began))
        return median(spans[0]), median(spans[1])


def _watch(number: int) -> ChannelRule:
    return ChannelRule(
        id=number,
        channel=Channel(team="T1", id=f"C{number % CHANNELS}"),
        rule=parse_rule(TEXTS[number % len(TEXTS)]),
        state=RuleState(),
        created_by="U1",
        created_at=AT,
    )


def _each_in_python(watches: list[ChannelRule], view: MarketView) -> float:
    spans = []
    for _ in range(3):
        began = time.perf_counter()
        for watch in watches:
            decide(watch.state, view.observe(watch.rule), watch.rule, view.now)
        spans.append(time.perf_counter() - began)
    return 1000 * median(spans)

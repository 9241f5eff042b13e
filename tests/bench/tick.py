"""One tick with many rules, of which none or a few change, and its vendor calls."""

import asyncio
import gc
import time
from datetime import UTC, datetime, timedelta
from statistics import median

from services.alerting.ports import ChannelRule, StateChange
from services.alerting.rule_index import RuleIndex, build_index
from services.core.identity import Channel
from services.core.prices import WGMI_BTC
from services.rules.decide import RuleState, Side, decide
from services.rules.grammar import parse_rule
from services.rules.market_view import MarketView
from services.storage import SqlStore
from tests.bench.measurement import Measurement, median_ms
from tests.fakes.harness import OPEN, open_harness
from tests.fakes.market import a_view, random_market

RULES = 100_000
CHANNELS = 500
TEXTS = ("1d 60pp", "5d 90pp", "20d 200pp", "60d 300pp above", "1d 70pp below", "252d 900pp", "5d residual 90pp")
AT = datetime(2026, 3, 2, tzinfo=UTC)
STATES = RuleState(), RuleState(breach=Side.ABOVE, breach_at=AT, breach_seen_at=AT)
RUNS = 50
WHOLE = {1_000: (60, 60), 10_000: (60, 60), 100_000: (100, 200)}  # budgets in ms: no rule changes, and 1% change
IN_EVERY = 100
WHOLE_RUNS = 20
CALL_TICKS = 20
BURST = 5_000


async def bench() -> list[Measurement]:
    """Measure the prefilter over 100,000 rules, compared with deciding each rule in Python."""
    view = a_view(random_market(700))
    rules = [_rule(number) for number in range(RULES)]
    index = build_index(rules)
    if index.observe(view):
        raise AssertionError("a rule changed")
    return [
        Measurement(
            name=f"one tick, {RULES:,} rules, none changing",
            measured=median_ms(lambda: index.observe(view), 50),
            baseline=_each_in_python(rules, view),
            baseline_name="deciding each in Python",
            unit="ms",
            budget=5,
        )
    ]


async def bench_change() -> list[Measurement]:
    """Measure loading the rules after one of 100,000 changed in the store, compared with after no change."""
    view = a_view(random_market(700))
    store = await SqlStore.open("sqlite://")
    rules = [parse_rule(f"1d {300 + number}pp") for number in range(RULES // CHANNELS)]
    for number in range(CHANNELS):
        await store.add_rules(Channel(team="T1", id=f"C{number}"), rules, "U1", AT)
    rule_index, spans = RuleIndex(store), (list[float](), list[float]())
    last = (await rule_index.for_pair(WGMI_BTC)).rules[-1].id
    for turn in range(RUNS):
        before, after = STATES[turn % 2], STATES[1 - turn % 2]
        await store.record([StateChange(rule_id=last, before=before, after=after)], [], AT)
        for times in spans:  # first with the change, then without
            start = time.perf_counter()
            (await rule_index.for_pair(WGMI_BTC)).observe(view)
            times.append(1000 * (time.perf_counter() - start))
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
    """Measure whole ticks, from prices to the store, in which no rule or 1% changes; compared with one rule."""
    single, _ = await _whole_ms(1)
    measurements = []
    for rules, budget in WHOLE.items():
        unchanged, changed = await _whole_ms(rules)
        measurements += [
            Measurement(name=name, measured=ms, baseline=single, baseline_name="with one rule", unit="ms", budget=limit)
            for name, ms, limit in (
                (f"a whole tick of {rules:,} rules, none changing", unchanged, budget[0]),
                (f"a whole tick of {rules:,} rules, 1% changing", changed, budget[1]),
            )
        ]
    return measurements


async def _whole_ms(rules: int) -> tuple[float, float]:
    """Return the median times of ticks in which no rule changes, and in which one in 100 does."""
    async with open_harness() as harness:
        for start in range(0, rules, IN_EVERY):
            texts = [f"1d {60 + step}pp" for step in range(min(rules - start, IN_EVERY) - 1)]
            channel = Channel(team="T1", id=f"C{start}")
            await harness.store.add_rules(channel, [parse_rule(text) for text in (*texts, "1d 8pp for 4h")], "U1", OPEN)
        spans: tuple[list[float], list[float]] = ([], [])
        at = OPEN + timedelta(minutes=30)
        await harness.tick(at, 0.01)
        for _ in range(WHOLE_RUNS):
            for spread, recorded in ((0.09, spans[1]), (0.07, spans[1]), (0.07, spans[0])):
                at += timedelta(minutes=1)
                tick_start = time.perf_counter()
                await harness.tick(at, spread)
                recorded.append(1000 * (time.perf_counter() - tick_start))
        return median(spans[0]), median(spans[1])


async def bench_burst() -> list[Measurement]:
    """Measure a tick in which an alert opens in each of 5,000 channels, and the longest time that it blocks others."""
    async with open_harness() as harness:
        for number in range(BURST):
            channel = Channel(team=f"T{number}", id=f"C{number}")
            await harness.store.add_rules(channel, [parse_rule("1d 8pp for 0s")], "U1", OPEN)
        at, gaps = OPEN + timedelta(minutes=30), list[float]()
        await harness.tick(at, 0.01)
        gc.collect()
        gc.freeze()  # as the app does when it starts: what other benches left must not be collected during the tick
        beat = asyncio.create_task(_beat(gaps))
        start = time.perf_counter()
        await harness.tick(at + timedelta(minutes=1), 0.09)
        taken = time.perf_counter() - start
        beat.cancel()
        opened = len(await harness.store.open_alerts())
    if opened != BURST:
        raise AssertionError(f"{opened} alerts")
    each = 1000 * taken / BURST
    return [
        Measurement(name=name, measured=measured, baseline=each, baseline_name="an alert", unit="ms", budget=budget)
        for name, measured, budget in (
            (f"a tick in which {BURST:,} alerts open, each", each, 0.5),
            ("the longest time that it blocks other tasks", 1000 * max(gaps), 150),
        )
    ]


async def _beat(gaps: list[float]) -> None:
    """Record the time between two turns of the event loop, until cancelled."""
    last = time.perf_counter()
    while True:
        await asyncio.sleep(0)
        now = time.perf_counter()
        gaps.append(now - last)
        last = now


async def bench_vendor_calls() -> list[Measurement]:
    """Compare 200 channels with 5 rules each with one channel with one rule."""
    many, few = await _calls(channels=200, rules=5), await _calls(channels=1, rules=1)
    return [
        Measurement(
            name="vendor calls per tick, 1,000 rules in 200 channels",
            measured=many,
            baseline=few,
            baseline_name="with one rule",
            unit="calls",
            budget=1.0,
            budget_is_ratio=True,
        )
    ]


async def _calls(*, channels: int, rules: int) -> float:
    async with open_harness() as harness:
        for number in range(channels):
            texts = [f"1d {30 + step}pp" for step in range(rules)]
            channel = Channel(team="T1", id=f"C{number}")
            await harness.store.add_rules(channel, [parse_rule(text) for text in texts], "U1", OPEN)
        harness.vendors.requests.clear()
        for step in range(CALL_TICKS):
            await harness.tick(OPEN + timedelta(minutes=30 + step), 0.01)
        return len(harness.vendors.requests) / CALL_TICKS


def _rule(number: int) -> ChannelRule:
    return ChannelRule(
        id=number,
        channel=Channel(team="T1", id=f"C{number % CHANNELS}"),
        rule=parse_rule(TEXTS[number % len(TEXTS)]),
        state=RuleState(),
        created_by="U1",
        created_at=AT,
    )


def _each_in_python(rules: list[ChannelRule], view: MarketView) -> float:
    spans = []
    for _ in range(3):
        start = time.perf_counter()
        for rule in rules:
            decide(rule.state, view.observe(rule.rule), rule.rule, view.now)
        spans.append(time.perf_counter() - start)
    return 1000 * median(spans)

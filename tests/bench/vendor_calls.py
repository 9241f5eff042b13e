"""Vendor calls per tick, with one rule and with many."""

from datetime import timedelta

from services.core.identity import Channel
from services.rules.grammar import parse_rule
from tests.bench.measurement import Measurement
from tests.fakes.harness import OPEN, open_harness

TICKS = 20


async def bench() -> list[Measurement]:
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
        for step in range(TICKS):
            await harness.tick(OPEN + timedelta(minutes=30 + step), 0.01)
        return len(harness.vendors.requests) / TICKS

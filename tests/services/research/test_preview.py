from collections.abc import AsyncIterator
from datetime import date

import httpx
import pytest

from services.core.errors import NoHistoryError, RuleError
from services.core.reason import Code
from tests.fakes.harness import Harness, open_harness
from tests.fakes.reasons import reason


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with open_harness() as harness:
        yield harness


async def test_a_preview_replays_the_last_two_years_of_closes(harness: Harness) -> None:
    low, high = await harness.commands.preview("1d 1pp"), await harness.commands.preview("1d 50pp")

    assert (date(2024, 3, 4), date(2026, 3, 3)) == (low.since, low.until)
    assert low.firings > 100
    assert low.last_firing is not None
    assert abs(low.last_firing.value) >= 0.01
    assert (0, None) == (high.firings, high.last_firing)


async def test_an_impossible_preview_has_a_reason(harness: Harness) -> None:
    gap, unknown = (
        await harness.commands.preview("gap 5%"),
        await harness.commands.preview("1d 8pp on MARA/BTC"),
    )

    assert (None, None) == (gap.since, unknown.since)
    assert reason(Code.GAP_HAS_NO_PAST, metric="gap") == gap.reason
    assert reason(Code.PRICES_NOT_FETCHED, pair="MARA/BTC") == unknown.reason


async def test_a_preview_sends_no_request_for_prices_in_memory(harness: Harness) -> None:
    asked = len(harness.vendors.requests)
    await harness.commands.preview("1d 8pp")

    assert asked == len(harness.vendors.requests)


async def test_an_invalid_rule_raises(harness: Harness) -> None:
    with pytest.raises(RuleError):
        await harness.commands.preview("1d 8")


async def test_a_preview_without_prices_raises() -> None:
    async with open_harness(warm=False) as harness:
        harness.vendors.faults["yahoo"] = [httpx.Response(404, json={}) for _ in range(5)]
        with pytest.raises(NoHistoryError):
            await harness.commands.preview("1d 8pp")

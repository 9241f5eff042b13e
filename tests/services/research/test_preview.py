from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date

import httpx
import pytest

from services.core.errors import NoHistoryError, RuleError
from tests.fakes.floor import Floor, trading_floor


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    async with trading_floor() as floor:
        yield floor


async def test_a_rule_is_tried_on_the_last_two_years_of_closes(floor: Floor) -> None:
    low, high = await floor.desk.trial("1d 1pp"), await floor.desk.trial("1d 50pp")

    assert (date(2024, 3, 4), date(2026, 3, 3)) == (low.since, low.until)
    assert low.fired > 100
    assert low.last is not None
    assert abs(low.last.value) >= 0.01
    assert (0, None) == (high.fired, high.last)


async def test_what_history_cannot_tell_says_why(floor: Floor) -> None:
    gap, unknown = await floor.desk.trial("gap 5%"), await floor.desk.trial("1d 8pp on MARA/BTC")

    assert (None, None) == (gap.since, unknown.since)
    assert gap.reason.startswith("a gap is there only while New York is shut")
    assert "the prices of MARA/BTC are fetched once the rule is added" == unknown.reason


async def test_a_trial_asks_no_vendor_for_what_is_in_memory(floor: Floor) -> None:
    asked = len(floor.vendors.requests)
    await floor.desk.trial("1d 8pp")

    assert asked == len(floor.vendors.requests)


async def test_what_is_no_rule_is_not_tried(floor: Floor) -> None:
    with pytest.raises(RuleError):
        await floor.desk.trial("1d 8")


async def test_without_any_prices_nothing_can_be_tried() -> None:
    async with trading_floor(warm=False) as floor:
        floor.vendors.faults["yahoo"] = [httpx.Response(404, json={}) for _ in range(5)]
        with pytest.raises(NoHistoryError):
            await floor.desk.trial("1d 8pp")

"""A session of the calendar on which New York is shut: Wednesday 4 March 2026, as the vendors know nothing of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest

from services.core.prices import WGMI_BTC
from services.market.measure import Measurement, NotMeasured, Window
from services.rules.decide import RuleStatus
from services.rules.grammar import parse_rule
from services.rules.market_service import MarketView
from tests.fakes.harness import CHANNEL, CLOSE, OPEN, TODAY, Harness, open_harness

WHY = "no WGMI trade from any source: New York may have been shut"
EVENING = CLOSE + timedelta(hours=1)
TOMORROW = OPEN + timedelta(days=1, minutes=30)
NEXT_CLOSE = CLOSE + timedelta(days=1)


@pytest.fixture(params=[pytest.param(False, id="one source"), pytest.param(True, id="two sources")])
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    async with open_harness(two_sources=request.param) as harness:
        harness.vendors.no_trade_sessions = {TODAY}
        yield harness


@pytest.fixture
async def witnessed() -> AsyncIterator[Harness]:
    async with open_harness(two_sources=True) as harness:
        harness.vendors.no_trade_sessions = {TODAY}
        yield harness


async def look(harness: Harness, at: datetime) -> MarketView:
    harness.clock.at = at
    return await harness.market.view(WGMI_BTC, at)


def why(view: MarketView, window: Window) -> str:
    measured = view.current.measurements[window]
    assert isinstance(measured, NotMeasured)
    return measured.reason


async def test_after_its_close_it_is_told_that_new_york_may_have_been_shut(harness: Harness) -> None:
    view = await look(harness, EVENING)

    assert {f"2026-03-04: {WHY}"} == {why(view, window) for window in Window}
    assert [(TODAY, WHY)] == [(out.session, out.reason) for out in view.left_out]
    assert (None, WHY, ()) == (view.live, view.live_reason, view.problems)


async def test_it_is_told_from_the_very_close_on(harness: Harness) -> None:
    assert f"2026-03-04: {WHY}" == why(await look(harness, CLOSE), Window.D1)


@pytest.mark.parametrize("rule", ["1d 8pp at close", "5d 8pp", "drawdown 60%", "gap 5%"])
async def test_rules_wait_over_its_close_as_on_a_holiday(harness: Harness, rule: str) -> None:
    for at in (CLOSE, EVENING, TOMORROW - timedelta(hours=1)):
        seen = (await look(harness, at)).observe(parse_rule(rule))

        assert (None, True, f"2026-03-04: {WHY}") == (seen.value, seen.awaiting_trade, seen.reason)


async def test_an_alert_that_was_open_stays_as_it_was(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "5d 0.1pp at close", "U1")
    await harness.tick(OPEN - timedelta(minutes=5))
    before = await harness.open_alerts()

    changed = [await harness.tick(at) for at in (CLOSE, EVENING, TOMORROW - timedelta(hours=1))]
    (watch,) = await harness.commands.rules(CHANNEL)

    assert [0, 0, 0] == changed
    assert 1 == len(before)
    assert before == await harness.open_alerts()
    assert RuleStatus.FIRING is watch.state.status(TOMORROW - timedelta(hours=1))


async def test_while_it_lasts_live_rules_have_no_data(harness: Harness) -> None:
    seen = (await look(harness, OPEN + timedelta(hours=3))).observe(parse_rule("1d 8pp"))

    assert (None, False) == (seen.value, seen.awaiting_trade)
    assert "no WGMI trade yet in the session of 2026-03-04" == seen.reason


async def test_the_gap_on_the_board_goes_on_from_the_close_before_it(harness: Harness) -> None:
    harness.vendors.crypto_moves[OPEN] = 53_000.0

    gap = (await look(harness, EVENING)).gap

    assert gap is not None
    assert CLOSE - timedelta(days=1) == gap.since
    assert 0.06 == pytest.approx(gap.move)


async def test_the_next_session_goes_on_and_windows_from_that_one_say_why(witnessed: Harness) -> None:
    witnessed.vendors.etf_last = (20.2, TOMORROW)

    view = await look(witnessed, TOMORROW)

    assert view.live is not None
    assert f"2026-03-04: {WHY}" == why(view, Window.D1)
    assert isinstance(view.current.measurements[Window.D5], Measurement)
    assert (None, False) == (
        view.observe(parse_rule("1d 8pp")).value,
        view.observe(parse_rule("1d 8pp")).awaiting_trade,
    )
    assert view.observe(parse_rule("1d 8pp at close")).awaiting_trade
    assert view.observe(parse_rule("5d 8pp")).value is not None


async def test_after_the_next_close_every_other_window_is_measured_again(witnessed: Harness) -> None:
    view = await look(witnessed, NEXT_CLOSE + timedelta(minutes=16))

    assert f"2026-03-04: {WHY}" == why(view, Window.D1)
    assert {Window.D1} == {window for window, one in view.close.measurements.items() if isinstance(one, NotMeasured)}
    assert not view.observe(parse_rule("5d 8pp at close")).awaiting_trade


async def test_a_hole_at_the_only_source_is_told_as_its_own_once_it_trades_again() -> None:
    async with open_harness() as harness:
        harness.vendors.no_trade_sessions = {TODAY}
        view = await look(harness, NEXT_CLOSE + timedelta(minutes=16))

    assert "2026-03-04: Yahoo has no WGMI close for this session" == why(view, Window.D1)


async def test_a_second_session_in_a_row_without_a_trade_is_no_data(harness: Harness) -> None:
    harness.vendors.no_trade_sessions |= {TOMORROW.date()}

    seen = (await look(harness, NEXT_CLOSE + timedelta(hours=1))).observe(parse_rule("1d 8pp at close"))

    assert (None, False, f"2026-03-05: {WHY}") == (seen.value, seen.awaiting_trade, seen.reason)


async def test_a_source_that_fails_does_not_tell_of_a_shut_new_york(witnessed: Harness) -> None:
    await look(witnessed, OPEN + timedelta(hours=1))
    witnessed.vendors.faults["nasdaq"] = [httpx.Response(404)] * 9

    view = await look(witnessed, EVENING)

    assert "no WGMI close for this session" in why(view, Window.D1)
    assert not view.observe(parse_rule("1d 8pp at close")).awaiting_trade


async def test_a_close_that_comes_after_all_takes_its_place(witnessed: Harness) -> None:
    assert f"2026-03-04: {WHY}" == why(await look(witnessed, EVENING), Window.D1)

    witnessed.vendors.no_trade_sessions.clear()
    view = await look(witnessed, EVENING + timedelta(minutes=20))

    assert isinstance(view.close.measurements[Window.D1], Measurement)

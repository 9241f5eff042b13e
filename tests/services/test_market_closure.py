"""A calendar session on which New York is closed: Wednesday 4 March 2026, unknown to the vendors."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest

from handlers.render.reasons import sentence
from services.core.prices import WGMI_BTC
from services.market.measure import Measurement, NotMeasured, Window
from services.rules.decide import RuleStatus
from services.rules.grammar import parse_rule
from services.rules.market_view import MarketView
from tests.fakes.harness import CHANNEL, CLOSE, OPEN, TODAY, Harness, open_harness

WHY = "no WGMI trade from any source; the exchange may have been closed"
EVENING = CLOSE + timedelta(hours=1)
TOMORROW = OPEN + timedelta(days=1, minutes=30)
NEXT_CLOSE = CLOSE + timedelta(days=1)


@pytest.fixture(params=[pytest.param(False, id="one source"), pytest.param(True, id="two sources")])
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    async with open_harness(two_sources=request.param) as harness:
        harness.vendors.no_trade_sessions = {TODAY}
        yield harness


@pytest.fixture
async def two_source_harness() -> AsyncIterator[Harness]:
    async with open_harness(two_sources=True) as harness:
        harness.vendors.no_trade_sessions = {TODAY}
        yield harness


async def read_view(harness: Harness, at: datetime) -> MarketView:
    harness.clock.at = at
    return await harness.market.view(WGMI_BTC, at)


def missing_reason(view: MarketView, window: Window) -> str:
    measured = view.current.measurements[window]
    assert isinstance(measured, NotMeasured)
    return sentence(measured.reason)


async def test_after_its_close_the_reason_is_that_new_york_may_have_been_closed(harness: Harness) -> None:
    view = await read_view(harness, EVENING)

    assert {f"on Mar 4, 2026, {WHY}"} == {missing_reason(view, window) for window in Window}
    assert [(TODAY, WHY)] == [(out.session, sentence(out.reason)) for out in view.left_out]
    assert (None, WHY, ()) == (view.live, sentence(view.live_reason), view.problems)


async def test_the_reason_is_shown_from_the_close_on(harness: Harness) -> None:
    assert f"on Mar 4, 2026, {WHY}" == missing_reason(await read_view(harness, CLOSE), Window.D1)


@pytest.mark.parametrize("rule", ["1d 8pp at close", "5d 8pp", "drawdown 60%", "gap 5%"])
async def test_rules_skip_its_close_as_on_a_holiday(harness: Harness, rule: str) -> None:
    for at in (CLOSE, EVENING, TOMORROW - timedelta(hours=1)):
        seen = (await read_view(harness, at)).observe(parse_rule(rule))

        assert (None, True, f"on Mar 4, 2026, {WHY}") == (seen.value, seen.awaiting_trade, sentence(seen.reason))


async def test_an_open_alert_does_not_change(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "5d 0.1pp at close", "U1")
    await harness.tick(OPEN - timedelta(minutes=5))
    before = await harness.open_alerts()

    changed = [await harness.tick(at) for at in (CLOSE, EVENING, TOMORROW - timedelta(hours=1))]
    (watch,) = await harness.commands.rules(CHANNEL)

    assert [0, 0, 0] == changed
    assert 1 == len(before)
    assert before == await harness.open_alerts()
    assert RuleStatus.FIRING is watch.state.status(TOMORROW - timedelta(hours=1))


async def test_during_the_session_live_rules_have_no_data(harness: Harness) -> None:
    seen = (await read_view(harness, OPEN + timedelta(hours=3))).observe(parse_rule("1d 8pp"))

    assert (None, False) == (seen.value, seen.awaiting_trade)
    assert "no WGMI trade yet in the session of Mar 4, 2026" == sentence(seen.reason)


async def test_the_gap_on_the_board_continues_from_the_previous_close(harness: Harness) -> None:
    harness.vendors.crypto_moves[OPEN] = 53_000.0

    gap = (await read_view(harness, EVENING)).gap

    assert gap is not None
    assert CLOSE - timedelta(days=1) == gap.since
    assert 0.06 == pytest.approx(gap.move)


async def test_the_next_session_is_measured_except_from_the_missing_close(two_source_harness: Harness) -> None:
    two_source_harness.vendors.etf_last = (20.2, TOMORROW)

    view = await read_view(two_source_harness, TOMORROW)

    assert view.live is not None
    assert f"on Mar 4, 2026, {WHY}" == missing_reason(view, Window.D1)
    assert isinstance(view.current.measurements[Window.D5], Measurement)
    assert (None, False) == (
        view.observe(parse_rule("1d 8pp")).value,
        view.observe(parse_rule("1d 8pp")).awaiting_trade,
    )
    assert view.observe(parse_rule("1d 8pp at close")).awaiting_trade
    assert view.observe(parse_rule("5d 8pp")).value is not None


async def test_after_the_next_close_every_other_window_is_measured_again(two_source_harness: Harness) -> None:
    view = await read_view(two_source_harness, NEXT_CLOSE + timedelta(minutes=16))

    assert f"on Mar 4, 2026, {WHY}" == missing_reason(view, Window.D1)
    assert {Window.D1} == {window for window, one in view.close.measurements.items() if isinstance(one, NotMeasured)}
    assert not view.observe(parse_rule("5d 8pp at close")).awaiting_trade


async def test_a_gap_at_the_only_source_is_attributed_to_it_when_it_trades_again() -> None:
    async with open_harness() as harness:
        harness.vendors.no_trade_sessions = {TODAY}
        view = await read_view(harness, NEXT_CLOSE + timedelta(minutes=16))

    assert "on Mar 4, 2026, Yahoo has no WGMI close for this session" == missing_reason(view, Window.D1)


async def test_a_second_session_in_a_row_without_a_trade_is_no_data(harness: Harness) -> None:
    harness.vendors.no_trade_sessions |= {TOMORROW.date()}

    seen = (await read_view(harness, NEXT_CLOSE + timedelta(hours=1))).observe(parse_rule("1d 8pp at close"))

    assert (None, False, f"on Mar 5, 2026, {WHY}") == (seen.value, seen.awaiting_trade, sentence(seen.reason))


async def test_a_failing_source_does_not_suggest_a_market_closure(two_source_harness: Harness) -> None:
    await read_view(two_source_harness, OPEN + timedelta(hours=1))
    two_source_harness.vendors.faults["nasdaq"] = [httpx.Response(404)] * 9

    view = await read_view(two_source_harness, EVENING)

    assert "no WGMI close for this session" in missing_reason(view, Window.D1)
    assert not view.observe(parse_rule("1d 8pp at close")).awaiting_trade


async def test_a_close_that_arrives_late_is_used(two_source_harness: Harness) -> None:
    assert f"on Mar 4, 2026, {WHY}" == missing_reason(await read_view(two_source_harness, EVENING), Window.D1)

    two_source_harness.vendors.no_trade_sessions.clear()
    view = await read_view(two_source_harness, EVENING + timedelta(minutes=20))

    assert isinstance(view.close.measurements[Window.D1], Measurement)

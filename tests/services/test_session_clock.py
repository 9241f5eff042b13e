"""The market through the calendar: weekends, holidays, half-days, clock changes, the year's end, a listing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest

from services.core.prices import WGMI_BTC
from services.market.measure import Measurement, NotMeasured, Window
from services.rules.decide import Status
from services.rules.grammar import parse_rule
from services.rules.market_service import MarketView
from tests.fakes.clock import SetClock
from tests.fakes.floor import DESK, Floor, trading_floor

HOUR = timedelta(hours=1)
SETTLED = timedelta(minutes=16)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    async with trading_floor(clock=SetClock(at("2025-06-02 15:00")), warm=False) as floor:
        floor.vendors.etf_moves.clear()
        floor.vendors.crypto_moves.clear()
        yield floor


async def look(floor: Floor, now: datetime) -> MarketView:
    floor.clock.at = now
    return await floor.market.view(WGMI_BTC, now)


def measured(view: MarketView, window: Window) -> Measurement:
    one = view.current.measurements[window]
    assert isinstance(one, Measurement)
    return one


@pytest.mark.parametrize(
    ("closed", "opens"),
    [
        pytest.param("2026-02-27 21:00", "2026-03-02 14:30", id="a weekend"),
        pytest.param("2026-03-06 21:00", "2026-03-09 13:30", id="a weekend in which summer time begins"),
        pytest.param("2026-10-30 20:00", "2026-11-02 14:30", id="a weekend in which summer time ends"),
        pytest.param("2025-11-26 21:00", "2025-11-28 14:30", id="Thanksgiving"),
        pytest.param("2025-11-28 18:00", "2025-12-01 14:30", id="the weekend after the half-day"),
        pytest.param("2026-04-02 20:00", "2026-04-06 13:30", id="Easter, three days long"),
    ],
)
async def test_while_the_etf_is_shut_nothing_is_live_and_the_gap_goes_on(floor: Floor, closed: str, opens: str) -> None:
    now, end = at(closed), at(opens)
    spreads, rules = set(), [parse_rule(text) for text in ("1d 8pp", "5d z3", "1d 8pp at close")]
    while now < end:
        view = await look(floor, now)
        spreads.add(measured(view, Window.D1).spread)
        assert (False, None, end) == (view.market.is_open, view.live, view.market.next_open_at)
        assert {at(closed)} == {view.observe(rule).at for rule in rules}
        assert view.gap is not None
        assert (at(closed), now) == (view.gap.since, view.gap.at)
        move = floor.vendors.crypto_at(now) / floor.vendors.crypto_at(at(closed)) - 1
        assert move == pytest.approx(view.gap.move, abs=1e-6)  # the ticker has cents
        assert view.gap.low is not None
        assert view.gap.implied is not None
        assert view.gap.high is not None
        assert view.gap.low < view.gap.implied < view.gap.high
        now += HOUR

    assert 1 == len(spreads)
    floor.vendors.etf_last = (20.1, end + timedelta(minutes=1))
    opened = await look(floor, end + timedelta(minutes=1))
    assert (None, True) == (opened.gap, opened.live is not None and opened.live.live)


async def test_a_half_day_is_live_until_one_in_new_york_and_its_close_is_decided_then(floor: Floor) -> None:
    """The day after Thanksgiving 2025: WGMI gains 10% at its close, 13:00 in New York."""
    close = at("2025-11-28 18:00")
    floor.vendors.etf_moves = {date(2025, 11, 26): 20.0, date(2025, 11, 28): 22.0}
    floor.vendors.crypto_moves = {at("2025-11-26 12:00"): 50_000.0}
    await floor.desk.add_rule(DESK, "1d 8pp at close", "U1")
    floor.vendors.etf_last = (22.0, close - timedelta(minutes=1))

    before = await look(floor, close - timedelta(minutes=1))
    early = await floor.tick(close - timedelta(minutes=1))
    floor.vendors.etf_last = None  # the last trade is that of the close
    decided = await floor.tick(close)
    (watch,) = await floor.desk.rules(DESK)
    (alert,) = await floor.open_alerts()

    assert before.live is not None
    assert (True, close) == (before.market.half_day, before.market.closes_at)
    assert (0, 1, Status.FIRING) == (early, decided, watch.state.status(close))
    assert (close, close) == (alert.opened_at, alert.as_of)
    assert 0.10 == pytest.approx(alert.lead.value)


@pytest.mark.parametrize(
    ("before", "close"),
    [
        pytest.param("2026-03-06 21:00", "2026-03-09 20:00", id="first summer session"),
        pytest.param("2026-10-30 20:00", "2026-11-02 21:00", id="first winter session"),
        pytest.param("2025-11-26 21:00", "2025-11-28 18:00", id="half-day"),
        pytest.param("2025-11-28 18:00", "2025-12-01 21:00", id="the session after a half-day"),
    ],
)
async def test_one_day_runs_from_close_to_close_in_new_york(floor: Floor, before: str, close: str) -> None:
    """Bitcoin has its price for one hour around each close, and another an hour earlier and later."""
    start, end = at(before), at(close)
    floor.vendors.crypto_moves = {
        start - 2 * HOUR: 10_000.0,
        start - HOUR / 2: 50_000.0,
        start + HOUR / 2: 20_000.0,
        end - HOUR / 2: 55_000.0,
        end + HOUR / 2: 30_000.0,
    }

    day = measured(await look(floor, end + 2 * HOUR), Window.D1)

    assert (start.date(), end) == (day.anchor, day.as_of)
    assert 0.10 == pytest.approx(day.crypto_return)


@pytest.mark.parametrize(
    ("now", "live"),
    [
        pytest.param("2026-01-02 15:30", True, id="in the first session"),
        pytest.param("2026-01-02 21:16", False, id="at the close of the first session"),
        pytest.param("2026-12-31 21:16", False, id="at the close of the last session"),
        pytest.param("2027-01-01 12:00", False, id="on New Year's Day the year that ended still stands"),
    ],
)
async def test_the_year_begins_at_the_last_close_of_the_one_before(floor: Floor, now: str, live: bool) -> None:
    floor.vendors.etf_moves = {date(2025, 12, 31): 20.0, date(2026, 1, 2): 22.0, date(2026, 12, 31): 22.0}
    if live:
        floor.vendors.etf_last = (22.0, at(now))

    year = measured(await look(floor, at(now)), Window.YTD)

    assert (date(2025, 12, 31), live) == (year.anchor, year.live)
    assert 0.10 == pytest.approx(year.etf_return)


async def test_an_etf_that_was_listed_lately_says_when_its_history_begins(floor: Floor) -> None:
    floor.vendors.etf_begins = date(2026, 3, 2)

    first = await look(floor, at("2026-03-02 21:16"))
    third = await look(floor, at("2026-03-04 21:16"))

    def why(view: MarketView, window: Window) -> str:
        one = view.current.measurements[window]
        assert isinstance(one, NotMeasured)
        return one.reason

    assert "the history begins on 2026-03-02, less than 1d ago" == why(first, Window.D1)
    assert date(2026, 3, 3) == measured(third, Window.D1).anchor
    assert "the history begins on 2026-03-02, less than 5d ago" == why(third, Window.D5)
    assert "the history begins on 2026-03-02, after the last close of the prior year" == why(third, Window.YTD)
    assert third.gap is not None
    assert third.gap.implied is None


async def test_a_process_that_runs_over_new_year_goes_on(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    floor.vendors.etf_last = (20.1, at("2026-12-31 16:00"))
    await floor.tick(at("2026-12-31 16:00"))
    shut = await look(floor, at("2027-01-01 00:00"))
    floor.vendors.etf_moves = {date(2026, 12, 31): 20.0}
    floor.vendors.crypto_moves = {at("2026-12-31 12:00"): 50_000.0}
    floor.vendors.etf_last = (22.0, at("2027-01-04 15:00"))

    assert at("2027-01-04 14:30") == shut.market.next_open_at
    assert 1 == await floor.tick(at("2027-01-04 15:00"))
    view = await look(floor, at("2027-01-04 15:00"))
    assert view.live is not None
    assert {date(2026, 12, 31)} == {measured(view, window).anchor for window in (Window.D1, Window.YTD)}

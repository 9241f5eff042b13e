"""The market across the calendar: weekends, holidays, half-days, clock changes, the turn of the year, a new listing."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest

from handlers.render.reasons import sentence
from services.core.prices import WGMI_BTC
from services.market.measure import Measurement, NotMeasured, Window
from services.rules.decide import RuleStatus
from services.rules.grammar import parse_rule
from services.rules.market_view import MarketView
from tests.fakes.clock import SetClock
from tests.fakes.harness import CHANNEL, Harness, open_harness

HOUR = timedelta(hours=1)
SETTLED = timedelta(minutes=16)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with open_harness(clock=SetClock(at("2025-06-02 15:00")), warm=False) as harness:
        harness.vendors.etf_moves.clear()
        harness.vendors.crypto_moves.clear()
        harness.vendors.crypto_since = at("2024-09-01 00:00")
        yield harness


async def read_view(harness: Harness, now: datetime) -> MarketView:
    harness.clock.at = now
    return await harness.market.view(WGMI_BTC, now)


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
async def test_while_the_etf_is_closed_nothing_is_live_and_the_gap_continues(
    harness: Harness, closed: str, opens: str
) -> None:
    now, end = at(closed), at(opens)
    spreads, rules = set(), [parse_rule(text) for text in ("1d 8pp", "5d z3", "1d 8pp at close")]
    while now < end:
        view = await read_view(harness, now)
        spreads.add(measured(view, Window.D1).spread)
        assert (False, None, end) == (view.market.is_open, view.live, view.market.next_open_at)
        assert {at(closed)} == {view.observe(rule).at for rule in rules}
        assert view.gap is not None
        assert (at(closed), now) == (view.gap.since, view.gap.at)
        move = harness.vendors.crypto_at(now) / harness.vendors.crypto_at(at(closed)) - 1
        assert move == pytest.approx(view.gap.move, abs=1e-6)  # the ticker is rounded to cents
        assert view.gap.low is not None
        assert view.gap.implied is not None
        assert view.gap.high is not None
        assert view.gap.low < view.gap.implied < view.gap.high
        now += 3 * HOUR

    assert 1 == len(spreads)
    harness.vendors.etf_last = (20.1, end + timedelta(minutes=1))
    opened = await read_view(harness, end + timedelta(minutes=1))
    assert (None, True) == (opened.gap, opened.live is not None and opened.live.live)


async def test_a_half_day_is_live_until_1300_and_decided_at_its_close(harness: Harness) -> None:
    """The day after Thanksgiving 2025: WGMI gains 10% at its close, 13:00 in New York."""
    close = at("2025-11-28 18:00")
    harness.vendors.etf_moves = {date(2025, 11, 26): 20.0, date(2025, 11, 28): 22.0}
    harness.vendors.crypto_moves = {at("2025-11-26 12:00"): 50_000.0}
    await harness.commands.add_rule(CHANNEL, "1d 8pp at close", "U1")
    harness.vendors.etf_last = (22.0, close - timedelta(minutes=1))

    before = await read_view(harness, close - timedelta(minutes=1))
    early = await harness.tick(close - timedelta(minutes=1))
    harness.vendors.etf_last = None  # the last trade is the close
    decided = await harness.tick(close)
    (watch,) = await harness.commands.rules(CHANNEL)
    (alert,) = await harness.open_alerts()

    assert before.live is not None
    assert (True, close) == (before.market.half_day, before.market.closes_at)
    assert (0, 1, RuleStatus.FIRING) == (early, decided, watch.state.status(close))
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
async def test_one_day_runs_from_close_to_close_in_new_york(harness: Harness, before: str, close: str) -> None:
    """Bitcoin has one price for the hour around each close, and other prices an hour earlier and later."""
    start, end = at(before), at(close)
    harness.vendors.crypto_moves = {
        start - 2 * HOUR: 10_000.0,
        start - HOUR / 2: 50_000.0,
        start + HOUR / 2: 20_000.0,
        end - HOUR / 2: 55_000.0,
        end + HOUR / 2: 30_000.0,
    }

    day = measured(await read_view(harness, end + 2 * HOUR), Window.D1)

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
async def test_year_to_date_starts_at_the_last_close_of_the_previous_year(
    harness: Harness, now: str, live: bool
) -> None:
    harness.vendors.etf_moves = {date(2025, 12, 31): 20.0, date(2026, 1, 2): 22.0, date(2026, 12, 31): 22.0}
    if live:
        harness.vendors.etf_last = (22.0, at(now))

    year = measured(await read_view(harness, at(now)), Window.YTD)

    assert (date(2025, 12, 31), live) == (year.anchor, year.live)
    assert 0.10 == pytest.approx(year.etf_return)


async def test_the_reasons_for_a_new_etf_say_when_its_history_starts(harness: Harness) -> None:
    harness.vendors.etf_since = date(2026, 3, 2)

    first = await read_view(harness, at("2026-03-02 21:16"))
    third = await read_view(harness, at("2026-03-04 21:16"))

    def missing_reason(view: MarketView, window: Window) -> str:
        one = view.current.measurements[window]
        assert isinstance(one, NotMeasured)
        return sentence(one.reason)

    assert "history starts on Mar 2, 2026, after the start of the 1-session window" == missing_reason(first, Window.D1)
    assert date(2026, 3, 3) == measured(third, Window.D1).anchor
    assert "history starts on Mar 2, 2026, after the start of the 5-session window" == missing_reason(third, Window.D5)
    assert "history starts on Mar 2, 2026, after the last close of the prior year" == missing_reason(third, Window.YTD)
    assert third.gap is not None
    assert third.gap.implied is None


async def test_a_process_keeps_running_across_new_year(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    harness.vendors.etf_last = (20.1, at("2026-12-31 16:00"))
    await harness.tick(at("2026-12-31 16:00"))
    shut = await read_view(harness, at("2027-01-01 00:00"))
    harness.vendors.etf_moves = {date(2026, 12, 31): 20.0}
    harness.vendors.crypto_moves = {at("2026-12-31 12:00"): 50_000.0}
    harness.vendors.etf_last = (22.0, at("2027-01-04 15:00"))

    assert at("2027-01-04 14:30") == shut.market.next_open_at
    assert 1 == await harness.tick(at("2027-01-04 15:00"))
    view = await read_view(harness, at("2027-01-04 15:00"))
    assert view.live is not None
    assert {date(2026, 12, 31)} == {measured(view, window).anchor for window in (Window.D1, Window.YTD)}

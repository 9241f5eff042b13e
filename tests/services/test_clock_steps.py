"""Steps of the wall clock: ticks, open alerts, messages and vendors' limits continue after each correction."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from services.alerting.monitor import Monitor
from services.core.clock import SteadyClock
from services.core.prices import WGMI_BTC
from services.rules.decide import Observation, RuleState, RuleStatus, Side, decide
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from services.storage.ticks import CLOCK_TOLERANCE, LEASE
from tests.fakes.alerts import AT, CHANNEL
from tests.fakes.clock import SetClock
from tests.fakes.harness import CHANNEL as DESK
from tests.fakes.harness import OPEN, Harness, open_harness
from tests.services.storage.conftest import (  # noqa: F401 -- fixtures
    Start,
    migrated_url,
    post_alert,
    start,
    store,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BEGIN = OPEN + HOUR
FAR = 0.10


async def tick(harness: Harness, monitor: Monitor, true_at: datetime, step: timedelta, spread: float) -> int | None:
    """Run a tick while the clock is off by `step`; the trade has its true time."""
    harness.clock.at = true_at + step
    harness.vendors.etf_last = (20.0 * (1 + spread), true_at)
    return await monitor.tick(harness.clock.at)


@pytest.mark.parametrize("restarts", [False, True], ids=["same process", "restarted after the correction"])
@pytest.mark.parametrize(
    ("step", "lasts"),
    [
        pytest.param(HOUR, timedelta(seconds=40), id="+1 h for 40 s"),
        pytest.param(-15 * MINUTE, timedelta(seconds=20), id="-15 min for 20 s"),
        pytest.param(DAY, 2 * MINUTE, id="+1 day"),
        pytest.param(15 * MINUTE, 30 * MINUTE, id="+15 min for longer than that"),
    ],
)
async def test_an_alert_resolves_within_two_intervals_of_a_clock_correction(
    migrated_url: str,  # noqa: F811 -- the fixture
    step: timedelta,
    lasts: timedelta,
    restarts: bool,
) -> None:
    async with open_harness(migrated_url, warm=False) as harness:
        harness.vendors.etf_since, harness.vendors.crypto_since = date(2026, 2, 2), BEGIN - 30 * DAY
        await harness.commands.add_rule(DESK, "1d 8pp for 0s", "U1")
        await tick(harness, harness.monitor, BEGIN, timedelta(0), FAR)
        for elapsed in range(0, int(lasts.total_seconds()), 20):
            await tick(harness, harness.monitor, BEGIN + timedelta(seconds=elapsed), step, FAR)
        monitor = replace(harness.monitor, _last_tick_at=None) if restarts else harness.monitor
        corrected_at = BEGIN + lasts
        before = await harness.open_alerts()
        ticks = [await tick(harness, monitor, corrected_at + number * MINUTE, timedelta(0), 0.0) for number in range(3)]
        after = await harness.open_alerts()
        (closed,) = await harness.commands.history(DESK)
        waiting = await harness.store.due(harness.clock.at + LEASE)

    assert (1, 0) == (len(before), len(after))
    assert 1 in ticks
    assert closed.closed_at is not None
    assert corrected_at <= closed.closed_at <= corrected_at + 2 * MINUTE
    assert waiting


async def test_a_trade_dated_ahead_does_not_hide_later_ones() -> None:
    async with open_harness() as harness:
        for ahead in (HOUR, DAY):
            await tick(harness, harness.monitor, BEGIN, timedelta(0), FAR)
            harness.clock.at, harness.vendors.etf_last = (
                BEGIN + ahead,
                (22.0, BEGIN + ahead),
            )  # as if dated by our clock
            await harness.monitor.tick(harness.clock.at)

            await tick(harness, harness.monitor, BEGIN + MINUTE, timedelta(0), 0.02)
            view = await harness.market.view(WGMI_BTC, BEGIN + MINUTE)

            assert (BEGIN + MINUTE, BEGIN + MINUTE) == (view.now, view.etf and view.etf.at)


async def test_a_tick_ahead_blocks_no_other_process(start: Start) -> None:  # noqa: F811 -- the fixture
    wrong, right = [await start() for _ in range(2)]
    await wrong.claim_tick(WGMI_BTC, AT + HOUR, AT + HOUR)

    async with open_harness() as harness:
        harness.clock.at = AT
        monitor = replace(harness.monitor, store=right, _last_tick_at=AT)
        harness.vendors.etf_last = (20.0, AT)

        assert 0 == await monitor.tick(AT)
        assert await right.verdicts(WGMI_BTC, AT - MINUTE, AT + DAY)


async def test_a_clock_that_differs_by_seconds_discards_nothing(start: Start) -> None:  # noqa: F811 -- the fixture
    ahead, behind = [await start() for _ in range(2)]
    claimed = await ahead.claim_tick(WGMI_BTC, AT + CLOCK_TOLERANCE, AT + CLOCK_TOLERANCE)

    await behind.claim_tick(WGMI_BTC, AT, AT)
    await behind.discard_ahead(AT)

    assert claimed is not await behind.claim_tick(WGMI_BTC, AT + CLOCK_TOLERANCE, AT + CLOCK_TOLERANCE)


async def test_messages_and_pauses_dated_ahead_are_due_within_a_minute_of_the_correction(
    store: SqlStore,  # noqa: F811 -- the fixture
) -> None:
    await post_alert(store, at=AT + DAY)
    await store.pause_channel(CHANNEL, AT + DAY)
    await store.claim_tick(WGMI_BTC, AT + DAY, AT + DAY)

    before = await store.due(AT + LEASE)
    await store.discard_ahead(AT)

    assert ([], 1) == (before, len(await store.due(AT + LEASE)))


@pytest.mark.parametrize("seen_at", [AT + DAY, AT + 15 * MINUTE])
def test_hold_and_keep_times_dated_ahead_restart(seen_at: datetime) -> None:
    rule = parse_rule("1d 8pp for 5m keep 5m")
    pending = RuleState(breach=Side.ABOVE, breach_at=seen_at, breach_seen_at=seen_at, nodata_since=seen_at)
    recovering = RuleState(firing=Side.ABOVE, fired_at=AT - HOUR, clear_at=seen_at, clear_seen_at=seen_at)

    statuses = []
    later = AT + 5 * MINUTE
    for state, value in ((pending, 0.10), (recovering, 0.0)):
        first = decide(state, Observation(at=AT, value=value), rule, AT).state
        second = decide(first, Observation(at=later, value=value), rule, later).state
        statuses.append(second.status(later))

    assert [RuleStatus.FIRING, RuleStatus.OK] == statuses


def test_a_missing_value_dated_ahead_is_missing_since_now() -> None:
    state = RuleState(nodata_since=AT + DAY, error_since=AT + DAY)

    decided = decide(state, Observation(at=AT, value=None, pair_unavailable=True), parse_rule("1d 8pp"), AT)

    assert (AT, AT) == (decided.state.nodata_since, decided.state.error_since)


def test_a_steady_clock_continues_when_the_clock_is_set_back() -> None:
    clock = SetClock(AT)
    steady = SteadyClock(clock)

    shown = []
    for at in (AT, AT + HOUR, AT, AT + MINUTE, AT - DAY):
        clock.at = at
        shown.append(steady.now() - AT)

    assert [timedelta(0), HOUR, HOUR, HOUR + MINUTE, HOUR + MINUTE] == shown
    assert steady.now() - AT == HOUR + MINUTE
    assert AT - DAY == steady.now() - steady.ahead

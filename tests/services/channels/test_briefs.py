"""Briefs are posted once to each subscribed channel, and wait for quiet hours to end."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from services.alerting.channel_settings import Occasion
from services.alerting.notice import Brief, Content
from services.channels.maintenance import Maintenance
from services.core.reason import Code
from services.delivery.ports import NoticeMessage
from services.market.measure import Window
from services.market.mining_power import PowerModel
from services.market.sources.files.machines import read_machines
from tests.fakes.clock import SetClock
from tests.fakes.harness import CHANNEL, CLOSE, OPEN, TODAY, YESTERDAY, Harness, open_harness
from tests.fakes.mempool import FakeMempool
from tests.fakes.reasons import reason_with
from tests.services.channels.test_maintenance import apply_settings, round_at

MINUTE = timedelta(minutes=1)
NEXT_OPEN = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)
FRIDAY_CLOSE = datetime(2026, 3, 6, 21, 0, tzinfo=UTC)


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    pool = FakeMempool(SetClock(OPEN - 60 * MINUTE))
    async with open_harness(clock=pool.clock, network=pool.service()) as harness:
        await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
        yield harness


async def brief_at(harness: Harness, at: datetime) -> Brief:
    """Run one round, deliver everything, and return the posted brief."""
    await harness.tick(at)
    await harness.maintenance.tick(at)
    contents = list[Content]()
    while due := await harness.store.due(at):
        contents += [delivery.message.notice.content for delivery in due if isinstance(delivery.message, NoticeMessage)]
        for delivery in due:
            await harness.store.mark_sent(delivery, delivery.message_id or f"{delivery.id}", at)
    (brief,) = [delivery for delivery in contents if isinstance(delivery, Brief)]
    return brief


async def test_each_brief_is_posted_once_when_due(harness: Harness) -> None:
    await apply_settings(harness, "brief open close weekly")
    other = Maintenance(
        store=harness.store,
        market=harness.market,
        rule_index=harness.maintenance.rule_index,
        nudge=harness.maintenance.nudge,
    )
    posts_by_time = {}
    for at in (
        *(OPEN + n * MINUTE for n in (-40, -30, -29, 0, 60, 360)),
        *(CLOSE + n * MINUTE for n in (0, 1, 31, 60)),
        NEXT_OPEN - 29 * MINUTE,
        *(FRIDAY_CLOSE + n * MINUTE for n in (31, 32)),
    ):
        if at == CLOSE + MINUTE:
            harness.vendors.etf_last = None  # the last trade is the close
        posts = await round_at(harness, at, 0.01 if OPEN <= at < CLOSE else None)
        posts_by_time[at] = [post for post in posts if "brief" in post]
        await other.tick(at + timedelta(seconds=30))
    posts_at = {at: posts for at, posts in posts_by_time.items() if posts}

    assert {
        OPEN - 30 * MINUTE: ["brief in C1"],
        CLOSE + MINUTE: ["brief in C1"],
        NEXT_OPEN - 29 * MINUTE: ["brief in C1"],
        FRIDAY_CLOSE + 31 * MINUTE: ["brief in C1", "brief in C1"],
    } == posts_at


async def test_a_channel_gets_only_its_briefs_and_only_after_subscribing(harness: Harness) -> None:
    await round_at(harness, OPEN - 30 * MINUTE)
    harness.clock.at = OPEN - 25 * MINUTE
    await apply_settings(harness, "brief open")
    rounds = [
        await round_at(harness, OPEN - 20 * MINUTE),
        await round_at(harness, CLOSE),
        await round_at(harness, NEXT_OPEN),
    ]
    await apply_settings(harness, "brief off")

    assert [[], [], ["brief in C1"]] == rounds
    assert [] == await round_at(harness, FRIDAY_CLOSE + 31 * MINUTE)


async def test_the_closing_brief_has_moves_alerts_and_the_next_retarget(harness: Harness) -> None:
    await apply_settings(harness, "brief close")
    await round_at(harness, OPEN + 30 * MINUTE, 0.09)
    await round_at(harness, OPEN + 60 * MINUTE, 0.01)
    harness.vendors.etf_moves[TODAY], harness.vendors.etf_last = 21.8, None
    brief = await brief_at(harness, CLOSE + MINUTE)

    assert (Occasion.CLOSE, TODAY) == (brief.occasion, brief.session)
    assert [Window.D1, Window.D5, Window.D20, Window.YTD] == [item.window for item in brief.measurements]
    assert pytest.approx(0.09) == brief.measurements[0].spread
    assert Window.D1 in [item.window for item in brief.unusual]
    assert [True, False] == [item.closed_at is None for item in brief.alerts]
    assert brief.retarget is not None
    assert ("mempool.space", 0.01) == (brief.network, brief.retarget.change)
    assert YESTERDAY < brief.since.date() + timedelta(days=1)


async def test_the_opening_brief_has_the_gap_or_the_reason_without_prices(harness: Harness) -> None:
    await apply_settings(harness, "brief open")
    harness.vendors.crypto_moves[OPEN - 50 * MINUTE] = 52_000.0
    overnight = await brief_at(harness, OPEN - 30 * MINUTE)
    async with open_harness(warm=False) as cold:
        cold.vendors.faults["yahoo"] = [httpx.Response(404, json={})] * 50
        empty = await cold.commands.brief(CHANNEL)

    assert TODAY == overnight.session
    assert overnight.gap is not None
    assert 0.04 == pytest.approx(overnight.gap.move)
    assert ((), None, None) == (empty.measurements, empty.etf, empty.retarget)
    assert reason_with(Code.NO_PRICES_YET, symbol="WGMI") == empty.problems[0]
    assert date(2026, 3, 3) == empty.session


async def test_the_weekly_brief_has_the_power_draw(harness: Harness) -> None:
    harness.market.mining.power_model = PowerModel(machines=read_machines())
    await apply_settings(harness, "brief weekly")
    weekly = await brief_at(harness, FRIDAY_CLOSE + 31 * MINUTE)
    assert weekly.power is not None
    assert weekly.power.lower.power_mw == pytest.approx(100e12 * 2**32 / 600 / 1e18 * 9.5 * 1.01)
    assert (await harness.commands.brief(CHANNEL)).power is None  # only the weekly brief has it


async def test_the_weekly_brief_without_the_network_has_no_power_draw() -> None:
    async with open_harness() as harness:
        await apply_settings(harness, "brief weekly")
        assert (await brief_at(harness, FRIDAY_CLOSE + 31 * MINUTE)).power is None


async def test_quiet_hours_delay_a_brief(harness: Harness) -> None:
    await apply_settings(harness, "brief close", "quiet 15:30-17:00")
    silent = [await round_at(harness, CLOSE + n * MINUTE) for n in (-10, 0, 40)]
    later = await round_at(harness, CLOSE + 61 * MINUTE)

    assert [[], [], []] == silent
    assert "brief in C1" in later

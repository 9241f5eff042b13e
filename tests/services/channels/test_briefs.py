"""Briefs are told once each to the channels that asked for them, and keep quiet hours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from services.alerting.brief import Brief, Occasion
from services.alerting.notice import Content
from services.channels.maintenance import Maintenance
from services.delivery.ports import NoticeMessage
from services.market.measure import Window
from tests.fakes.clock import SetClock
from tests.fakes.floor import CLOSE, DESK, OPEN, TODAY, YESTERDAY, Floor, trading_floor
from tests.fakes.pool import Pool
from tests.fakes.postgresql import empty_database
from tests.services.channels.test_maintenance import round_at, setting

MINUTE = timedelta(minutes=1)
NEXT_OPEN = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)
FRIDAY_CLOSE = datetime(2026, 3, 6, 21, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
async def floor(request: pytest.FixtureRequest) -> AsyncIterator[Floor]:
    pool = Pool(SetClock(OPEN - 60 * MINUTE))
    url = "sqlite://" if request.param == "sqlite" else empty_database()
    async with trading_floor(url, pool.clock, mining=pool.mining()) as floor:
        await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
        yield floor


async def brief_at(floor: Floor, at: datetime) -> Brief:
    """Do a round, deliver everything, and give the brief that was told."""
    await floor.tick(at)
    await floor.upkeep.tick(at)
    contents = list[Content]()
    while due := await floor.store.due(at):
        contents += [one.told.notice.content for one in due if isinstance(one.told, NoticeMessage)]
        for one in due:
            await floor.store.mark_sent(one, one.message_id or f"{one.id}", at)
    (told,) = [one for one in contents if isinstance(one, Brief)]
    return told


async def test_each_brief_is_told_once_in_its_time_whoever_looks(floor: Floor) -> None:
    await setting(floor, "brief open close weekly")
    other = Maintenance(
        store=floor.store, market=floor.market, watchlist=floor.upkeep.watchlist, nudge=floor.upkeep.nudge
    )
    told = {}
    for at in (
        *(OPEN + n * MINUTE for n in (-40, -30, -29, 0, 60, 360)),
        *(CLOSE + n * MINUTE for n in (0, 1, 31, 60)),
        NEXT_OPEN - 29 * MINUTE,
        *(FRIDAY_CLOSE + n * MINUTE for n in (31, 32)),
    ):
        if at == CLOSE + MINUTE:
            floor.vendors.etf_last = None  # the last trade is the close
        posts = await round_at(floor, at, 0.01 if OPEN <= at < CLOSE else None)
        told[at] = [post for post in posts if "brief" in post]
        await other.tick(at + timedelta(seconds=30))
    posted = {at: posts for at, posts in told.items() if posts}

    assert {
        OPEN - 30 * MINUTE: ["brief in C1"],
        CLOSE + MINUTE: ["brief in C1"],
        NEXT_OPEN - 29 * MINUTE: ["brief in C1"],
        FRIDAY_CLOSE + 31 * MINUTE: ["brief in C1", "brief in C1"],
    } == posted


async def test_a_channel_that_asked_for_one_gets_that_alone_and_none_that_was_due_before(floor: Floor) -> None:
    await round_at(floor, OPEN - 30 * MINUTE)
    floor.clock.at = OPEN - 25 * MINUTE
    await setting(floor, "brief open")
    told = [await round_at(floor, OPEN - 20 * MINUTE), await round_at(floor, CLOSE), await round_at(floor, NEXT_OPEN)]
    await setting(floor, "brief off")

    assert [[], [], ["brief in C1"]] == told
    assert [] == await round_at(floor, FRIDAY_CLOSE + 31 * MINUTE)


async def test_the_brief_at_the_close_tells_moves_alerts_and_what_to_watch(floor: Floor) -> None:
    await setting(floor, "brief close")
    await round_at(floor, OPEN + 30 * MINUTE, 0.09)
    await round_at(floor, OPEN + 60 * MINUTE, 0.01)
    floor.vendors.etf_moves[TODAY], floor.vendors.etf_last = 21.8, None
    told = await brief_at(floor, CLOSE + MINUTE)

    assert (Occasion.CLOSE, TODAY) == (told.occasion, told.session)
    assert [Window.D1, Window.D5, Window.D20, Window.YTD] == [one.window for one in told.measured]
    assert pytest.approx(0.09) == told.measured[0].spread
    assert Window.D1 in [one.window for one in told.unusual]
    assert [True, False] == [one.closed_at is None for one in told.alerts]
    assert told.retarget is not None
    assert ("mempool.space", 0.01) == (told.network, told.retarget.change)
    assert YESTERDAY < told.since.date() + timedelta(days=1)


async def test_before_the_open_the_night_is_told_and_without_prices_why_there_are_none(floor: Floor) -> None:
    await setting(floor, "brief open")
    floor.vendors.crypto_moves[OPEN - 50 * MINUTE] = 52_000.0
    night = await brief_at(floor, OPEN - 30 * MINUTE)
    async with trading_floor(warm=False) as bare:
        bare.vendors.faults["yahoo"] = [httpx.Response(404, json={})] * 50
        nothing = await bare.desk.brief(DESK)

    assert TODAY == night.session
    assert night.gap is not None
    assert 0.04 == pytest.approx(night.gap.move)
    assert ((), None, None) == (nothing.measured, nothing.etf, nothing.retarget)
    assert "No WGMI prices yet" in nothing.problems[0]
    assert date(2026, 3, 3) == nothing.session


async def test_quiet_hours_hold_a_brief_back_until_they_end(floor: Floor) -> None:
    await setting(floor, "brief close", "quiet 15:30-17:00")
    silent = [await round_at(floor, CLOSE + n * MINUTE) for n in (-10, 0, 40)]
    later = await round_at(floor, CLOSE + 61 * MINUTE)

    assert [[], [], []] == silent
    assert "brief in C1" in later

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from services.core.prices import Symbol
from services.market.consensus.corporate_actions import Action, ActionKind
from services.market.feeds.equities import EquityFeed, EquityFeeds
from services.storage import SqlStore
from tests.fakes.clock import SetClock
from tests.fakes.market import CALENDAR
from tests.fakes.store_snapshots import open_snapshot
from tests.fakes.vendors import Vendors

WGMI = Symbol("WGMI")
IN_SESSION = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)
EVENING = datetime(2026, 3, 5, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LONG_AGO, RECENT, TODAY = date(2024, 12, 24), date(2026, 3, 2), date(2026, 3, 4)


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    store = await open_snapshot()
    yield store
    await store.aclose()


@pytest.fixture
def vendors() -> Vendors:
    return Vendors(SetClock(IN_SESSION), dividends={LONG_AGO: 0.05})


def dividend(on: date, amount: float) -> Action:
    return Action(session=on, kind=ActionKind.DIVIDEND, value=amount)


async def read(feeds: EquityFeeds, now: datetime) -> EquityFeed:
    return await feeds.read(WGMI, now, CALENDAR)


async def stored(store: SqlStore) -> tuple[Action, ...]:
    fetched = await store.load_declared(WGMI, "Yahoo")
    assert fetched is not None
    return fetched.actions


def actions(feed: EquityFeed) -> tuple[Action, ...]:
    assert feed.declared is not None
    return feed.declared.actions


async def test_the_first_fetch_saves_all_declared_actions(store: SqlStore, vendors: Vendors) -> None:
    feed = await read(EquityFeeds(vendors.yahoo(), store), IN_SESSION)

    assert (dividend(LONG_AGO, 0.05),) == actions(feed) == await stored(store)


async def test_after_a_restart_the_last_sessions_add_newer_actions(store: SqlStore, vendors: Vendors) -> None:
    await read(EquityFeeds(vendors.yahoo(), store), IN_SESSION)
    vendors.dividends = {RECENT: 0.1}  # the response starts after the older one
    vendors.requests.clear()

    feed = await read(EquityFeeds(vendors.yahoo(), store), vendors.clock.advance(MINUTE))

    assert (dividend(LONG_AGO, 0.05), dividend(RECENT, 0.1)) == actions(feed) == await stored(store)
    (chart,) = vendors.calls("chart")
    assert timedelta(days=9) > vendors.clock.at - datetime.fromtimestamp(int(chart.url.params["period1"]), UTC)


async def test_closes_of_the_first_release_get_the_actions_since_their_first_session(
    store: SqlStore, vendors: Vendors
) -> None:
    known = (await vendors.yahoo().prices(WGMI, date(2024, 6, 3))).closes
    await store.save_closes(known, IN_SESSION)  # without actions

    feed = await read(EquityFeeds(vendors.yahoo(), store), vendors.clock.advance(MINUTE))

    assert (dividend(LONG_AGO, 0.05),) == actions(feed) == await stored(store)
    assert known.prices.tolist() == feed.closes.prices[-len(known) :].tolist()  # with all older ones before them
    assert len(known) < len(feed.closes)


async def test_a_dividend_declared_on_its_ex_date_is_saved_before_the_close(store: SqlStore, vendors: Vendors) -> None:
    feeds = EquityFeeds(vendors.yahoo(), store)
    before = await read(feeds, IN_SESSION)

    vendors.dividends[TODAY] = 0.11
    after = await read(feeds, vendors.clock.advance(MINUTE))

    assert before.closes is after.closes
    assert (dividend(LONG_AGO, 0.05), dividend(TODAY, 0.11)) == actions(after) == await stored(store)


async def test_an_action_that_is_no_longer_declared_is_deleted(store: SqlStore, vendors: Vendors) -> None:
    vendors.dividends[RECENT] = 9.0
    feeds = EquityFeeds(vendors.yahoo(), store)
    await read(feeds, IN_SESSION)

    del vendors.dividends[RECENT]
    after = await read(feeds, vendors.clock.advance(MINUTE))

    assert (dividend(LONG_AGO, 0.05),) == actions(after) == await stored(store)


async def test_a_rewritten_history_is_saved_with_its_split(store: SqlStore, vendors: Vendors) -> None:
    feeds = EquityFeeds(vendors.yahoo(), store)
    before = await read(feeds, IN_SESSION)

    vendors.etf_scale, vendors.splits, vendors.dividends = 0.1, {TODAY: (10, 1)}, {LONG_AGO: 0.005}
    after = await read(feeds, vendors.clock.advance(MINUTE))

    np.testing.assert_allclose(after.closes.prices, before.closes.prices / 10)
    split = Action(session=TODAY, kind=ActionKind.SPLIT, value=10.0)
    assert (dividend(LONG_AGO, 0.005 * 10), split) == actions(after) == await stored(store)


async def test_a_process_uses_what_another_process_has_saved(store: SqlStore, vendors: Vendors) -> None:
    vendors.clock.at = EVENING
    one, other = EquityFeeds(vendors.yahoo(), store), EquityFeeds(vendors.yahoo(), store)
    await read(one, EVENING)

    vendors.etf_scale, vendors.splits = 0.1, {TODAY: (10, 1)}
    fetched = await read(other, vendors.clock.advance(MINUTE))
    reread = await read(one, vendors.clock.advance(MINUTE))

    assert fetched.declared == reread.declared
    assert fetched.closes.prices.tolist() == reread.closes.prices.tolist()

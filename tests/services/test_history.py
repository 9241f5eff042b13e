import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import httpx
import numpy as np
import pytest

from services.domain.prices import Symbol
from services.history import History
from services.sources.simulated import Simulated
from services.store import SqlStore
from tests.fakes.clock import SetClock
from tests.fakes.vendors import Vendors

WGMI, BTC = Symbol("WGMI"), Symbol("BTC")
IN_SESSION = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)
CLOSE = datetime(2026, 3, 4, 21, 0, tzinfo=UTC)
TODAY = date(2026, 3, 4)


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    store = await SqlStore.open("sqlite://")
    yield store
    await store.aclose()


def a_history(vendors: Vendors, store: SqlStore) -> History:
    return History(vendors.yahoo(), vendors.coinbase(), store)


async def test_the_first_start_fetches_all_that_the_windows_need_and_keeps_it(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))

    etf = await a_history(vendors, store).etf(WGMI, IN_SESSION)
    coin = await a_history(vendors, store).coin(BTC, IN_SESSION)

    assert len(etf.closes) > 2 * 252
    assert np.datetime64("2026-03-04T16:00") == coin.bars.ended_at[-1]
    assert len(etf.closes) == len(await store.load_closes(WGMI, date(2020, 1, 1)))
    assert len(coin.bars) == len(await store.load_bars(BTC, timedelta(hours=1), datetime(2020, 1, 1, tzinfo=UTC)))


async def test_a_restart_fetches_only_the_last_sessions(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    first = a_history(vendors, store)
    await first.etf(WGMI, IN_SESSION)
    await first.coin(BTC, IN_SESSION)
    vendors.requests.clear()

    later = vendors.clock.advance(timedelta(hours=1))
    again = a_history(vendors, store)
    etf, coin = await again.etf(WGMI, later), await again.coin(BTC, later)

    assert len(etf.closes) > 2 * 252
    assert np.datetime64("2026-03-04T17:00") == coin.bars.ended_at[-1]
    (chart,) = vendors.calls("chart")
    assert timedelta(days=9) > later - datetime.fromtimestamp(int(chart.url.params["period1"]), UTC)
    (candles,) = vendors.calls("candles")
    assert "2026-03-04T14:00:00Z" == candles.url.params["start"]


async def test_the_price_of_the_open_session_is_a_quote_and_no_close(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION), etf_last=(25.0, IN_SESSION))

    etf = await a_history(vendors, store).etf(WGMI, IN_SESSION)

    assert date(2026, 3, 3) == etf.closes.sessions[-1].astype(object)
    assert etf.quote is not None
    assert (25.0, IN_SESSION) == (etf.quote.price, etf.quote.at)


@pytest.mark.parametrize(
    ("after", "last_trade", "expected"),
    [
        pytest.param(timedelta(minutes=1), timedelta(minutes=-2), date(2026, 3, 3), id="the last trade is still older"),
        pytest.param(timedelta(minutes=1), timedelta(0), TODAY, id="the vendor's clock has passed the close"),
        pytest.param(timedelta(minutes=15), timedelta(minutes=-2), TODAY, id="a thin close has settled"),
    ],
)
async def test_a_close_is_final_once_the_vendor_has_passed_it(
    store: SqlStore, after: timedelta, last_trade: timedelta, expected: date
) -> None:
    vendors = Vendors(SetClock(CLOSE + after), etf_last=(25.0, CLOSE + last_trade))

    etf = await a_history(vendors, store).etf(WGMI, CLOSE + after)

    assert expected == etf.closes.sessions[-1].astype(object)


async def test_out_of_hours_the_etf_is_asked_once(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(hours=1)))
    history = a_history(vendors, store)

    for _ in range(3):
        await history.etf(WGMI, vendors.clock.advance(timedelta(minutes=1)))

    assert 1 == len(vendors.calls("chart"))


async def test_bitcoin_bars_are_asked_for_once_an_hour_and_the_last_trade_each_time(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    history = a_history(vendors, store)
    await history.coin(BTC, IN_SESSION)
    vendors.requests.clear()

    for _ in range(61):
        await history.coin(BTC, vendors.clock.advance(timedelta(minutes=1)))

    assert (1, 61) == (len(vendors.calls("candles")), len(vendors.calls("ticker")))


async def test_a_close_that_the_vendor_corrects_is_corrected_here_too(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    history = a_history(vendors, store)
    await history.etf(WGMI, IN_SESSION)

    vendors.etf_moves[date(2026, 3, 2)] = 20.5
    etf = await history.etf(WGMI, IN_SESSION)

    assert 20.5 == etf.closes.prices[etf.closes.sessions == np.datetime64("2026-03-02")][0]
    stored = await store.load_closes(WGMI, date(2026, 3, 2))
    assert 20.5 == stored.prices[0]


async def test_a_split_makes_the_whole_past_be_fetched_anew(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    history = a_history(vendors, store)
    before = (await history.etf(WGMI, IN_SESSION)).closes.prices.copy()

    vendors.etf_scale = 0.1
    after = (await history.etf(WGMI, IN_SESSION)).closes

    np.testing.assert_allclose(after.prices, before / 10)
    stored = await store.load_closes(WGMI, date(2020, 1, 1))
    np.testing.assert_allclose(stored.prices, before / 10)


async def test_a_vendor_that_fails_leaves_what_is_known_and_says_why(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    history = a_history(vendors, store)
    known = len((await history.etf(WGMI, IN_SESSION)).closes)
    vendors.faults["yahoo"] = [httpx.Response(429, text="Too Many Requests\r\n")]

    failed = await history.etf(WGMI, IN_SESSION)

    assert (known, "Yahoo on WGMI: throttled") == (len(failed.closes), (failed.problem or "")[:24])
    mended = await history.etf(WGMI, vendors.clock.advance(timedelta(minutes=16)))
    assert mended.problem is None


async def test_a_long_first_fetch_that_breaks_off_goes_on_where_it_was(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    vendors.faults["coinbase"] = [None] * 8 + [httpx.Response(404, json={"message": "NotFound"})]
    history = a_history(vendors, store)

    problem = (await history.coin(BTC, IN_SESSION)).problem
    vendors.requests.clear()
    whole = await history.coin(BTC, IN_SESSION)

    assert "check the symbol" in (problem or "")
    assert "2024-03-08T22:00:00Z" == vendors.calls("candles")[0].url.params["start"]  # two hours before the break
    assert (None, True) == (whole.problem, len(whole.bars) > 18_000)


async def test_bitcoin_at_an_instant_is_the_last_minute_that_was_complete(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION), crypto_moves={IN_SESSION - timedelta(minutes=3): 60_000.0})

    found = await a_history(vendors, store).coin_at(BTC, IN_SESSION - timedelta(minutes=4, seconds=-30))

    assert found is not None
    assert IN_SESSION - timedelta(minutes=4) == found[1]
    assert found[0] < 51_000


async def test_simulated_prices_never_lie_among_the_real(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    simulated = History(Simulated(vendors.clock), Simulated(vendors.clock), store)
    made_up = (await simulated.etf(WGMI, IN_SESSION)).closes
    await simulated.coin(BTC, IN_SESSION)

    real = a_history(vendors, store)
    etf, coin = await real.etf(WGMI, IN_SESSION), await real.coin(BTC, IN_SESSION)

    assert ("SIMULATED", "Yahoo", "Coinbase") == (made_up.source, etf.closes.source, coin.bars.source)
    assert etf.closes.prices.max() < 21
    assert coin.bars.closes.max() < 51_000
    again = History(Simulated(vendors.clock), Simulated(vendors.clock), store)
    assert made_up.prices.tolist() == (await again.etf(WGMI, IN_SESSION)).closes.prices.tolist()


async def test_what_has_not_changed_is_not_written_again(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    history = a_history(vendors, store)
    before = (await history.etf(WGMI, IN_SESSION)).closes

    after = (await history.etf(WGMI, IN_SESSION)).closes

    assert before is after


async def test_the_last_trade_is_asked_for_even_where_bars_cannot_be_had(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    history = a_history(vendors, store)
    await history.coin(BTC, IN_SESSION)
    vendors.faults["coinbase"] = [httpx.Response(404, json={"message": "NotFound"})]

    coin = await history.coin(BTC, vendors.clock.advance(timedelta(hours=1)))

    assert coin.quote is not None
    assert vendors.clock.at == coin.quote.at
    assert "Coinbase on BTC" in (coin.problem or "")


async def test_a_process_that_runs_for_years_keeps_no_more_than_it_started_with(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    history = a_history(vendors, store)
    first, before = (await history.etf(WGMI, IN_SESSION)).closes, (await history.coin(BTC, IN_SESSION)).bars

    later = vendors.clock.advance(timedelta(days=500))
    last, after = (await history.etf(WGMI, later)).closes, (await history.coin(BTC, later)).bars

    assert abs(len(first) - len(last)) < 5
    assert len(before) == len(after)
    assert history.sessions(later).days[0] <= last.sessions[0]
    assert abs(after.opened_at[0] - last.sessions[0]) < np.timedelta64(5, "D")


async def test_many_who_ask_at_once_fetch_once(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(hours=1)))
    history = a_history(vendors, store)

    await asyncio.gather(*(history.etf(WGMI, vendors.clock.at) for _ in range(5)))
    bars = await asyncio.gather(*(history.coin(BTC, vendors.clock.at) for _ in range(5)))

    assert 1 == len(vendors.calls("chart"))
    pages = [request.url.params["start"] for request in vendors.calls("candles")]
    assert len(pages) == len(set(pages))
    assert len({id(one) for one in bars}) == 1


async def test_after_a_restart_in_the_night_the_last_trade_is_asked_for(store: SqlStore) -> None:
    vendors = Vendors(SetClock(CLOSE + timedelta(hours=1)))
    await a_history(vendors, store).etf(WGMI, vendors.clock.at)

    again = await a_history(vendors, store).etf(WGMI, vendors.clock.at)

    assert again.quote is not None


async def test_a_close_that_is_corrected_by_a_tenth_is_no_split(store: SqlStore) -> None:
    vendors = Vendors(SetClock(IN_SESSION))
    history = a_history(vendors, store)
    await history.etf(WGMI, IN_SESSION)
    vendors.requests.clear()

    vendors.etf_moves[date(2026, 3, 2)] = 22.0
    await history.etf(WGMI, IN_SESSION)
    vendors.etf_moves[date(2026, 3, 2)] = 30.0
    await history.etf(WGMI, IN_SESSION)

    assert 3 == len(vendors.calls("chart"))  # one for the correction, two for what looks like a split

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import httpx
import numpy as np
import pytest

from services.core.errors import SourceError
from services.core.prices import Bars, Closes, Symbol
from services.core.trust import Verdict
from services.market.ports import CryptoSource, EquitySource
from services.market.price_history import Leg, PriceHistory
from services.market.sources.simulated.market import Simulated
from services.storage import SqlStore
from tests.fakes.clock import SetClock
from tests.fakes.vendors import Vendors

WGMI, BTC = Symbol("WGMI"), Symbol("BTC")
IN_SESSION = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)
CLOSE = datetime(2026, 3, 4, 21, 0, tzinfo=UTC)
EVENING = datetime(2026, 3, 5, 0, 0, tzinfo=UTC)
TODAY = date(2026, 3, 4)
LAST = np.datetime64("2026-03-04")
DOWN = httpx.Response(404)


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    store = await SqlStore.open("sqlite://")
    yield store
    await store.aclose()


@pytest.fixture
def vendors() -> Vendors:
    return Vendors(SetClock(EVENING))


@pytest.fixture
def history(vendors: Vendors, store: SqlStore) -> PriceHistory:
    return a_history(vendors, store)


def a_history(vendors: Vendors, store: SqlStore) -> PriceHistory:
    equities: list[EquitySource] = [vendors.yahoo(), vendors.nasdaq()]
    return PriceHistory(equities, venues(vendors), store)


def venues(vendors: Vendors) -> list[CryptoSource]:
    return [vendors.coinbase(), vendors.kraken(), vendors.bitstamp()]


def closes(leg: Leg) -> dict[date, float]:
    assert isinstance(leg.past.prices, Closes)
    return dict(zip(leg.past.prices.sessions.tolist(), leg.past.prices.prices.tolist(), strict=True))


def bars(leg: Leg) -> Bars:
    assert isinstance(leg.past.prices, Bars)
    return leg.past.prices


async def test_sources_that_agree_make_one_close_that_can_be_trusted(history: PriceHistory, vendors: Vendors) -> None:
    vendors.own = {("yahoo", TODAY): 22.00, ("nasdaq", TODAY): 22.04}

    leg = await history.leg(WGMI, EVENING)

    assert pytest.approx(22.02) == closes(leg)[TODAY]
    assert ("Yahoo and Nasdaq", (), Verdict.OK) == (
        leg.past.prices.source,
        leg.past.trust(LAST).reasons,
        leg.past.trust(LAST).verdict,
    )


async def test_a_close_of_one_source_alone_is_called_so(history: PriceHistory, vendors: Vendors) -> None:
    vendors.faults["nasdaq"] = [DOWN] * 9

    leg = await history.leg(WGMI, EVENING)
    trust = leg.past.trust(LAST)

    assert (Verdict.DEGRADED, ("WGMI's close is from Yahoo alone",)) == (trust.verdict, trust.reasons)
    assert "Yahoo" == leg.past.prices.source
    assert "Nasdaq" in leg.problems[0]


async def test_sources_that_are_somewhat_apart_are_told(history: PriceHistory, vendors: Vendors) -> None:
    vendors.own[("nasdaq", TODAY)] = 1.005 * vendors.etf_close(TODAY)

    trust = (await history.leg(WGMI, EVENING)).past.trust(LAST)

    assert (Verdict.DEGRADED, ("Yahoo and Nasdaq are 0.5% apart on WGMI's close",)) == (trust.verdict, trust.reasons)


async def test_a_close_that_two_sources_dispute_is_held_until_they_agree(
    history: PriceHistory, vendors: Vendors
) -> None:
    vendors.own[("nasdaq", TODAY)] = 1.05 * vendors.etf_close(TODAY)
    disputed = await history.leg(WGMI, EVENING)

    vendors.own.clear()
    vendors.clock.at = datetime(2026, 3, 5, 14, 31, tzinfo=UTC)
    vendors.etf_last = (20.0, vendors.clock.at)
    again = a_history(vendors, history.store)  # type: ignore[arg-type]
    agreed = await again.leg(WGMI, vendors.clock.at)

    assert TODAY not in closes(disputed)
    assert "5.0% apart" in disputed.past.held[LAST]
    assert TODAY in closes(agreed)
    assert {} == agreed.past.held


async def test_a_lone_source_that_jumps_is_held_and_a_witness_lets_it_go(
    history: PriceHistory, vendors: Vendors, caplog: pytest.LogCaptureFixture
) -> None:
    """As WULF did on 2025-08-14: news of the day is true, but one source alone could be wrong."""
    vendors.etf_moves[TODAY] = 32.0
    vendors.faults["nasdaq"] = [DOWN]
    alone = await history.leg(WGMI, EVENING)

    witnessed = await history.leg(WGMI, vendors.clock.advance(timedelta(minutes=10)))

    assert TODAY not in closes(alone)
    assert "no second source says so" in alone.past.held[LAST]
    assert 32.0 == closes(witnessed)[TODAY]
    assert Verdict.OK is witnessed.past.trust(LAST).verdict
    assert "1 price of WGMI held: sources dispute it, or one has it alone" in caplog.messages


async def test_what_is_held_and_let_go_is_logged(
    history: PriceHistory, vendors: Vendors, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="services.market.price_history")
    vendors.clock.at = CLOSE - timedelta(hours=1)
    await history.leg(WGMI, vendors.clock.at)
    vendors.etf_moves[TODAY] = 32.0
    vendors.clock.at = CLOSE + timedelta(minutes=20)
    await history.leg(WGMI, vendors.clock.at)
    await history.leg(WGMI, vendors.clock.advance(timedelta(hours=2)))

    held, released = [message for message in caplog.messages if "held" in message]
    assert "the price of WGMI at 2026-03-04 is held: moved by +6" in held
    assert "the price of WGMI at 2026-03-04 is held no longer" == released


async def test_where_no_witness_is_to_be_had_nothing_is_held_or_called_alone(vendors: Vendors, store: SqlStore) -> None:
    vendors.etf_moves[TODAY] = 32.0
    history = PriceHistory([vendors.yahoo()], [vendors.coinbase()], store, witnessed=False)

    share, coin = await history.leg(WGMI, EVENING), await history.leg(BTC, EVENING)

    assert 32.0 == closes(share)[TODAY]
    assert {Verdict.OK} == {
        share.past.trust(LAST).verdict,
        coin.past.trust(np.datetime64("2026-03-04T21:00")).verdict,
        coin.quoted.verdict,
    }


async def test_a_venue_that_is_off_is_outvoted(history: PriceHistory, vendors: Vendors) -> None:
    vendors.tilts["kraken"] = 1.03

    leg = await history.leg(BTC, EVENING)

    assert leg.quote is not None
    assert pytest.approx(vendors.crypto_at(EVENING), abs=0.01) == leg.quote.price
    assert ("Coinbase and Bitstamp", Verdict.OK) == (leg.quote.source, leg.quoted.verdict)
    assert "Kraken" in leg.quoted.reasons[0]
    assert pytest.approx(vendors.crypto_at(CLOSE), abs=0.01) == bars(leg).last_complete(CLOSE)[0]  # type: ignore[index]
    assert {} == leg.past.held


async def test_whichever_venue_is_first_the_prices_are_the_same(vendors: Vendors, store: SqlStore) -> None:
    vendors.tilts = {"coinbase": 1.001, "bitstamp": 0.999}
    orders = venues(vendors), venues(vendors)[::-1]

    legs = [await PriceHistory([], order, store).leg(BTC, EVENING) for order in orders]

    assert bars(legs[0]).closes.tolist() == bars(legs[1]).closes.tolist()
    assert legs[0].quote is not None
    assert legs[1].quote is not None
    assert legs[0].quote.price == legs[1].quote.price


async def test_venues_that_dispute_an_hour_leave_no_price_for_it(vendors: Vendors, store: SqlStore) -> None:
    vendors.clock.at = CLOSE - timedelta(minutes=30)
    history = PriceHistory([], [vendors.coinbase(), vendors.bitstamp()], store)
    await history.leg(BTC, vendors.clock.at)

    vendors.tilts["bitstamp"] = 1.04
    vendors.clock.at = CLOSE + timedelta(minutes=1)
    leg = await history.leg(BTC, vendors.clock.at)

    asked_again = [np.datetime64(f"2026-03-04T{hour}:00") for hour in (19, 20, 21)]
    assert asked_again == list(leg.past.held)
    assert np.datetime64("2026-03-04T18:00") == bars(leg).ended_at[-1]
    assert (Verdict.SUSPECT, True) == (leg.quoted.verdict, "4.0% apart" in leg.quoted.reasons[0])


async def test_a_venue_that_is_down_is_replaced_by_the_others(history: PriceHistory, vendors: Vendors) -> None:
    vendors.faults["coinbase"] = [DOWN] * 99

    leg = await history.leg(BTC, EVENING)

    assert ("Kraken and Bitstamp", Verdict.OK) == (leg.past.prices.source, leg.quoted.verdict)
    assert len(bars(leg)) > 18_000
    assert "Coinbase" in leg.problems[0]


async def test_a_source_without_last_trades_is_asked_with_patience(history: PriceHistory, vendors: Vendors) -> None:
    vendors.clock.at = CLOSE + timedelta(minutes=1)
    for _ in range(25):
        await history.leg(WGMI, vendors.clock.advance(timedelta(minutes=1)))

    assert 3 == len(vendors.calls("historical"))


async def test_a_coin_at_an_instant_is_what_the_venues_agree_on(history: PriceHistory, vendors: Vendors) -> None:
    at = EVENING - timedelta(minutes=4)
    vendors.crypto_moves = {at: 60_000.0, at + timedelta(minutes=1): 70_000.0}
    vendors.tilts["bitstamp"] = 1.002

    told = await history.at(BTC, at)
    vendors.faults["coinbase"] = [DOWN]
    fewer = await history.at(BTC, at)

    assert told is not None
    assert told.quote is not None
    assert (60_000.0, at, Verdict.OK) == (told.quote.price, told.quote.at, told.trust.verdict)
    assert fewer is not None
    assert fewer.quote is not None
    assert pytest.approx(60_060.0) == fewer.quote.price


async def test_a_jump_of_bitcoin_that_one_venue_alone_tells_is_suspect(history: PriceHistory, vendors: Vendors) -> None:
    await history.leg(BTC, EVENING)
    vendors.crypto_moves = {EVENING: 60_000.0}
    vendors.faults = {name: [DOWN] * 9 for name in ("kraken", "bitstamp")}
    now = vendors.clock.advance(timedelta(minutes=5))

    last, minute = (await history.leg(BTC, now)).quoted, await history.at(BTC, now)
    vendors.faults.clear()
    seconded = await history.leg(BTC, vendors.clock.advance(timedelta(minutes=1)))

    assert minute is not None
    for trust in (last, minute.trust):
        assert Verdict.SUSPECT is trust.verdict
        assert "far beyond its usual hour, and no second source says so" in trust.reasons[-1]
    assert Verdict.OK is seconded.quoted.verdict


async def test_an_instant_that_no_venue_can_tell_raises_what_they_said(history: PriceHistory, vendors: Vendors) -> None:
    vendors.faults = {name: [DOWN] for name in ("coinbase", "kraken", "bitstamp")}

    with pytest.raises(SourceError, match="Coinbase on BTC"):
        await history.at(BTC, EVENING)
    assert await history.at(WGMI, EVENING) is None


async def test_a_bar_of_minutes_ago_is_no_price_of_that_instant(vendors: Vendors, store: SqlStore) -> None:
    at = EVENING - timedelta(minutes=4)
    history = PriceHistory([], [vendors.coinbase()], store)

    def thin(minutes: int) -> httpx.Response:
        opened = int((at - timedelta(minutes=minutes + 1)).timestamp())
        return httpx.Response(200, json=[[opened, 1.0, 1.0, 1.0, 60_000.0, 1.0]])

    vendors.faults["coinbase"] = [thin(2), thin(3)]

    assert await history.at(BTC, at) is not None
    assert await history.at(BTC, at) is None


async def test_a_mistake_of_ours_is_not_taken_for_a_silent_venue(vendors: Vendors, store: SqlStore) -> None:
    coinbase = vendors.coinbase()
    coinbase._vendor = None  # type: ignore[assignment]  # noqa: SLF001 -- a mistake of ours
    history = PriceHistory([], [coinbase, vendors.bitstamp()], store)

    with pytest.raises(AttributeError):
        await history.at(BTC, EVENING)


async def test_what_nobody_has_told_anew_is_not_judged_anew(history: PriceHistory, vendors: Vendors) -> None:
    first = await history.leg(WGMI, EVENING)
    second = await history.leg(WGMI, vendors.clock.advance(timedelta(minutes=1)))

    assert first.past is second.past


async def test_two_processes_on_one_database_tell_the_same_close(vendors: Vendors, store: SqlStore) -> None:
    """During a deploy the old process keeps what it knows, while the new one is told a correction at its start."""
    old = a_history(vendors, store)
    await old.leg(WGMI, EVENING)
    vendors.etf_moves[TODAY] = 1.001 * vendors.etf_close(TODAY)

    later = vendors.clock.advance(timedelta(minutes=30))
    told = [closes(await one.leg(WGMI, later))[TODAY] for one in (a_history(vendors, store), old)]

    assert told[0] == told[1]


async def test_many_who_ask_at_once_ask_each_source_once(history: PriceHistory, vendors: Vendors) -> None:
    await asyncio.gather(*(history.leg(WGMI, EVENING) for _ in range(5)))

    assert (1, 1) == (len(vendors.calls("chart")), len(vendors.calls("historical")))


async def test_one_simulated_source_makes_the_whole_simulated(vendors: Vendors, store: SqlStore) -> None:
    simulated = Simulated(vendors.clock)
    etf, btc = vendors.yahoo(), vendors.coinbase()

    histories = [
        PriceHistory([simulated], [btc], store),
        PriceHistory([etf], [simulated], store),
        PriceHistory([etf], [btc], store),
    ]

    assert [True, True, False] == [history.simulated for history in histories]


async def test_sources_that_dispute_everything_are_logged_once(
    vendors: Vendors, store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    vendors.tilts["nasdaq"] = 1.5
    history = a_history(vendors, store)

    for _ in range(3):
        assert {} == closes(await history.leg(WGMI, vendors.clock.advance(timedelta(minutes=1))))

    assert 1 == len([message for message in caplog.messages if "prices of WGMI held" in message])

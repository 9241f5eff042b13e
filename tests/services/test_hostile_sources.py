"""What a trader sees while a source fails: through real sockets, and every service from the wire to the alert."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import stamina

from services.core.prices import WGMI_BTC
from services.core.trust import Verdict
from services.rules.decide import Side, Status
from services.rules.market_service import MarketView
from tests.fakes.clock import SetClock
from tests.fakes.floor import CLOSE, DESK, OPEN, TODAY, YESTERDAY
from tests.fakes.market import CALENDAR, crypto_bars
from tests.fakes.street import (
    BTC,
    HOUR,
    SEEDED,
    WGMI,
    Counter,
    Fault,
    Street,
    answering,
    cut,
    drip,
    hang,
    open_street,
    web_page,
)
from tests.fakes.vendors import Vendors

BEGIN = OPEN + timedelta(minutes=30)
MINUTE = timedelta(minutes=1)
LONG_AGO = datetime(2015, 1, 1, tzinfo=UTC)
RULE = "1d 8pp for 0s"


@pytest.fixture(autouse=True)
def _retries_do_not_wait() -> Iterator[None]:
    with stamina.set_testing(testing=True, attempts=10, cap=True):
        yield


@pytest.fixture
async def street() -> AsyncIterator[Street]:
    async with open_street() as street:
        await street.floor.desk.add_rule(DESK, RULE, "U1")
        await street.floor.tick(BEGIN, 0.0)
        yield street


async def view(street: Street) -> MarketView:
    return await street.floor.market.view(WGMI_BTC, street.floor.clock.at)


async def fired(street: Street) -> list[Side]:
    return [alert.side for alert in await street.floor.open_alerts(DESK)]


async def status(street: Street) -> Status:
    (watch,) = await street.floor.store.rules(DESK)
    return watch.state.status(street.floor.clock.at)


def lines(caplog: pytest.LogCaptureFixture, counter: Counter) -> list[str]:
    """What was logged about one source, beside the good news of a start."""
    return [f"{one.levelname} {one.message}" for one in caplog.records if one.message.startswith(f"{counter.name} on")]


FAULTS = [
    pytest.param(cut, "could not be reached", id="dies in the middle"),
    pytest.param(hang, "gave no answer in time", id="never answers"),
    pytest.param(drip, "gave no answer in time", id="drips"),
    pytest.param(web_page, "sent a web page instead of prices", id="a web page with 200"),
    pytest.param(answering(429), "throttled: answered 429 Too Many Requests", id="429"),
    pytest.param(answering(429, Retry_After="120"), "it will be asked again at 15:07:00 UTC", id="429 with its time"),
]


@pytest.mark.parametrize(("fault", "words"), FAULTS)
async def test_a_venue_that_fails_leaves_the_other_to_go_on(
    street: Street, caplog: pytest.LogCaptureFixture, fault: Fault, words: str
) -> None:
    caplog.set_level("INFO")
    begin, coinbase = BEGIN + 5 * MINUTE, street.coinbase

    coinbase.fail(fault)
    await street.floor.tick(begin, 0.09)
    failing, sides = await view(street), await fired(street)
    await street.floor.tick(begin + MINUTE, 0.09)
    if fault is cut:
        await coinbase.shut()
    await street.floor.tick(begin + 2 * MINUTE, 0.09)
    await street.floor.tick(begin + 3 * MINUTE, 0.09)
    if fault is cut:
        await coinbase.open()
    coinbase.fail(None)
    await street.floor.tick(begin + 25 * MINUTE, 0.0)
    mended = await view(street)

    assert failing.live is not None
    assert [Side.ABOVE] == sides
    assert Verdict.DEGRADED is failing.live.trust.verdict
    assert "BTC's last trade is from Bitstamp alone" in failing.live.trust.reasons
    assert failing.crypto is not None
    assert ("Bitstamp", begin) == (failing.crypto.source, failing.crypto.at)
    assert ([], ()) == (await fired(street), mended.problems)
    assert mended.crypto is not None
    assert "Coinbase and Bitstamp" == mended.crypto.source
    failure, recovery = lines(caplog, coinbase)
    assert failure.startswith("WARNING Coinbase on BTC: ")
    assert any(problem.startswith("Coinbase on BTC: ") for problem in failing.problems)
    assert any(words in problem for problem in [failure, *failing.problems])
    assert "INFO Coinbase on BTC: answers again" == recovery


@pytest.mark.parametrize(("fault", "words"), FAULTS)
async def test_where_nobody_else_has_last_trades_nothing_fires_or_resolves(
    street: Street, caplog: pytest.LogCaptureFixture, fault: Fault, words: str
) -> None:
    """WGMI's last trade is Yahoo's alone: an open alert stays open, and the rule says that it sees nothing."""
    caplog.set_level("INFO")
    await street.floor.tick(BEGIN + 4 * MINUTE, 0.09)
    yahoo, begin = street.yahoo, BEGIN + 5 * MINUTE

    yahoo.fail(fault)
    await street.floor.tick(begin, 0.0)
    first, sides = await view(street), [await fired(street)]
    for step in (21, 22, 53):
        await street.floor.tick(begin + step * MINUTE, 0.0)
        sides.append(await fired(street))
    dark, state = await view(street), await status(street)
    yahoo.fail(None)
    await street.floor.tick(begin + 75 * MINUTE, 0.0)

    assert [[Side.ABOVE]] * 4 == sides
    assert (None, Status.NODATA) == (dark.live, state)
    assert "the last WGMI trade at Yahoo is 54 min old" == dark.live_reason
    assert any(words.split(" at ", maxsplit=1)[0] in problem for problem in first.problems)
    assert [] == await fired(street)
    failure, recovery = lines(caplog, yahoo)
    assert failure.startswith("WARNING Yahoo on WGMI: ")
    assert "INFO Yahoo on WGMI: answers again" == recovery


@pytest.mark.parametrize(("wish", "asked_again"), [(None, 1), ("120", 2)], ids=["its own minute", "the named time"])
async def test_a_throttled_venue_is_left_alone_for_as_long_as_is_due(
    street: Street, wish: str | None, asked_again: int
) -> None:
    street.coinbase.fail(answering(429, Retry_After=wish) if wish else answering(429))
    begin = BEGIN + 5 * MINUTE
    await street.floor.tick(begin, 0.0)
    street.coinbase.asked.clear()

    for step in range(1, asked_again + 1):
        assert [] == street.coinbase.asked
        await street.floor.tick(begin + step * MINUTE, 0.0)

    assert 1 == len(street.coinbase.asked)


async def test_a_source_that_fails_every_other_call_is_asked_again_at_once(
    street: Street, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for counter in (street.yahoo, street.coinbase):
        counter.flaps, counter.fault = True, answering(503)

    seen = []
    for step in range(5, 11):
        await street.floor.tick(BEGIN + step * MINUTE, 0.09 if step < 10 else 0.0)
        seen.append(await view(street))

    assert {()} == {one.problems for one in seen}
    assert {"Coinbase and Bitstamp"} == {one.crypto.source for one in seen if one.crypto}
    assert ([], []) == (lines(caplog, street.yahoo), lines(caplog, street.coinbase))
    assert [1] == [len(await street.floor.desk.history(DESK))]
    assert [] == await fired(street)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param(answering(403), "answered 403 Forbidden; it turns this machine away", id="403"),
        pytest.param(answering(404), "check", id="404"),
        pytest.param(answering(500), "answered 500 Internal Server Error; the fault is on its side", id="500"),
        pytest.param(answering(503, Retry_After="30"), "answered 503 Service Unavailable", id="503 with its time"),
    ],
)
async def test_sources_that_come_and_go_are_used_while_they_are_there(
    street: Street, caplog: pytest.LogCaptureFixture, fault: Fault, words: str
) -> None:
    """Every other round fails as a whole: no alert, no pause, one line for each failure and one for each recovery."""
    caplog.set_level("INFO")
    seen, asked = [], []
    for step in range(1, 7):
        for counter in (street.yahoo, street.coinbase):
            counter.fail(fault if step % 2 else None)
        await street.floor.tick(BEGIN + 5 * step * MINUTE, 0.0)
        seen.append(await view(street))
        street.yahoo.asked.clear()
        street.coinbase.asked.clear()
        street.floor.clock.advance(MINUTE / 3)  # sooner than the shortest pause would end
        await view(street)
        asked.append((len(street.yahoo.asked), len(street.coinbase.asked)))

    assert [Verdict.DEGRADED, Verdict.OK] * 3 == [one.quoted.verdict for one in seen]
    assert ["Bitstamp", "Coinbase and Bitstamp"] * 3 == [one.crypto.source for one in seen if one.crypto]
    assert [2, 0] * 3 == [len(one.problems) for one in seen]
    assert all(one.live is not None for one in seen)
    assert [] == await street.floor.desk.history(DESK)
    assert all(yahoo and coinbase for yahoo, coinbase in asked)
    for counter in (street.yahoo, street.coinbase):
        told = lines(caplog, counter)
        assert ["WARNING", "INFO"] * 3 == [line.split(" ", maxsplit=1)[0] for line in told]
        assert all(words in line for line in told[::2])


async def test_a_round_waits_once_for_sources_that_hang(street: Street, caplog: pytest.LogCaptureFixture) -> None:
    """At a full hour bars and the last trade are due: both are under way before either is given up."""
    caplog.set_level("INFO")
    yahoo, coinbase, hour = street.yahoo, street.coinbase, BEGIN + HOUR
    await street.floor.tick(hour - MINUTE, 0.0)
    for counter in (yahoo, coinbase):
        counter.fail(hang)
        counter.asked.clear()

    await street.floor.tick(hour, 0.09)
    seen, first = await view(street), [len(yahoo.asked), *sorted(path.split("?")[0] for path in coinbase.asked)]
    street.floor.clock.advance(MINUTE / 3)
    again = await view(street)
    later = len(yahoo.asked), len(coinbase.asked)

    assert [1, "/products/BTC-USD/candles", "/products/BTC-USD/ticker"] == first
    assert (1, 2) == later
    for one in (seen, again):
        assert one.etf is not None
        assert one.live is not None
        assert (20.0, hour - MINUTE, hour - MINUTE) == (one.etf.price, one.etf.at, one.live.at)
        assert [
            f"{symbol}: gave no answer in time; check this machine's network and proxy"
            for symbol in ("Yahoo on WGMI", "Coinbase on BTC")
        ] == list(one.problems)
    await street.floor.tick(hour + 2 * MINUTE)
    aged = await view(street)
    assert aged.live is not None
    assert aged.crypto is not None
    assert (hour - MINUTE, "Bitstamp", hour + 2 * MINUTE) == (aged.live.at, aged.crypto.source, aged.crypto.at)
    assert Verdict.DEGRADED is aged.quoted.verdict
    assert [] == await fired(street)
    assert [1, 1] == [len(lines(caplog, counter)) for counter in (yahoo, coinbase)]


async def test_one_look_after_each_pause_tells_when_a_source_hangs_no_longer(street: Street) -> None:
    yahoo, coinbase, hour = street.yahoo, street.coinbase, BEGIN + HOUR
    for counter in (yahoo, coinbase):
        counter.fail(hang)
    asked = []
    for step in range(5):
        yahoo.asked.clear()
        coinbase.asked.clear()
        await street.floor.tick(hour + step * MINUTE, 0.09)
        asked.append((len(yahoo.asked), len(coinbase.asked)))
    for counter in (yahoo, coinbase):
        counter.fail(None)

    await street.floor.tick(hour + 10 * MINUTE, 0.09)

    assert [(1, 2), (1, 1), (1, 1), (0, 0), (1, 1)] == asked  # pauses of 30 s, 1 min, 2 min
    assert () == (await view(street)).problems
    assert [Side.ABOVE] == await fired(street)


async def test_an_etf_answer_of_yesterday_under_todays_stamp_is_not_believed(
    street: Street, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    begin = BEGIN + 5 * MINUTE
    await street.floor.tick(begin, 0.09)

    street.yahoo.market = Vendors(SetClock(CLOSE - timedelta(days=1)), etf_moves={YESTERDAY: 20.0})
    street.yahoo.restamp = _trade_of_now(street)
    await street.floor.tick(begin + MINUTE)
    young = await view(street)
    await street.floor.tick(begin + 22 * MINUTE)
    old, sides = await view(street), await fired(street)
    street.yahoo.market, street.yahoo.restamp = street.floor.vendors, None
    await street.floor.tick(begin + 23 * MINUTE, 0.0)

    problem = "Yahoo on WGMI: tells a trade of today, but its newest bar is of 2026-03-03; it will be asked again"
    assert (problem, problem) == (young.problems[0], old.problems[0])
    assert young.etf is not None
    assert 21.8 == pytest.approx(young.etf.price)
    assert (None, "the last WGMI trade at Yahoo is 22 min old") == (old.live, old.live_reason)
    assert ([Side.ABOVE], []) == (sides, await fired(street))
    assert [f"WARNING {problem}", "INFO Yahoo on WGMI: answers again"] == lines(caplog, street.yahoo)


async def test_a_bitcoin_price_of_yesterday_under_todays_stamp_is_disputed(street: Street) -> None:
    street.coinbase.market = Vendors(SetClock(BEGIN), crypto_moves={datetime(2020, 1, 1, tzinfo=UTC): 55_000.0})
    street.coinbase.restamp = lambda body: body.update(time=f"{street.floor.clock.at:%Y-%m-%dT%H:%M:%SZ}")

    await street.floor.tick(BEGIN + 5 * MINUTE, 0.0)
    seen = await view(street)

    assert [] == await fired(street)
    assert seen.live is not None
    assert Verdict.SUSPECT is seen.live.trust.verdict
    assert "Bitstamp has 50,000 and Coinbase 55,000, 10.0% apart" in seen.live.trust.reasons


async def test_a_jump_at_the_only_venue_that_is_left_fires_nothing_until_another_says_so(street: Street) -> None:
    """Bitcoin falls by 30% within minutes, and nobody else can tell: a fat finger, or the news of the year."""
    begin = BEGIN + 5 * MINUTE
    street.bitstamp.fail(answering(404))
    street.coinbase.restamp = _fallen_by(0.3)
    await street.floor.tick(begin, 0.0)
    alone, sides = await view(street), await fired(street)
    street.floor.vendors.crypto_moves[begin] = 35_000.0
    street.coinbase.restamp = None
    street.bitstamp.fail(None)

    await street.floor.tick(begin + 5 * MINUTE, 0.0)

    assert alone.live is not None
    assert Verdict.SUSPECT is alone.live.trust.verdict
    assert "BTC moved by −30.0%, far beyond its usual hour, and no second source says so" in alone.live.trust.reasons
    assert ([], [Side.ABOVE]) == (sides, await fired(street))


async def test_a_source_that_is_a_week_late_is_said_to_be(street: Street, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    floor, week = street.floor, timedelta(days=7)
    await floor.tick(BEGIN + 4 * MINUTE, 0.09)
    past = SetClock(floor.clock.at - week)
    street.yahoo.market = street.coinbase.market = Vendors(past, etf_moves={YESTERDAY: 20.0})

    await floor.tick(BEGIN + 5 * MINUTE)
    young = await view(street)
    await floor.tick(BEGIN + 40 * MINUTE)
    old, sides = await view(street), await fired(street)
    street.yahoo.market = street.coinbase.market = floor.vendors
    await floor.tick(BEGIN + 41 * MINUTE, 0.0)

    late = "Yahoo on WGMI: is late: its newest close is of 2026-02-24, 5 sessions before the last"
    coin = "Coinbase on BTC: is late: its last trade is of 2026-02-25 15:04 UTC"
    assert [late, coin] == list(young.problems)
    assert (None, "the last WGMI trade at Yahoo is 36 min old") == (old.live, old.live_reason)
    assert old.crypto is not None
    assert "Bitstamp" == old.crypto.source
    assert (Verdict.OK, [Side.ABOVE], []) == (old.close.trust.verdict, sides, await fired(street))
    assert [f"WARNING {late}", "INFO Yahoo on WGMI: its answers can be used again"] == lines(caplog, street.yahoo)
    assert [f"WARNING {coin}", "INFO Coinbase on BTC: its answers can be used again"] == lines(caplog, street.coinbase)


async def test_a_source_that_is_a_week_late_at_the_start_leaves_the_close_to_the_other() -> None:
    async with open_street(seeded=False) as street:
        street.floor.clock.at = CLOSE + 2 * HOUR
        street.yahoo.market = Vendors(SetClock(CLOSE - timedelta(days=7)), etf_moves={YESTERDAY: 20.0})

        leg = await street.floor.market.history.leg(WGMI, street.floor.clock.at)

        assert (Verdict.DEGRADED, ("WGMI's close is from Nasdaq alone",)) == (
            leg.past.trust(np.datetime64(YESTERDAY)).verdict,
            leg.past.trust(np.datetime64(YESTERDAY)).reasons,
        )
        assert "is late" in leg.problems[0]


async def test_prices_of_another_symbol_are_left_out_and_the_past_stays(
    street: Street, caplog: pytest.LogCaptureFixture
) -> None:
    """Under the right name, as after a mix-up behind a cache; the past that is known must outlive it."""
    caplog.set_level("INFO")
    floor, begin = street.floor, BEGIN + 5 * MINUTE
    before = (await floor.store.load_closes(WGMI, "Yahoo", YESTERDAY - timedelta(days=60))).prices.tolist()
    street.yahoo.market = street.coinbase.market = _another_symbol(floor.clock, begin)

    await floor.tick(begin, 0.0)
    seen = await view(street)
    await floor.tick(begin + 10 * MINUTE)
    alerts = await floor.desk.history(DESK)
    street.yahoo.market = street.coinbase.market = floor.vendors
    await floor.tick(begin + 11 * MINUTE, 0.0)

    problem = (
        "Yahoo on WGMI: sent closes unlike those before, as of another symbol, and no split explains them; "
        "they are left out"
    )
    assert (problem,) == seen.problems
    assert seen.live is not None
    assert Verdict.SUSPECT is seen.live.trust.verdict
    assert any("Coinbase has 3,000 and Bitstamp 50,000" in one for one in seen.live.trust.reasons)
    assert ([], ()) == (alerts, (await view(street)).problems)
    assert before == (await floor.store.load_closes(WGMI, "Yahoo", YESTERDAY - timedelta(days=60))).prices.tolist()
    assert [f"WARNING {problem}", "INFO Yahoo on WGMI: its answers can be used again"] == lines(caplog, street.yahoo)


async def test_another_past_that_stands_for_a_day_is_believed() -> None:
    async with open_street() as street:
        history, clock = street.history(alone=True), street.floor.clock
        await history.leg(WGMI, clock.at)
        clock.at, street.yahoo.market = BEGIN, _another_symbol(clock, BEGIN)

        first = await history.leg(WGMI, BEGIN)
        clock.at = BEGIN + timedelta(days=1)
        second = await history.leg(WGMI, clock.at)

        assert (1, 0) == (len(first.problems), len(second.problems))
        assert second.past.prices.sessions[-1] == np.datetime64(TODAY)  # type: ignore[union-attr]
        assert second.past.agreed.prices[-1] > 50


async def test_an_answer_that_names_another_symbol_is_refused(street: Street, caplog: pytest.LogCaptureFixture) -> None:
    def rename(body: dict[str, Any]) -> None:
        body["chart"]["result"][0]["meta"]["symbol"] = "MARA"

    caplog.set_level("INFO")
    street.yahoo.restamp = rename
    await street.floor.tick(BEGIN + 5 * MINUTE, 0.09)
    seen = await view(street)
    street.yahoo.restamp = None
    await street.floor.tick(BEGIN + 6 * MINUTE, 0.0)

    assert ("Yahoo on WGMI: answered about MARA instead",) == seen.problems
    assert [] == await street.floor.desk.history(DESK)
    assert ["WARNING Yahoo on WGMI: answered about MARA instead", "INFO Yahoo on WGMI: answers again"] == lines(
        caplog, street.yahoo
    )


async def test_a_long_fetch_that_is_killed_goes_on_where_it_was(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Of eight months, two slices of 75 days are in the store when the third is cut off after two of its pages."""
    caplog.set_level("INFO")
    async with open_street(f"sqlite:///{tmp_path}/prices.db", seeded=False) as street:
        floor, coinbase = street.floor, street.coinbase
        for source in ("Coinbase", "Bitstamp"):
            await floor.store.save_bars(crypto_bars({datetime(2025, 7, 1, tzinfo=UTC): 50_000.0}, source=source))
        floor.clock.at, coinbase.let_through = BEGIN, 14
        killed = asyncio.create_task(street.history().leg(BTC, BEGIN))
        await coinbase.hung_up_on.wait()
        killed.cancel()
        with pytest.raises(asyncio.CancelledError):
            await killed
        kept = await floor.store.load_bars(BTC, "Coinbase", HOUR, LONG_AGO)
        coinbase.let_through = None
        coinbase.asked.clear()

        await street.history().leg(BTC, BEGIN)

        whole = await floor.store.load_bars(BTC, "Coinbase", HOUR, LONG_AGO)
        pages = [unquote(path) for path in coinbase.asked if "candles" in path]
        assert 2 * 75 * 24 == len(kept)
        assert ["2025-11-27T21:00:00Z", "2025-12-10T09:00:00Z"] == [page.split("start=")[1][:20] for page in pages[:2]]
        assert np.datetime64("2025-11-27T22:00") == kept.opened_at[-1]  # its hour and the one before are asked again
        assert 8 == len(pages) == len(set(pages))
        assert np.datetime64("2026-03-04T15:00") == whole.ended_at[-1]
        assert {np.timedelta64(HOUR)} == set(np.diff(whole.opened_at).tolist())
        assert [
            "INFO Coinbase on BTC: hours up to 2025-09-13 of 2026-03-04, 30% of what was missing",
            "INFO Coinbase on BTC: hours up to 2025-11-27 of 2026-03-04, 61% of what was missing",
            "INFO Coinbase on BTC: hours up to 2026-02-10 of 2026-03-04, 78% of what was missing",
            "INFO Coinbase on BTC: hours up to 2026-03-04 of 2026-03-04, 100% of what was missing",
        ] == lines(caplog, coinbase)


async def test_the_first_closes_of_each_source_are_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with open_street(seeded=False) as street:
        await street.history().leg(WGMI, street.floor.clock.at)

        told = ["637 closes from 2023-08-17 to 2026-03-03"]
        assert [f"INFO {name} on WGMI: {one}" for name in ("Yahoo", "Nasdaq") for one in told] == [
            *lines(caplog, street.yahoo),
            *lines(caplog, street.nasdaq),
        ]


async def test_a_second_start_fetches_only_the_last_sessions_of_each_source() -> None:
    async with open_street() as street:
        street.floor.clock.at = BEGIN
        await street.history().leg(WGMI, BEGIN)
        await street.history().leg(BTC, BEGIN)
        counters = (street.yahoo, street.nasdaq, street.coinbase, street.bitstamp)
        for counter in counters:
            counter.asked.clear()

        again = street.history()
        await asyncio.gather(again.leg(WGMI, BEGIN), again.leg(BTC, BEGIN))

        assert [1, 1, 1, 1] == [len(counter.asked) for counter in counters]  # bars are whole: the last trade only
        assert "fromdate=2026-02-24" in street.nasdaq.asked[0]


def _trade_of_now(street: Street) -> Any:  # noqa: ANN401 -- a vendor's document has any shape
    def restamp(body: dict[str, Any]) -> None:
        meta = body["chart"]["result"][0]["meta"]
        meta["regularMarketTime"] = int(street.floor.clock.at.timestamp())

    return restamp


def _fallen_by(share: float) -> Any:  # noqa: ANN401 -- as above
    def restamp(body: Any) -> None:  # noqa: ANN401 -- as above
        if isinstance(body, dict):
            body["price"] = f"{float(body['price']) * (1 - share):.2f}"

    return restamp


def _another_symbol(clock: SetClock, at: datetime) -> Vendors:
    days = CALENDAR.days[CALENDAR.days < np.datetime64("2026-03-06")].tolist()
    prices = {day: 55 * (1 + 0.05 * np.sin(day.toordinal())) for day in days[-SEEDED:]}
    dear = {datetime(2020, 1, 1, tzinfo=UTC): 3_000.0}
    return Vendors(clock, etf_moves=prices, etf_last=(55.0, at), crypto_moves=dear)

"""What a trader sees while a source fails, from real sockets through all services to the alert."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import stamina

from handlers.render.reasons import sentence, sentences
from services.core.prices import WGMI_BTC
from services.core.trust import Verdict
from services.rules.decide import RuleStatus, Side
from services.rules.market_view import MarketView
from tests.fakes.clock import SetClock
from tests.fakes.harness import CHANNEL, CLOSE, OPEN, TODAY, YESTERDAY
from tests.fakes.market import CALENDAR, crypto_bars
from tests.fakes.vendor_servers import (
    BTC,
    HOUR,
    SEEDED_DAYS,
    WGMI,
    Fault,
    VendorServer,
    VendorServers,
    answering,
    cut_connection,
    drip,
    hang,
    vendor_servers,
    web_page,
)
from tests.fakes.vendors import Vendors

BEGIN = OPEN + timedelta(minutes=30)
MINUTE = timedelta(minutes=1)
LONG_AGO = datetime(2015, 1, 1, tzinfo=UTC)
RULE = "1d 8pp for 0s"


@pytest.fixture(autouse=True)
def _no_retry_delay() -> Iterator[None]:
    with stamina.set_testing(testing=True, attempts=10, cap=True):
        yield


@pytest.fixture
async def servers() -> AsyncIterator[VendorServers]:
    async with vendor_servers() as servers:
        await servers.harness.commands.add_rule(CHANNEL, RULE, "U1")
        await servers.harness.tick(BEGIN, 0.0)
        yield servers


async def view(servers: VendorServers) -> MarketView:
    return await servers.harness.market.view(WGMI_BTC, servers.harness.clock.at)


async def firing_sides(servers: VendorServers) -> list[Side]:
    return [alert.side for alert in await servers.harness.open_alerts(CHANNEL)]


async def status(servers: VendorServers) -> RuleStatus:
    (watch,) = await servers.harness.store.rules(CHANNEL)
    return watch.state.status(servers.harness.clock.at)


def log_lines(caplog: pytest.LogCaptureFixture, server: VendorServer) -> list[str]:
    """Return the log lines about one source, without those of the startup."""
    return [f"{one.levelname} {one.message}" for one in caplog.records if one.message.startswith(f"{server.name} (")]


FAULTS = [
    pytest.param(cut_connection, "couldn't be reached", id="dies in the middle"),
    pytest.param(hang, "didn't respond in time", id="never answers"),
    pytest.param(drip, "didn't respond in time", id="drips"),
    pytest.param(web_page, "sent a web page instead of prices", id="a web page with 200"),
    pytest.param(answering(429), "throttled: HTTP 429 Too Many Requests", id="429"),
    pytest.param(answering(429, Retry_After="120"), "next try at 10:07:00 AM ET", id="429 with its time"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS)
async def test_a_failing_venue_does_not_affect_the_other(
    servers: VendorServers, caplog: pytest.LogCaptureFixture, fault: Fault, message: str
) -> None:
    caplog.set_level("INFO")
    begin, coinbase = BEGIN + 5 * MINUTE, servers.coinbase

    coinbase.fail(fault)
    await servers.harness.tick(begin, 0.09)
    failing, sides = await view(servers), await firing_sides(servers)
    await servers.harness.tick(begin + MINUTE, 0.09)
    if fault is cut_connection:
        await coinbase.close()
    await servers.harness.tick(begin + 2 * MINUTE, 0.09)
    await servers.harness.tick(begin + 3 * MINUTE, 0.09)
    if fault is cut_connection:
        await coinbase.open()
    coinbase.fail(None)
    await servers.harness.tick(begin + 25 * MINUTE, 0.0)
    recovered = await view(servers)

    assert failing.live is not None
    assert [Side.ABOVE] == sides
    assert Verdict.DEGRADED is failing.live.trust.verdict
    assert "BTC's last trade is from Bitstamp only" in sentences(failing.live.trust.reasons)
    assert failing.crypto is not None
    assert ("Bitstamp", begin) == (failing.crypto.source, failing.crypto.at)
    assert ([], ()) == (await firing_sides(servers), recovered.problems)
    assert recovered.crypto is not None
    assert "Coinbase and Bitstamp" == recovered.crypto.source
    failure, recovery = log_lines(caplog, coinbase)
    assert failure.startswith("WARNING Coinbase (BTC): ")
    assert any(problem.startswith("Coinbase (BTC): ") for problem in sentences(failing.problems))
    assert any(message in problem for problem in [failure, *sentences(failing.problems)])
    assert "INFO Coinbase (BTC): recovered" == recovery


@pytest.mark.parametrize(("fault", "message"), FAULTS)
async def test_without_another_source_of_last_trades_nothing_fires_or_resolves(
    servers: VendorServers, caplog: pytest.LogCaptureFixture, fault: Fault, message: str
) -> None:
    """Only Yahoo has WGMI's last trade: an open alert stays open, and the rule reports No data."""
    caplog.set_level("INFO")
    await servers.harness.tick(BEGIN + 4 * MINUTE, 0.09)
    yahoo, begin = servers.yahoo, BEGIN + 5 * MINUTE

    yahoo.fail(fault)
    await servers.harness.tick(begin, 0.0)
    first, sides = await view(servers), [await firing_sides(servers)]
    for step in (21, 22, 53):
        await servers.harness.tick(begin + step * MINUTE, 0.0)
        sides.append(await firing_sides(servers))
    nodata, state = await view(servers), await status(servers)
    yahoo.fail(None)
    await servers.harness.tick(begin + 75 * MINUTE, 0.0)

    assert [[Side.ABOVE]] * 4 == sides
    assert (None, RuleStatus.NODATA) == (nodata.live, state)
    assert "the last WGMI trade from Yahoo is 54 min old" == sentence(nodata.live_reason)
    assert any(message.split(" at ", maxsplit=1)[0] in problem for problem in sentences(first.problems))
    assert [] == await firing_sides(servers)
    failure, recovery = log_lines(caplog, yahoo)
    assert failure.startswith("WARNING Yahoo (WGMI): ")
    assert "INFO Yahoo (WGMI): recovered" == recovery


@pytest.mark.parametrize(
    ("retry_after", "called_after"), [(None, 1), ("120", 2)], ids=["its own minute", "the named time"]
)
async def test_a_throttled_venue_is_not_called_during_its_backoff(
    servers: VendorServers, retry_after: str | None, called_after: int
) -> None:
    servers.coinbase.fail(answering(429, Retry_After=retry_after) if retry_after else answering(429))
    begin = BEGIN + 5 * MINUTE
    await servers.harness.tick(begin, 0.0)
    servers.coinbase.requests.clear()

    for step in range(1, called_after + 1):
        assert [] == servers.coinbase.requests
        await servers.harness.tick(begin + step * MINUTE, 0.0)

    assert 1 == len(servers.coinbase.requests)


async def test_a_source_that_fails_every_other_call_is_retried_at_once(
    servers: VendorServers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for server in (servers.yahoo, servers.coinbase):
        server.alternate_failures, server.fault = True, answering(503)

    seen = []
    for step in range(5, 11):
        await servers.harness.tick(BEGIN + step * MINUTE, 0.09 if step < 10 else 0.0)
        seen.append(await view(servers))

    assert {()} == {one.problems for one in seen}
    assert {"Coinbase and Bitstamp"} == {one.crypto.source for one in seen if one.crypto}
    assert ([], []) == (log_lines(caplog, servers.yahoo), log_lines(caplog, servers.coinbase))
    assert [1] == [len(await servers.harness.commands.history(CHANNEL))]
    assert [] == await firing_sides(servers)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param(answering(403), "HTTP 403 Forbidden; it blocks this machine", id="403"),
        pytest.param(answering(404), "check", id="404"),
        pytest.param(answering(500), "HTTP 500 Internal Server Error; a fault at the source", id="500"),
        pytest.param(answering(503, Retry_After="30"), "HTTP 503 Service Unavailable", id="503 with its time"),
    ],
)
async def test_flapping_sources_are_used_while_available(
    servers: VendorServers, caplog: pytest.LogCaptureFixture, fault: Fault, message: str
) -> None:
    """Every other tick fails completely: no alert, no backoff, one log line per failure and one per recovery."""
    caplog.set_level("INFO")
    seen, request_counts = [], []
    for step in range(1, 7):
        for server in (servers.yahoo, servers.coinbase):
            server.fail(fault if step % 2 else None)
        await servers.harness.tick(BEGIN + 5 * step * MINUTE, 0.0)
        seen.append(await view(servers))
        servers.yahoo.requests.clear()
        servers.coinbase.requests.clear()
        servers.harness.clock.advance(MINUTE / 3)  # less than the shortest backoff
        await view(servers)
        request_counts.append((len(servers.yahoo.requests), len(servers.coinbase.requests)))

    assert [Verdict.DEGRADED, Verdict.OK] * 3 == [one.crypto_trust.verdict for one in seen]
    assert ["Bitstamp", "Coinbase and Bitstamp"] * 3 == [one.crypto.source for one in seen if one.crypto]
    assert [2, 0] * 3 == [len(one.problems) for one in seen]
    assert all(one.live is not None for one in seen)
    assert [] == await servers.harness.commands.history(CHANNEL)
    assert all(yahoo and coinbase for yahoo, coinbase in request_counts)
    for server in (servers.yahoo, servers.coinbase):
        logged = log_lines(caplog, server)
        assert ["WARNING", "INFO"] * 3 == [line.split(" ", maxsplit=1)[0] for line in logged]
        assert all(message in line for line in logged[::2])


async def test_a_tick_waits_once_for_sources_that_hang(
    servers: VendorServers, caplog: pytest.LogCaptureFixture
) -> None:
    """On the hour, bars and the last trade are due; both requests run before either times out."""
    caplog.set_level("INFO")
    yahoo, coinbase, hour = servers.yahoo, servers.coinbase, BEGIN + HOUR
    await servers.harness.tick(hour - MINUTE, 0.0)
    for server in (yahoo, coinbase):
        server.fail(hang)
        server.requests.clear()

    await servers.harness.tick(hour, 0.09)
    seen, first = await view(servers), [len(yahoo.requests), *sorted(path.split("?")[0] for path in coinbase.requests)]
    servers.harness.clock.advance(MINUTE / 3)
    again = await view(servers)
    later = len(yahoo.requests), len(coinbase.requests)

    assert [1, "/products/BTC-USD/candles", "/products/BTC-USD/ticker"] == first
    assert (1, 2) == later
    for one in (seen, again):
        assert one.etf is not None
        assert one.live is not None
        assert (20.0, hour - MINUTE, hour - MINUTE) == (one.etf.price, one.etf.at, one.live.at)
        assert [
            f"{symbol}: didn't respond in time; check this machine's network and proxy"
            for symbol in ("Yahoo (WGMI)", "Coinbase (BTC)")
        ] == sentences(one.problems)
    await servers.harness.tick(hour + 2 * MINUTE)
    aged = await view(servers)
    assert aged.live is not None
    assert aged.crypto is not None
    assert (hour - MINUTE, "Bitstamp", hour + 2 * MINUTE) == (aged.live.at, aged.crypto.source, aged.crypto.at)
    assert Verdict.DEGRADED is aged.crypto_trust.verdict
    assert [] == await firing_sides(servers)
    assert [1, 1] == [len(log_lines(caplog, server)) for server in (yahoo, coinbase)]


async def test_one_probe_after_each_backoff_detects_recovery(servers: VendorServers) -> None:
    yahoo, coinbase, hour = servers.yahoo, servers.coinbase, BEGIN + HOUR
    for server in (yahoo, coinbase):
        server.fail(hang)
    request_counts = []
    for step in range(5):
        yahoo.requests.clear()
        coinbase.requests.clear()
        await servers.harness.tick(hour + step * MINUTE, 0.09)
        request_counts.append((len(yahoo.requests), len(coinbase.requests)))
    for server in (yahoo, coinbase):
        server.fail(None)

    await servers.harness.tick(hour + 10 * MINUTE, 0.09)

    assert [(1, 2), (1, 1), (1, 1), (0, 0), (1, 1)] == request_counts  # backoffs of 30 s, 1 min, 2 min
    assert () == (await view(servers)).problems
    assert [Side.ABOVE] == await firing_sides(servers)


async def test_yesterdays_etf_prices_with_todays_timestamp_are_rejected(
    servers: VendorServers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    begin = BEGIN + 5 * MINUTE
    await servers.harness.tick(begin, 0.09)

    servers.yahoo.market = Vendors(SetClock(CLOSE - timedelta(days=1)), etf_moves={YESTERDAY: 20.0})
    servers.yahoo.rewrite = _stamp_with_now(servers)
    await servers.harness.tick(begin + MINUTE)
    early = await view(servers)
    await servers.harness.tick(begin + 22 * MINUTE)
    later, sides = await view(servers), await firing_sides(servers)
    servers.yahoo.market, servers.yahoo.rewrite = servers.harness.vendors, None
    await servers.harness.tick(begin + 23 * MINUTE, 0.0)

    problem = "Yahoo (WGMI): sent a trade from today, but its newest bar is from 2026-03-03; MinerPulse retries"
    assert (problem, problem) == (sentence(early.problems[0]), sentence(later.problems[0]))
    assert early.etf is not None
    assert 21.8 == pytest.approx(early.etf.price)
    assert (None, "the last WGMI trade from Yahoo is 22 min old") == (later.live, sentence(later.live_reason))
    assert ([Side.ABOVE], []) == (sides, await firing_sides(servers))
    assert [f"WARNING {problem}", "INFO Yahoo (WGMI): recovered"] == log_lines(caplog, servers.yahoo)


async def test_yesterdays_bitcoin_price_with_todays_timestamp_is_disputed(servers: VendorServers) -> None:
    servers.coinbase.market = Vendors(SetClock(BEGIN), crypto_moves={datetime(2020, 1, 1, tzinfo=UTC): 55_000.0})
    servers.coinbase.rewrite = lambda body: body.update(time=f"{servers.harness.clock.at:%Y-%m-%dT%H:%M:%SZ}")

    await servers.harness.tick(BEGIN + 5 * MINUTE, 0.0)
    seen = await view(servers)

    assert [] == await firing_sides(servers)
    assert seen.live is not None
    assert Verdict.SUSPECT is seen.live.trust.verdict
    assert "Bitstamp has $50,000 and Coinbase $55,000, 10.0% apart" in sentences(seen.live.trust.reasons)


async def test_a_jump_at_the_only_remaining_venue_fires_only_after_confirmation(servers: VendorServers) -> None:
    """Bitcoin falls by 30% within minutes at a single venue: it may be a fat-finger trade or real news."""
    begin = BEGIN + 5 * MINUTE
    servers.bitstamp.fail(answering(404))
    servers.coinbase.rewrite = _price_lowered_by(0.3)
    await servers.harness.tick(begin, 0.0)
    alone, sides = await view(servers), await firing_sides(servers)
    servers.harness.vendors.crypto_moves[begin] = 35_000.0
    servers.coinbase.rewrite = None
    servers.bitstamp.fail(None)

    await servers.harness.tick(begin + 5 * MINUTE, 0.0)

    assert alone.live is not None
    assert Verdict.SUSPECT is alone.live.trust.verdict
    assert "BTC moved −30.0%, far more than its usual hour, and no second source confirms it" in sentences(
        alone.live.trust.reasons
    )
    assert ([], [Side.ABOVE]) == (sides, await firing_sides(servers))


async def test_a_source_that_is_a_week_late_is_reported(
    servers: VendorServers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    harness, week = servers.harness, timedelta(days=7)
    await harness.tick(BEGIN + 4 * MINUTE, 0.09)
    past = SetClock(harness.clock.at - week)
    servers.yahoo.market = servers.coinbase.market = Vendors(past, etf_moves={YESTERDAY: 20.0})

    await harness.tick(BEGIN + 5 * MINUTE)
    early = await view(servers)
    await harness.tick(BEGIN + 40 * MINUTE)
    later, sides = await view(servers), await firing_sides(servers)
    servers.yahoo.market = servers.coinbase.market = harness.vendors
    await harness.tick(BEGIN + 41 * MINUTE, 0.0)

    late = "Yahoo (WGMI): late; its last close is from Feb 24, 2026, 5 sessions behind"
    coin = "Coinbase (BTC): late; its last trade is from Feb 25, 10:04 AM ET"
    assert [late, coin] == sentences(early.problems)
    assert (None, "the last WGMI trade from Yahoo is 36 min old") == (later.live, sentence(later.live_reason))
    assert later.crypto is not None
    assert "Bitstamp" == later.crypto.source
    assert (Verdict.OK, [Side.ABOVE], []) == (later.close.trust.verdict, sides, await firing_sides(servers))
    assert [
        "WARNING Yahoo (WGMI): closes_late(behind_sessions=5, newest=2026-02-24)",
        "INFO Yahoo (WGMI): recovered",
    ] == log_lines(caplog, servers.yahoo)
    assert [
        "WARNING Coinbase (BTC): trade_late(at=2026-02-25T15:04:00+00:00)",
        "INFO Coinbase (BTC): recovered",
    ] == log_lines(caplog, servers.coinbase)


async def test_at_startup_a_late_source_leaves_the_close_to_the_other() -> None:
    async with vendor_servers(seeded=False) as servers:
        servers.harness.clock.at = CLOSE + 2 * HOUR
        servers.yahoo.market = Vendors(SetClock(CLOSE - timedelta(days=7)), etf_moves={YESTERDAY: 20.0})

        leg = await servers.harness.market.history.leg(WGMI, servers.harness.clock.at)

        assert (Verdict.DEGRADED, ["WGMI's close is from Nasdaq only"]) == (
            leg.history.trust(np.datetime64(YESTERDAY)).verdict,
            sentences(leg.history.trust(np.datetime64(YESTERDAY)).reasons),
        )
        assert "late; " in sentence(leg.problems[0])


async def test_prices_of_another_symbol_are_dropped_and_the_history_is_kept(
    servers: VendorServers, caplog: pytest.LogCaptureFixture
) -> None:
    """The symbol name is right, as after a mix-up behind a cache; the stored history must survive it."""
    caplog.set_level("INFO")
    harness, begin = servers.harness, BEGIN + 5 * MINUTE
    before = (await harness.store.load_closes(WGMI, "Yahoo", YESTERDAY - timedelta(days=60))).prices.tolist()
    servers.yahoo.market = servers.coinbase.market = _another_symbol(harness.clock, begin)

    await harness.tick(begin, 0.0)
    seen = await view(servers)
    await harness.tick(begin + 10 * MINUTE)
    alerts = await harness.commands.history(CHANNEL)
    servers.yahoo.market = servers.coinbase.market = harness.vendors
    await harness.tick(begin + 11 * MINUTE, 0.0)

    problem = "Yahoo (WGMI): sent closes that look like another symbol's, and no split explains them; they are ignored"
    assert [problem] == sentences(seen.problems)
    assert seen.live is not None
    assert Verdict.SUSPECT is seen.live.trust.verdict
    assert any("Coinbase has $3,000 and Bitstamp $50,000" in one for one in sentences(seen.live.trust.reasons))
    assert ([], ()) == (alerts, (await view(servers)).problems)
    assert before == (await harness.store.load_closes(WGMI, "Yahoo", YESTERDAY - timedelta(days=60))).prices.tolist()
    assert ["WARNING Yahoo (WGMI): closes_unrelated", "INFO Yahoo (WGMI): recovered"] == log_lines(
        caplog, servers.yahoo
    )


async def test_a_different_history_is_accepted_after_a_day() -> None:
    async with vendor_servers() as servers:
        history, clock = servers.history(alone=True), servers.harness.clock
        await history.leg(WGMI, clock.at)
        clock.at, servers.yahoo.market = BEGIN, _another_symbol(clock, BEGIN)

        first = await history.leg(WGMI, BEGIN)
        clock.at = BEGIN + timedelta(days=1)
        second = await history.leg(WGMI, clock.at)

        assert (1, 0) == (len(first.problems), len(second.problems))
        assert second.history.prices.sessions[-1] == np.datetime64(TODAY)  # type: ignore[union-attr]
        assert second.history.agreed.prices[-1] > 50


async def test_a_response_about_another_symbol_is_rejected(
    servers: VendorServers, caplog: pytest.LogCaptureFixture
) -> None:
    def rename(body: dict[str, Any]) -> None:
        body["chart"]["result"][0]["meta"]["symbol"] = "MARA"

    caplog.set_level("INFO")
    servers.yahoo.rewrite = rename
    await servers.harness.tick(BEGIN + 5 * MINUTE, 0.09)
    seen = await view(servers)
    servers.yahoo.rewrite = None
    await servers.harness.tick(BEGIN + 6 * MINUTE, 0.0)

    assert ["Yahoo (WGMI): sent data on MARA instead"] == sentences(seen.problems)
    assert [] == await servers.harness.commands.history(CHANNEL)
    assert ["WARNING Yahoo (WGMI): sent data on MARA instead", "INFO Yahoo (WGMI): recovered"] == log_lines(
        caplog, servers.yahoo
    )


async def test_a_cancelled_long_fetch_resumes(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Of eight months, two slices of 75 days are stored when the third is cut off after two pages."""
    caplog.set_level("INFO")
    async with vendor_servers(f"sqlite:///{tmp_path}/prices.db", seeded=False) as servers:
        harness, coinbase = servers.harness, servers.coinbase
        for source in ("Coinbase", "Bitstamp"):
            await harness.store.save_bars(crypto_bars({datetime(2025, 7, 1, tzinfo=UTC): 50_000.0}, source=source))
        harness.clock.at, coinbase.max_requests = BEGIN, 14
        killed = asyncio.create_task(servers.history().leg(BTC, BEGIN))
        await coinbase.limit_reached.wait()
        killed.cancel()
        with pytest.raises(asyncio.CancelledError):
            await killed
        kept = await harness.store.load_bars(BTC, "Coinbase", HOUR, LONG_AGO)
        coinbase.max_requests = None
        coinbase.requests.clear()

        await servers.history().leg(BTC, BEGIN)

        whole = await harness.store.load_bars(BTC, "Coinbase", HOUR, LONG_AGO)
        pages = [unquote(path) for path in coinbase.requests if "candles" in path]
        assert 2 * 75 * 24 == len(kept)
        assert ["2025-11-27T21:00:00Z", "2025-12-10T09:00:00Z"] == [page.split("start=")[1][:20] for page in pages[:2]]
        assert np.datetime64("2025-11-27T22:00") == kept.opened_at[-1]  # its hour and the one before are fetched again
        assert 8 == len(pages) == len(set(pages))
        assert np.datetime64("2026-03-04T15:00") == whole.ended_at[-1]
        assert {np.timedelta64(HOUR)} == set(np.diff(whole.opened_at).tolist())
        assert [
            "INFO Coinbase (BTC): loaded hourly bars up to 2025-09-13; target 2026-03-04 (30% of the missing ones)",
            "INFO Coinbase (BTC): loaded hourly bars up to 2025-11-27; target 2026-03-04 (61% of the missing ones)",
            "INFO Coinbase (BTC): loaded hourly bars up to 2026-02-10; target 2026-03-04 (78% of the missing ones)",
            "INFO Coinbase (BTC): loaded hourly bars up to 2026-03-04; target 2026-03-04 (100% of the missing ones)",
        ] == log_lines(caplog, coinbase)


async def test_the_first_closes_of_each_source_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with vendor_servers(seeded=False) as servers:
        await servers.history().leg(WGMI, servers.harness.clock.at)

        logged = ["1194 closes from 2021-06-01 to 2026-03-03"]
        assert [f"INFO {name} (WGMI): {one}" for name in ("Yahoo", "Nasdaq") for one in logged] == [
            *log_lines(caplog, servers.yahoo),
            *log_lines(caplog, servers.nasdaq),
        ]


async def test_a_second_start_fetches_only_the_last_sessions_of_each_source() -> None:
    async with vendor_servers() as servers:
        servers.harness.clock.at = BEGIN
        await servers.history().leg(WGMI, BEGIN)
        await servers.history().leg(BTC, BEGIN)
        all_servers = (servers.yahoo, servers.nasdaq, servers.coinbase, servers.bitstamp)
        for server in all_servers:
            server.requests.clear()

        again = servers.history()
        await asyncio.gather(again.leg(WGMI, BEGIN), again.leg(BTC, BEGIN))

        assert [1, 1, 2, 2] == [len(server.requests) for server in all_servers]  # bars: the last two hours
        assert "fromdate=2026-02-24" in servers.nasdaq.requests[0]


def _stamp_with_now(servers: VendorServers) -> Any:  # noqa: ANN401 -- a vendor's document has any shape
    def restamp(body: dict[str, Any]) -> None:
        meta = body["chart"]["result"][0]["meta"]
        meta["regularMarketTime"] = int(servers.harness.clock.at.timestamp())

    return restamp


def _price_lowered_by(share: float) -> Any:  # noqa: ANN401 -- as above
    def restamp(body: Any) -> None:  # noqa: ANN401 -- as above
        if isinstance(body, dict):
            body["price"] = f"{float(body['price']) * (1 - share):.2f}"

    return restamp


def _another_symbol(clock: SetClock, at: datetime) -> Vendors:
    days = CALENDAR.days[CALENDAR.days < np.datetime64("2026-03-06")].tolist()
    prices = {day: 55 * (1 + 0.05 * np.sin(day.toordinal())) for day in days[-SEEDED_DAYS:]}
    high_prices = {datetime(2020, 1, 1, tzinfo=UTC): 3_000.0}
    return Vendors(clock, etf_moves=prices, etf_last=(55.0, at), crypto_moves=high_prices)

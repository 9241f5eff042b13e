from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from services.domain.errors import SourceError
from services.domain.prices import Symbol
from services.sources.alpaca import Alpaca
from tests.services.sources.conftest import RESPONSES, Reply, by_day, by_opening

if TYPE_CHECKING:
    from services.sources.http import HttpClient
    from tests.fakes.clock import SetClock
    from tests.services.sources.conftest import Line, Wire

WGMI, BTC = Symbol("WGMI"), Symbol("BTC")
LONG_AGO = date(2000, 1, 1)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NOON = datetime(2026, 10, 30, 12, tzinfo=UTC)
STOCK_BARS, STOCK_TRADES, CRYPTO_BARS, CRYPTO_TRADES = (
    (RESPONSES / f"alpaca_{name}.json").read_bytes()
    for name in ("stock_bars", "stock_trades", "crypto_bars", "crypto_trades")
)


@pytest.fixture
def alpaca(line: Line, clock: SetClock, client: HttpClient) -> Alpaca:
    line.answers(Reply(200, STOCK_BARS), Reply(200, STOCK_TRADES))
    return Alpaca(client, clock, "hush-id", "hush-secret")


async def failure(alpaca: Alpaca) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await alpaca.prices(WGMI, LONG_AGO)
    return caught.value


async def test_closes_and_the_last_trade_are_read(alpaca: Alpaca) -> None:
    prices = await alpaca.prices(WGMI, LONG_AGO)

    assert {"2026-10-28": 42.0, "2026-10-29": 40.75, "2026-10-30": 41.5} == by_day(prices.closes)
    assert prices.quote is not None
    assert (42.25, "2026-11-20 17:45:01.123456+00:00") == (prices.quote.price, str(prices.quote.at))
    assert ("Alpaca", "Alpaca") == (prices.closes.source, prices.quote.source)


async def test_nothing_of_the_last_quarter_of_an_hour_and_nothing_of_iex_is_asked_for(
    alpaca: Alpaca, line: Line
) -> None:
    await alpaca.prices(WGMI, date(2026, 10, 1))

    bars, last = line.requests
    assert "https://data.alpaca.markets/v2/stocks/bars" == str(bars.url.copy_with(query=None))
    assert {
        "symbols": "WGMI",
        "timeframe": "1Day",
        "start": "2026-10-01",
        "end": "2026-11-20T17:44:00Z",
        "adjustment": "split",
        "feed": "sip",
        "limit": "10000",
    } == dict(bars.url.params)
    assert "/v2/stocks/trades/latest" == last.url.path
    assert {"symbols": "WGMI", "feed": "delayed_sip"} == dict(last.url.params)


async def test_the_keys_are_in_headers_alone(alpaca: Alpaca, line: Line) -> None:
    await alpaca.prices(WGMI, LONG_AGO)

    for request in line.requests:
        assert ("hush-id", "hush-secret") == (
            request.headers["APCA-API-KEY-ID"],
            request.headers["APCA-API-SECRET-KEY"],
        )
        assert "hush" not in str(request.url)


async def test_a_bar_stamped_with_new_yorks_midnight_is_of_that_day(alpaca: Alpaca, line: Line) -> None:
    line.answers(Reply(200, STOCK_BARS.replace(b"2026-10-30T04", b"2026-11-19T05")), Reply(200, STOCK_TRADES))

    assert "2026-11-19" in by_day((await alpaca.prices(WGMI, LONG_AGO)).closes)


async def test_todays_bar_is_left_out_until_the_evening(alpaca: Alpaca, line: Line, clock: SetClock) -> None:
    body = STOCK_BARS.replace(b"2026-10-30T04", b"2026-11-20T05")
    for hour, known in ((21, False), (22, True)):
        clock.at = clock.at.replace(hour=hour)
        line.answers(Reply(200, body), Reply(200, STOCK_TRADES))
        assert known == ("2026-11-20" in by_day((await alpaca.prices(WGMI, LONG_AGO)).closes))


async def test_page_after_page_is_fetched_until_none_is_named(alpaca: Alpaca, line: Line) -> None:
    first = json.loads(STOCK_BARS) | {"next_page_token": "two"}
    second = STOCK_BARS.replace(b"2026-10", b"2026-09")
    line.answers(Reply(200, json.dumps(first).encode()), Reply(200, second), Reply(200, STOCK_TRADES))

    prices = await alpaca.prices(WGMI, LONG_AGO)

    assert [None, "two", None] == [request.url.params.get("page_token") for request in line.requests]
    assert 6 == len(prices.closes)


async def test_pages_without_end_are_given_up(alpaca: Alpaca, line: Line) -> None:
    line.answers(Reply(200, json.dumps(json.loads(STOCK_BARS) | {"next_page_token": "on"}).encode()))

    assert "did not come to an end in 20 pages" == (await failure(alpaca)).problem


@pytest.mark.parametrize(
    "at",
    [
        pytest.param("2026-11-20T14:29:59Z", id="before-the-opening"),
        pytest.param("2026-11-19T21:00:01Z", id="after-the-close"),
        pytest.param("2026-11-01T15:00:00Z", id="long-ago"),
    ],
)
async def test_a_trade_outside_the_regular_hours_is_no_quote(alpaca: Alpaca, line: Line, at: str) -> None:
    line.answers(
        Reply(200, STOCK_BARS), Reply(200, STOCK_TRADES.replace(b"2026-11-20T17:45:01.123456789Z", at.encode()))
    )

    assert (await alpaca.prices(WGMI, LONG_AGO)).quote is None


@pytest.mark.parametrize("body", [b'{"bars":{},"next_page_token":null}', b'{"bars":null,"next_page_token":null}'])
async def test_a_window_without_bars_has_no_closes(alpaca: Alpaca, line: Line, body: bytes) -> None:
    line.answers(Reply(200, body), Reply(200, b'{"trades":{}}'))

    prices = await alpaca.prices(WGMI, LONG_AGO)

    assert ({}, None) == (by_day(prices.closes), prices.quote)


@pytest.fixture
def coins(alpaca: Alpaca, line: Line, clock: SetClock) -> Alpaca:
    clock.at = NOON + 5 * HOUR + 20 * MINUTE
    line.answers(Reply(200, CRYPTO_BARS))
    return alpaca


async def test_bars_come_without_the_open_one_and_those_that_nobody_traded_in(coins: Alpaca, line: Line) -> None:
    bars = await coins.bars(BTC, HOUR, NOON, NOON + 6 * HOUR)

    assert {
        "2026-10-30T12:00:00": 70000.5,
        "2026-10-30T13:00:00": 70100.0,
        "2026-10-30T14:00:00": 70200.25,
        "2026-10-30T16:00:00": 70400.75,
    } == by_opening(bars)
    assert "/v1beta3/crypto/us/bars" == line.requests[0].url.path
    assert {
        "symbols": "BTC/USD",
        "timeframe": "1Hour",
        "start": "2026-10-30T12:00:00Z",
        "end": "2026-10-30T16:00:00Z",
        "limit": "10000",
    } == dict(line.requests[0].url.params)


async def test_the_last_trade_of_a_coin_has_its_time(coins: Alpaca, line: Line) -> None:
    line.answers(Reply(200, CRYPTO_TRADES))

    quote = await coins.quote(BTC)

    assert quote is not None
    assert (70401.5, "2026-10-30 17:20:41.270099+00:00") == (quote.price, str(quote.at))


async def test_a_bar_length_that_alpaca_does_not_have_is_refused_here(coins: Alpaca, line: Line) -> None:
    with pytest.raises(SourceError, match="has bars of 1, 5, 15, 30, 60, 240 minutes only"):
        await coins.bars(BTC, 7 * MINUTE, NOON, NOON + 6 * HOUR)

    assert [] == line.requests


def bar(**changes: object) -> Reply:
    row = {"t": "2026-10-30T04:00:00Z", "c": 41.5, "n": 1, **changes}
    return Reply(200, json.dumps({"bars": {"WGMI": [row]}, "next_page_token": None}).encode())


@pytest.mark.parametrize(
    "reply",
    [
        *[
            pytest.param(bar(c=close), id=f"close-{close}")
            for close in ("41.5", None, True, 0, -1, float("nan"), float("inf"), 1e12, 10**400)
        ],
        *[
            pytest.param(bar(t=at), id=f"time-{at}")
            for at in (1793361600, "2026-10-30", None, "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00")
        ],
        pytest.param(bar(n=-1), id="trades-below-zero"),
        pytest.param(Reply(200, b"{}"), id="nothing"),
        pytest.param(Reply(200, b"<html>"), id="html"),
    ],
)
async def test_an_answer_that_cannot_be_trusted_is_refused_whole(alpaca: Alpaca, line: Line, reply: Reply) -> None:
    line.answers(reply)

    assert (await failure(alpaca)).retryable


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        pytest.param(Reply(400, b'{"message":"invalid symbol: WGMI"}'), "refused the request: “invalid", id="400"),
        pytest.param(Reply(403, b'{"message":"hush-secret"}'), "refused the request: “…”", id="403"),
        pytest.param(Reply(401, b"<html>"), "turns this machine away", id="401"),
    ],
)
async def test_a_refusal_says_what_is_wrong(alpaca: Alpaca, line: Line, reply: Reply, words: str) -> None:
    line.answers(reply)

    error = await failure(alpaca)

    assert words in error.problem
    assert not error.retryable


async def test_recorded_bars_are_read(alpaca: Alpaca, line: Line, wire: Wire) -> None:
    last = json.loads(wire("alpaca_stock_bars_1Day.json")) | {"bars": {}, "next_page_token": None}
    line.answers(
        Reply(200, wire("alpaca_stock_bars_1Day.json")),
        Reply(200, json.dumps(last).encode()),
        Reply(200, b'{"trades":{}}'),
    )

    prices = await alpaca.prices(Symbol("AAPL"), LONG_AGO)

    assert {"2022-02-01": 174.61, "2022-02-02": 175.84} == by_day(prices.closes)
    assert "QUFQTHxEfDIwMjItMDItMDJUMDU6MDA6MDAuMDAwMDAwMDAwWg==" == line.requests[1].url.params["page_token"]


async def test_recorded_bars_of_a_coin_are_read(coins: Alpaca, line: Line, wire: Wire) -> None:
    line.answers(Reply(200, wire("alpaca_crypto_bars.json")))
    start = datetime(2022, 3, 9, 5, tzinfo=UTC)

    assert {"2022-03-09T05:00:00": 162.95} == by_opening(await coins.bars(BTC, HOUR, start, start + HOUR))


async def test_a_recorded_refusal_of_recent_prices_is_told(alpaca: Alpaca, line: Line, wire: Wire) -> None:
    line.answers(Reply(403, wire("alpaca_error_403_sip.json")))

    error = await failure(alpaca)

    assert "“subscription does not permit querying recent SIP data”" in error.problem
    assert not error.retryable

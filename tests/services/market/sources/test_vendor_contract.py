"""The contract of every vendor: the requests that it makes, what it reads, and how it reports what it can't read."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.network import Network, Retarget, Reward
from services.market.sources.catalogue import CRYPTO, EQUITY, NETWORK, SOURCES, SourceKind, build_source
from services.market.sources.http.client import HttpClient
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import (
    RESPONSES,
    FakeServer,
    ReadRecording,
    Reply,
    by_day,
    by_opening,
    failure_of,
    no_wait,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EVENING, NOON = datetime(2026, 11, 20, 18, tzinfo=UTC), datetime(2026, 10, 30, 12, tzinfo=UTC)
NOON_S = int(NOON.timestamp())
SINCE, LONG_AGO = date(2026, 10, 1), date(2000, 1, 1)
KEYS = {key: f"hush-{key}" for row in SOURCES for key in row.keys}
HEADERS = {
    "alpaca": {"APCA-API-KEY-ID": "hush-alpaca_key_id", "APCA-API-SECRET-KEY": "hush-alpaca_secret_key"},
    "tiingo": {"Authorization": "Token hush-tiingo_key"},
    "twelvedata": {"Authorization": "apikey hush-twelvedata_key"},
}
KEY_HEADERS = {name for headers in HEADERS.values() for name in headers}
HOURS = {
    "2026-10-30T12:00:00": 70000.5,
    "2026-10-30T13:00:00": 70100.0,
    "2026-10-30T14:00:00": 70200.25,
    "2026-10-30T16:00:00": 70400.75,
}  # without the bar at 15:00, which has no trade, and the one at 17:00, which is still open
NOT_NUMBERS = ("41.5", None, True, 0, -1, float("nan"), float("inf"), 1e12, 10**400)
NOT_DECIMALS = ("NaN", "Infinity", "0", "-1", "1e-400", "1e12", "", "70,000", None, True, float("nan"))
NOT_DOLLARS = ("$0.00", "-41.5", "41,5", "1,0410.5", "NaN", "inf", "1e3", "$", "٤١", "9" * 29, 41.5, True)
NOT_SECONDS = ("x", "1793361600", 1793361600000, 1793361600.5, 1e400, -1, None)
NOT_MILLISECONDS = ("1793361600000", 1793361600, 1793361600.5, 1e400, 10**20, -1, None)
NOT_TIMES = (1793361600, "2026-10-30", "now", None, "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00")


async def prices(call: Call, client: HttpClient, symbol: str = "", since: date = LONG_AGO) -> object:
    source = build_source(EQUITY, call.vendor, client, SetClock(EVENING), keys=KEYS)
    found = await source.prices(Symbol(symbol or "WGMI"), since)
    quote = (found.quote.price, str(found.quote.at), found.quote.source) if found.quote else None
    assert source.name == found.closes.source
    return by_day(found.closes), quote


async def bars(
    call: Call, client: HttpClient, symbol: str = "", start: datetime = NOON, step: timedelta = HOUR, count: int = 6
) -> object:
    at = NOON + 5 * HOUR + timedelta(minutes=20) if start == NOON else start + count * step
    source = build_source(CRYPTO, call.vendor, client, SetClock(at), keys=KEYS)
    found = await source.bars(Symbol(symbol or "BTC"), step, start, start + count * step)
    assert ("BTC", step, source.name) == (found.symbol, found.interval, found.source)
    return by_opening(found)


async def quote(call: Call, client: HttpClient, symbol: str = "") -> object:
    found = await build_source(CRYPTO, call.vendor, client, SetClock(NOON), keys=KEYS).quote(Symbol(symbol or "BTC"))
    return (found.price, str(found.at)) if found else None


async def network(call: Call, client: HttpClient, symbol: str = "") -> object:  # noqa: ARG001 -- there is only one
    return await build_source(NETWORK, call.vendor, client, SetClock(EVENING)).network()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of one vendor.

    Attributes:
        files: Our bodies, one for each request.
        requests: Their URLs, with the query that is sent.
        found: What is read from them.
        bad: Values that the first body must not have, by their place in it.
        odd: Values that cost only their row or field, by their place: what `found` loses, and the values.
        errors: Responses of the vendor, with the problem that they are reported as, and whether it may pass.
        empty: A response without data, and what is read from it.
    """

    vendor: str
    ask: Callable[..., Awaitable[object]]
    files: tuple[str, ...]
    requests: tuple[str, ...]
    found: object
    bad: dict[tuple[str | int, ...], Sequence[object]] = field(default_factory=dict)
    odd: dict[tuple[str | int, ...], tuple[str, Sequence[object]]] = field(default_factory=dict)
    errors: tuple[tuple[int, bytes, str, bool], ...] = ()
    empty: tuple[bytes, object] | None = None

    def __str__(self) -> str:
        return f"{self.vendor}-{self.ask.__name__}"

    @property
    def bodies(self) -> list[bytes]:
        return [(RESPONSES / f"{name}.json").read_bytes() for name in self.files]


UNKNOWN_COIN = "doesn't trade BTC against the US dollar; check the spelling"
CALLS = (
    Call(
        vendor="yahoo",
        ask=prices,
        files=("yahoo_chart",),
        requests=(
            (
                "https://query2.finance.yahoo.com/v8/finance/chart/WGMI?interval=1d&period1=1790827200&period2=1795284000"
                "&events=div,splits,capitalGains&includePrePost=false"
            ),
        ),
        found=(
            {"2026-10-26": 39.25, "2026-10-27": 40.0, "2026-10-29": 40.75, "2026-10-30": 41.5},
            (41.5, "2026-10-30 20:00:03+00:00", "Yahoo"),
        ),
        bad={("chart", "result", 0, "meta", "symbol"): ["MARA"]},
        odd={
            ("chart", "result", 0, "timestamp", 0): ("2026-10-26", NOT_SECONDS),
            ("chart", "result", 0, "indicators", "quote", 0, "close", 0): ("2026-10-26", (*NOT_NUMBERS, "x", {})),
            ("chart", "result", 0, "indicators", "quote", 0, "open"): ("", ["x", {}, None]),
            ("chart", "result", 0, "indicators", "quote", 0, "volume"): ("", ["x", {}, ["x"], None]),
            ("chart", "result", 0, "meta", "regularMarketPrice"): ("quote", NOT_NUMBERS),
            ("chart", "result", 0, "meta", "regularMarketTime"): ("quote", NOT_SECONDS),
            ("chart", "result", 0, "events"): (
                "",
                ["x", [], {"dividends": 1}, {"capitalGains": None}, {"splits": [1]}],
            ),
        },
        errors=(
            *(
                (status, b"{}", "doesn't know the symbol WGMI, or has no prices for it; check the spelling", False)
                for status in (400, 404, 422)
            ),
            (401, b"{}", "HTTP 401 Unauthorized; it blocks this machine", False),
        ),
    ),
    Call(
        vendor="nasdaq",
        ask=prices,
        files=("nasdaq_historical",),
        requests=(
            (
                "https://api.nasdaq.com/api/quote/WGMI/historical?assetclass=etf&fromdate=2026-10-01&todate=2026-11-20"
                "&limit=9999"
            ),
        ),
        found=({"2026-10-27": 40.0, "2026-10-29": 40.75, "2026-10-30": 1041.5}, None),
        bad={
            ("data", "symbol"): ["MARA"],
            ("data", "totalRecords"): [5],
        },
        odd={
            ("data", "tradesTable", "rows", 0, "close"): ("2026-10-30", NOT_DOLLARS),
            ("data", "tradesTable", "rows", 0, "date"): (
                "2026-10-30",
                ("30/10/2026", "13/45/2026", "00/00/0000", "2026-10-30", "10/30/26", "", None, 20261030),
            ),
            ("data", "tradesTable", "rows", 0): ("2026-10-30", [None, "x", {}]),
            ("data", "tradesTable", "rows", 0, "volume"): ("", ["x", None, {}]),
            ("data", "tradesTable", "rows", 0, "open"): ("", ["x", None, {}]),
        },
        errors=(
            (200, b'{"data":null,"status":{"rCode":200}}', "refused the request: “”", True),
            (200, b'{"data":null,"status":{"rCode":503}}', "refused the request: “”", True),
            (
                200,
                b'{"data":null,"status":{"rCode":400,"bCodeMessage":[{"errorMessage":"Bad dates."}]}}',
                "refused the request: “Bad dates.”",
                False,
            ),
        ),
        empty=(b'{"data":{"symbol":"WGMI","totalRecords":0,"tradesTable":null},"status":{"rCode":200}}', ({}, None)),
    ),
    Call(
        vendor="alpaca",
        ask=prices,
        files=("alpaca_stock_bars", "alpaca_stock_trades"),
        requests=(
            (
                "https://data.alpaca.markets/v2/stocks/bars?symbols=WGMI&timeframe=1Day&start=2026-10-01"
                "&end=2026-11-20T17:44:00Z&adjustment=split&feed=sip&limit=10000"
            ),  # no IEX, not the last 15 minutes
            "https://data.alpaca.markets/v2/stocks/trades/latest?symbols=WGMI&feed=delayed_sip",
        ),
        found=(
            {"2026-10-28": 42.0, "2026-10-29": 40.75, "2026-10-30": 41.5},
            (42.25, "2026-11-20 17:45:01.123456+00:00", "Alpaca"),
        ),
        odd={
            ("bars", "WGMI", 0, "c"): ("2026-10-28", NOT_NUMBERS),
            ("bars", "WGMI", 0, "t"): ("2026-10-28", NOT_TIMES),
            ("bars", "WGMI", 0, "n"): ("2026-10-28", [-1, None, "x"]),
            ("bars", "WGMI", 0, "v"): ("", [-1, None, "x"]),
            ("bars", "WGMI", 0, "o"): ("", [-1, None, "x"]),
        },
        errors=(
            (400, b'{"message":"invalid symbol: WGMI"}', "refused the request: “invalid symbol: WGMI”", False),
            (403, b'{"message":"hush-alpaca_secret_key"}', "refused the request: “…”", False),
            (401, b"<html>", "HTTP 401 Unauthorized; it blocks this machine", False),
        ),
    ),
    Call(
        vendor="tiingo",
        ask=prices,
        files=("tiingo_daily", "tiingo_iex"),
        requests=(
            "https://api.tiingo.com/tiingo/daily/wgmi/prices?startDate=2026-10-01",
            "https://api.tiingo.com/iex/wgmi",
        ),
        found=(
            {"2026-10-26": 80.0, "2026-10-27": 82.0, "2026-10-28": 84.0, "2026-10-29": 81.5, "2026-10-30": 83.0},
            (42.25, "2026-11-20 17:58:03.500000+00:00", "Tiingo IEX"),
        ),
        odd={
            (0, "close"): ("2026-10-26", NOT_NUMBERS),
            (0, "date"): ("2026-10-26", NOT_TIMES),
            (0, "divCash"): ("", ("0.1", float("nan"), float("inf"))),
            (0, "splitFactor"): ("", ("2", 0, -1, float("inf"))),
        },
        errors=(
            (404, b'{"detail":"Not found."}', "doesn't know the symbol WGMI; check the spelling, and whether", False),
            (403, b'{"detail":"Bad token"}', "HTTP 403 Forbidden; it blocks this machine", False),
            (200, b'{"detail":"hush-tiingo_key is bad"}', "refused the request: “… is bad”", False),
            (
                200,
                b'{"detail":"You have run over your hourly request allocation."}',
                "throttled: reports too many",
                True,
            ),
        ),
    ),
    Call(
        vendor="twelvedata",
        ask=prices,
        files=("twelvedata_series",),
        requests=(
            (
                "https://api.twelvedata.com/time_series?symbol=WGMI&interval=1day&start_date=2026-10-01&outputsize=5000"
                "&adjust=splits"
            ),
        ),
        found=({"2026-10-28": 42.0, "2026-10-29": 40.75, "2026-10-30": 41.5}, None),
        bad={
            ("meta", "symbol"): ["MARA"],
        },
        odd={
            ("values", 0, "close"): ("2026-10-30", NOT_DECIMALS),
            ("values", 0, "datetime"): ("2026-10-30", ("2026-13-01", "2026-10-30 15:30:00", 1793361600, None)),
        },
        errors=(
            *tuple(
                (status, (RESPONSES / "twelvedata_error.json").read_bytes(), "refused the request: “No data is", False)
                for status in (200, 400)
            ),
            (404, b"<html>", "HTTP 404 Not Found", False),
            (200, b'{"status":"error","code":500,"message":""}', "refused the request: “”", True),
            (200, b'{"status":"error","code":429}', "throttled: reports too many requests", True),
            (200, b'{"status":"ok"}', "sent an unusable response (meta: ", True),
        ),
    ),
    Call(
        vendor="coinbase",
        ask=bars,
        files=("coinbase_candles",),
        requests=(
            (
                "https://api.exchange.coinbase.com/products/BTC-USD/candles?granularity=3600&start=2026-10-30T12:00:00Z"
                "&end=2026-10-30T16:59:59Z"
            ),
        ),
        found=HOURS,
        odd={
            (0, 4): ("2026-10-30T16:00:00", (*NOT_NUMBERS, "70000.5")),
            (0, 0): ("2026-10-30T16:00:00", NOT_SECONDS),
            (0,): ("2026-10-30T16:00:00", ({}, None, [1793361600, 1, 1, 1, 5.0], [1793361600, 1, 1, 1, 5.0, 1, 1])),
        },
        errors=(
            (404, b'{"message":"NotFound"}', UNKNOWN_COIN, False),
            (400, b'{"message":"no such thing"}', "refused the request: “no such thing”", False),
            (400, b"<html>", "HTTP 400 Bad Request", False),
        ),
    ),
    Call(
        vendor="coinbase",
        ask=quote,
        files=("coinbase_ticker",),
        requests=("https://api.exchange.coinbase.com/products/BTC-USD/ticker",),
        found=(70401.01, "2026-10-30 17:20:41.270099+00:00"),
        bad={("price",): NOT_DECIMALS, ("time",): (*NOT_TIMES[1:], "2026-10-30T17:20:41")},
    ),
    Call(
        vendor="kraken",
        ask=bars,
        files=("kraken_ohlc",),
        requests=(f"https://api.kraken.com/0/public/OHLC?pair=XBTUSD&interval=60&since={NOON_S - 1}",),
        found=HOURS,
        odd={
            ("result", "XXBTZUSD", 0, 4): ("2026-10-30T12:00:00", NOT_DECIMALS),
            ("result", "XXBTZUSD", 0, 0): ("2026-10-30T12:00:00", NOT_SECONDS),
        },
        bad={
            ("result",): ({"last": 0}, {"last": 0, "XETHZUSD": []}, None),
        },
        errors=(
            (200, b'{"error":["EQuery:Unknown asset pair"]}', UNKNOWN_COIN, False),
            (
                200,
                b'{"error":["EGeneral:Invalid arguments"]}',
                "returned the error “EGeneral:Invalid arguments”",
                False,
            ),
            (200, b'{"error":["EService:Unavailable"]}', "returned the error “EService:Unavailable”", True),
            (200, b'{"error":["EAPI:Rate limit exceeded"]}', "throttled: reports too many requests", True),
        ),
    ),
    Call(
        vendor="kraken",
        ask=quote,
        files=("kraken_trades",),
        requests=("https://api.kraken.com/0/public/Trades?pair=XBTUSD&count=1",),
        found=(70401.5, "2026-10-30 17:20:41.270099+00:00"),
        bad={("result", "XXBTZUSD", 0, 0): NOT_DECIMALS, ("result", "XXBTZUSD", 0, 2): ("x", -1, None, 1e400)},
        empty=(b'{"error":[],"result":{"XXBTZUSD":[],"last":"0"}}', None),
    ),
    Call(
        vendor="bitstamp",
        ask=bars,
        files=("bitstamp_ohlc",),
        requests=(
            f"https://www.bitstamp.net/api/v2/ohlc/btcusd/?step=3600&limit=1000&start={NOON_S}&end={NOON_S + 14400}",
        ),
        found=HOURS,
        odd={
            ("data", "ohlc", 0, "close"): ("2026-10-30T12:00:00", NOT_DECIMALS),
            ("data", "ohlc", 0, "timestamp"): (
                "2026-10-30T12:00:00",
                ("1793361600000", "-1", "1.5", "", "١٧٩٣٣٦١٦٠٠", 1793361600, None),
            ),
            ("data", "ohlc", 0, "volume"): ("2026-10-30T12:00:00", ["NaN"]),
        },
        bad={
            ("data", "pair"): ["BTC/EUR"],
        },
        errors=(
            (404, b"<html>", UNKNOWN_COIN, False),
            (400, b'{"reason": "bad step"}', "refused the request: “bad step”", False),
            (400, b"<html>", "HTTP 400 Bad Request", False),
        ),
    ),
    Call(
        vendor="bitstamp",
        ask=quote,
        files=("bitstamp_ticker",),
        requests=("https://www.bitstamp.net/api/v2/ticker/btcusd/",),
        found=(70401.5, "2026-10-30 17:20:41+00:00"),
        bad={("last",): NOT_DECIMALS, ("timestamp",): ("1793361600000", "-1", "", 1793361600, None)},
    ),
    Call(
        vendor="binance",
        ask=bars,
        files=("binance_klines",),
        requests=(
            (
                f"https://data-api.binance.vision/api/v3/klines?symbol=BTCUSDT&interval=1h&startTime={NOON_S * 1000}"
                f"&endTime={(NOON_S + 5 * 3600) * 1000 - 1}&limit=1000"
            ),
        ),
        found=HOURS,
        odd={
            (0, 4): ("2026-10-30T12:00:00", NOT_DECIMALS),
            (0, 0): ("2026-10-30T12:00:00", NOT_MILLISECONDS),
            (0,): ("2026-10-30T12:00:00", ([], {}, None)),
        },
        errors=(
            (400, b'{"code":-1121,"msg":"Invalid symbol."}', "refused the request: “Invalid symbol.”", False),
            (400, b"[]", "HTTP 400 Bad Request", False),
            (418, b"", "throttled: HTTP 418 I'm a teapot", True),
        ),
    ),
    Call(
        vendor="binance",
        ask=quote,
        files=("binance_trades",),
        requests=("https://data-api.binance.vision/api/v3/trades?symbol=BTCUSDT&limit=1",),
        found=(70401.5, "2026-10-30 17:20:41.270000+00:00"),
        bad={(0, "price"): NOT_DECIMALS, (0, "time"): NOT_MILLISECONDS},
        empty=(b"[]", None),
    ),
    Call(
        vendor="alpaca",
        ask=bars,
        files=("alpaca_crypto_bars",),
        requests=(
            (
                "https://data.alpaca.markets/v1beta3/crypto/us/bars?symbols=BTC/USD&timeframe=1Hour"
                "&start=2026-10-30T12:00:00Z&end=2026-10-30T16:00:00Z&limit=10000"
            ),
        ),
        found=HOURS,
        odd={
            ("bars", "BTC/USD", 0, "c"): ("2026-10-30T12:00:00", NOT_NUMBERS),
            ("bars", "BTC/USD", 0, "t"): ("2026-10-30T12:00:00", NOT_TIMES),
        },
        empty=(b'{"bars":{},"next_page_token":null}', {}),
    ),
    Call(
        vendor="alpaca",
        ask=quote,
        files=("alpaca_crypto_trades",),
        requests=("https://data.alpaca.markets/v1beta3/crypto/us/latest/trades?symbols=BTC/USD",),
        found=(70401.5, "2026-10-30 17:20:41.270099+00:00"),
        bad={("trades", "BTC/USD", "p"): NOT_NUMBERS, ("trades", "BTC/USD", "t"): NOT_TIMES},
        empty=(b'{"trades":null}', None),
    ),
    Call(
        vendor="mempool",
        ask=network,
        files=("mempool_hashrate", "mempool_adjustment", "mempool_rewards", "mempool_fees"),
        requests=tuple(
            f"https://mempool.space/api/v1/{page}"
            for page in ("mining/hashrate/3d", "difficulty-adjustment", "mining/reward-stats/144", "fees/recommended")
        ),
        found=Network(
            at=EVENING,
            source="mempool.space",
            hashrate=1.0123456789012345e21,
            difficulty=150000000000000.5,
            retarget=Retarget(change=-0.025, height=977760, at=datetime(2026, 11, 27, tzinfo=UTC)),
            reward=Reward(blocks=144, total=3.225, fees=0.1),
            fee_rate=3.0,
        ),
        errors=(
            (500, b'{"error":"Failed"}', "HTTP 500 Internal Server Error: “Failed”", True),
            (502, b"<html>", "HTTP 502 Bad Gateway; a fault at the source", True),
        ),
    ),
    Call(
        vendor="blockchain",
        ask=network,
        files=("blockchain_hashrate",),
        requests=("https://api.blockchain.info/charts/hash-rate?timespan=10days&format=json&sampled=false",),
        found=Network(
            at=datetime(2026, 11, 19, tzinfo=UTC), source="Blockchain.com", hashrate=1.0100000005e21, lag=3 * DAY
        ),
        odd={
            ("values", 0, "y"): ("2026-11-19", ("1", None, True, 0, -1, float("nan"), float("inf"), 1e20)),
            ("values", 0, "x"): ("2026-11-19", ("1795046400", None, 0, 1.5, 10**11, 10**20)),
        },
        bad={
            ("values",): [[]],
            ("unit",): ["Hash Rate EH/s"],
        },
    ),
)
BACKOFFS = {
    "yahoo": timedelta(minutes=15),
    "nasdaq": timedelta(minutes=15),
    "alpaca": timedelta(minutes=1),
    "tiingo": timedelta(minutes=15),
    "twelvedata": timedelta(minutes=1),
    "coinbase": timedelta(minutes=1),
    "kraken": timedelta(minutes=1),
    "bitstamp": timedelta(minutes=1),
    "binance": timedelta(minutes=2),
    "mempool": timedelta(minutes=15),
    "blockchain": timedelta(minutes=15),
}
EVERY_CALL = pytest.mark.parametrize("call", CALLS, ids=str)


async def failure(call: Call, server: FakeServer, client: HttpClient, *replies: Reply) -> SourceError:
    server.respond_with(*replies)
    return await failure_of(call.ask(call, client))


def serve(server: FakeServer, call: Call) -> None:
    server.respond_with(*(Reply(200, body) for body in call.bodies))


def test_every_source_of_the_catalogue_meets_the_contract() -> None:
    kinds: dict[Callable[..., Awaitable[object]], SourceKind[Any]] = {
        prices: EQUITY,
        bars: CRYPTO,
        quote: CRYPTO,
        network: NETWORK,
    }

    assert {(row.name, leg) for row in SOURCES if row.base_url for leg in row.legs} == {
        (call.vendor, kinds[call.ask].leg) for call in CALLS
    }
    assert BACKOFFS.keys() == {call.vendor for call in CALLS}
    assert HEADERS.keys() == {row.name for row in SOURCES if row.keys}


@EVERY_CALL
async def test_a_response_is_read(call: Call, server: FakeServer, client: HttpClient) -> None:
    serve(server, call)

    assert call.found == await call.ask(call, client)


@EVERY_CALL
async def test_requests_are_as_documented(call: Call, server: FakeServer, client: HttpClient) -> None:
    serve(server, call)
    await (prices(call, client, since=SINCE) if call.ask is prices else call.ask(call, client))

    sent = [(str(one.url.copy_with(query=None)), dict(one.url.params)) for one in server.requests]
    expected = [httpx.URL(one) for one in call.requests]
    assert [(str(one.copy_with(query=None)), dict(one.params)) for one in expected] == sent


@EVERY_CALL
async def test_keys_are_sent_only_in_headers(call: Call, server: FakeServer, client: HttpClient) -> None:
    serve(server, call)
    await call.ask(call, client)

    for request in server.requests:
        assert HEADERS.get(call.vendor, {}) == {
            name: request.headers[name] for name in KEY_HEADERS if name in request.headers
        }
        assert "hush" not in str(request.url)


@EVERY_CALL
async def test_a_symbol_cannot_change_the_endpoint(call: Call, server: FakeServer, client: HttpClient) -> None:
    server.respond_with(Reply(404))
    with pytest.raises(SourceError):
        await call.ask(call, client, "../../v7/finance/quote?x=")

    assert b"../" not in server.requests[0].url.raw_path.partition(b"?")[0]
    assert "x" not in server.requests[0].url.params


def with_value(body: bytes, place: tuple[str | int, ...], value: object) -> bytes:
    tree: Any = json.loads(body)
    branch = tree
    for step in place[:-1]:
        branch = branch[step]
    branch[place[-1]] = value
    return json.dumps(tree).encode()


@pytest.mark.parametrize(
    ("call", "place", "value"),
    [
        pytest.param(call, place, value, id=f"{call}-{place[-1]}-{str(value)[:20]}")
        for call in CALLS
        for place, values in call.bad.items()
        for value in values
    ],
)
async def test_a_malformed_value_is_rejected(
    call: Call, place: tuple[str | int, ...], value: object, server: FakeServer, client: HttpClient
) -> None:
    first, *others = call.bodies
    replies = [Reply(200, with_value(first, place, value)), *(Reply(200, body) for body in others)]

    assert (await failure(call, server, client, *replies)).retryable


def without(found: object, lost: str) -> object:
    """Return what was found without one row or the last trade."""
    match found:
        case (dict() as closes, quote):
            return {day: close for day, close in closes.items() if day != lost}, None if lost == "quote" else quote
        case dict() as closes:
            return {at: close for at, close in closes.items() if at != lost}
        case Network():  # Blockchain.com's, of the day before
            return replace(found, at=datetime(2026, 11, 18, tzinfo=UTC), hashrate=9.9e20)
        case _:
            raise AssertionError(found)


@pytest.mark.parametrize(
    ("call", "place", "lost", "value"),
    [
        pytest.param(call, place, lost, value, id=f"{call}-{place[-1]}-{str(value)[:20]}")
        for call in CALLS
        for place, (lost, values) in call.odd.items()
        for value in values
    ],
)
async def test_an_odd_value_costs_only_its_row_or_field(
    call: Call, place: tuple[str | int, ...], lost: str, value: object, server: FakeServer, client: HttpClient
) -> None:
    first, *others = call.bodies
    server.respond_with(Reply(200, with_value(first, place, value)), *(Reply(200, body) for body in others))

    assert without(call.found, lost) == await call.ask(call, client)


@pytest.mark.parametrize("call", [call for call in CALLS if call.odd], ids=str)
async def test_a_dropped_row_is_named_once(
    call: Call, server: FakeServer, client: HttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    place, values = next((place, values) for place, (lost, values) in call.odd.items() if lost)
    first, *others = call.bodies
    server.respond_with(Reply(200, with_value(first, place, values[0])), *(Reply(200, body) for body in others))

    await call.ask(call, client)

    assert 1 == len([one for one in caplog.messages if "ignored values in an unusable form: " in one])


@EVERY_CALL
@pytest.mark.parametrize("body", [b"<html>", b"", b"?", b"null", b"true", b"[[]]"], ids=str)
async def test_a_malformed_body_is_rejected(call: Call, body: bytes, server: FakeServer, client: HttpClient) -> None:
    assert (await failure(call, server, client, Reply(200, body))).retryable


@pytest.mark.parametrize(
    ("call", "status", "body", "problem", "retryable"),
    [pytest.param(call, *error, id=f"{call}-{error[0]}-{error[2][:20]}") for call in CALLS for error in call.errors],
)
async def test_an_error_is_explained(
    call: Call, status: int, body: bytes, problem: str, *, retryable: bool, server: FakeServer, client: HttpClient
) -> None:
    error = await failure(call, server, client, Reply(status, body))

    assert error.problem.startswith(problem)
    assert retryable == error.retryable
    assert "hush" not in str(error)


@pytest.mark.parametrize("call", [call for call in CALLS if call.empty], ids=str)
async def test_a_response_without_data_is_not_an_error(call: Call, server: FakeServer, client: HttpClient) -> None:
    assert call.empty is not None
    server.respond_with(Reply(200, call.empty[0]))

    assert call.empty[1] == await call.ask(call, client)


@EVERY_CALL
async def test_a_429_starts_the_backoff(call: Call, server: FakeServer, client: HttpClient) -> None:
    assert BACKOFFS[call.vendor] == (await failure(call, server, client, Reply(429))).retry_after
    named = await failure(call, server, client, Reply(429, headers={"Retry-After": "300"}))
    assert timedelta(seconds=300) == named.retry_after


BAR_CALLS = [call for call in CALLS if call.ask is bars]


@pytest.mark.parametrize("call", BAR_CALLS, ids=str)
async def test_an_unsupported_interval_is_rejected_without_a_call(
    call: Call, server: FakeServer, client: HttpClient
) -> None:
    with pytest.raises(SourceError, match=r"has only bars of 1, .*5, 15, .* minutes; choose one of them") as caught:
        await bars(call, client, step=timedelta(minutes=7))

    assert not caught.value.retryable
    assert [] == server.requests


@pytest.mark.parametrize(("vendor", "quota", "minutes"), [("nasdaq", 10, 1), ("tiingo", 50, 60), ("twelvedata", 8, 1)])
async def test_a_quota_is_respected(vendor: str, quota: int, minutes: int, server: FakeServer) -> None:
    """The wait is until the oldest call leaves the window."""
    call = next(one for one in CALLS if one.vendor == vendor)
    bodies = dict(zip((httpx.URL(one).path for one in call.requests), call.bodies, strict=True))

    def respond(request: httpx.Request) -> httpx.Response:
        server.requests.append(request)
        return httpx.Response(200, content=bodies[request.url.path])

    client = HttpClient(transport=httpx.MockTransport(respond), sleep=no_wait)
    source = build_source(EQUITY, vendor, client, SetClock(EVENING), keys=KEYS)
    for _call in range(quota // len(call.requests)):
        await source.prices(Symbol("WGMI"), LONG_AGO)
    with pytest.raises(SourceError, match="reached its request limit") as caught:
        await source.prices(Symbol("WGMI"), LONG_AGO)

    assert timedelta(minutes=minutes) == caught.value.retry_after
    assert quota == len(server.requests)


@pytest.mark.parametrize(
    ("now", "last"),
    [
        pytest.param(EVENING, "2026-10-29", id="within-the-session"),
        pytest.param(EVENING + 4 * HOUR - timedelta(minutes=1), "2026-10-29", id="after-the-close"),
        pytest.param(EVENING + 4 * HOUR, "2026-11-20", id="in-the-evening"),
        pytest.param(EVENING + 7 * HOUR, "2026-11-20", id="after-midnight-in-utc"),
    ],
)
@pytest.mark.parametrize("vendor", ["nasdaq", "alpaca", "tiingo", "twelvedata"])
async def test_todays_close_is_final_from_the_evening_on(
    vendor: str, now: datetime, last: str, server: FakeServer, client: HttpClient
) -> None:
    call, bodies = next(one for one in CALLS if one.vendor == vendor), []
    for body in call.bodies:
        today = body.replace(b"2026-10-30T04", b"2026-11-20T05").replace(b"2026-10-30", b"2026-11-20")
        bodies.append(today.replace(b"10/30/2026", b"11/20/2026"))
    server.respond_with(*(Reply(200, body) for body in bodies))
    source = build_source(EQUITY, vendor, client, SetClock(now), keys=KEYS)

    assert last == list(by_day((await source.prices(Symbol("WGMI"), LONG_AGO)).closes))[-1]


@pytest.mark.parametrize(
    ("vendor", "place", "value"),
    [
        ("yahoo", ("chart", "result", 0, "meta", "currency"), "GBp"),
        ("yahoo", ("chart", "result", 0, "meta", "currency"), None),
        ("yahoo", ("chart", "result", 0, "meta", "exchangeTimezoneName"), "Europe/London"),
        ("twelvedata", ("meta", "currency"), "EUR"),
        ("twelvedata", ("meta", "exchange_timezone"), "Europe/London"),
    ],
)
async def test_only_new_york_listings_in_dollars_have_a_new_york_close(
    vendor: str, place: tuple[str | int, ...], value: object, server: FakeServer, client: HttpClient
) -> None:
    call = next(one for one in CALLS if one.vendor == vendor)

    error = await failure(call, server, client, Reply(200, with_value(call.bodies[0], place, value)))

    assert ("choose a US listing" in error.problem, error.retryable) == (True, False)


@pytest.mark.parametrize("call", [one for one in CALLS if one.vendor in {"binance", "blockchain"}], ids=str)
async def test_times_may_be_in_another_unit(call: Call, server: FakeServer, client: HttpClient) -> None:
    server.respond_with(*(Reply(200, re.sub(rb"\b(17[0-9]{8,11})\b", rb"\g<1>000", body)) for body in call.bodies))

    assert call.found == await call.ask(call, client)


def utc(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("vendor", "ask", "name", "options", "found"),
    [
        ("nasdaq", prices, "nasdaq_historical.json", {"symbol": "AAPL"}, ({"2024-01-10": 185.92}, None)),
        (
            *("tiingo", prices, "tiingo_eod_GOOGL.json", {"symbol": "GOOGL"}),
            ({"2015-01-02": 529.55, "2015-01-05": 519.46}, None),
        ),
        ("twelvedata", prices, "twelvedata_time_series_1day.json", {"symbol": "AAPL"}, ({"2024-01-12": 185.92}, None)),
        (
            *("coinbase", bars, "coinbase_candles_1h_one_row.json", {"start": utc(2024, 3, 13), "count": 24}),
            {"2024-03-13T11:00:00": 73370.65},
        ),
        ("coinbase", quote, "coinbase_ticker.json", {}, (73367.8, "2024-03-13 11:10:41.270099+00:00")),
        (
            *("kraken", bars, "kraken_ohlc_1m_XBTUSD.json"),
            {"start": utc(2026, 9, 3, 6), "step": HOUR / 60, "count": 4},
            {"2026-09-03T06:00:00": 77736.8, "2026-09-03T06:01:00": 77714.7, "2026-09-03T06:02:00": 77707.9},
        ),
        ("bitstamp", quote, "bitstamp_ticker.json", {}, (73285.0, "2024-03-13 11:10:41+00:00")),
        (
            *("binance", bars, "binance_klines.json", {"start": utc(2017, 7, 3), "step": DAY, "count": 1}),
            {"2017-07-03T00:00:00": 0.015771},
        ),
        (
            *("alpaca", bars, "alpaca_crypto_bars.json", {"start": utc(2022, 3, 9, 5), "count": 1}),
            {"2022-03-09T05:00:00": 162.95},
        ),
        (
            *("blockchain", network, "DOC_blockchain_info_chart_hash-rate.json", {}),
            Network(at=utc(2025, 4, 8), source="Blockchain.com", hashrate=924148329.2792498 * 1e12, lag=3 * DAY),
        ),
    ],
)
async def test_a_recorded_response_is_read(
    vendor: str,
    ask: Callable[..., Awaitable[object]],
    name: str,
    options: dict[str, Any],
    found: object,
    server: FakeServer,
    client: HttpClient,
    recording: ReadRecording,
) -> None:
    call = next(one for one in CALLS if (one.vendor, one.ask) == (vendor, ask))
    server.respond_with(Reply(200, recording(name)), Reply(200, b"[]"))  # Tiingo's second call is to IEX

    assert found == await ask(call, client, **options)


THROTTLED, UNUSABLE = "throttled: ", "sent an unusable response ("


@pytest.mark.parametrize(
    ("vendor", "name", "status", "problem", "retryable"),
    [
        ("yahoo", "yahoo_error_404.json", 404, "doesn't know the symbol WGMI", False),
        ("yahoo", "yahoo_error_404.json", 200, "doesn't know the symbol WGMI", False),
        ("yahoo", "yahoo_error_401_crumb.json", 401, "HTTP 401 Unauthorized; it blocks this machine", False),
        ("yahoo", "yahoo_error_401_crumb.json", 200, UNUSABLE, True),
        ("yahoo", "yahoo_429.txt", 429, THROTTLED, True),
        ("yahoo", "yahoo_429_edge.txt", 429, THROTTLED, True),
        ("yahoo", "yahoo_429.txt", 200, "sent something that isn't JSON", True),
        ("nasdaq", "SYNTH_stooq_pow_interstitial.html", 200, "sent a web page instead of prices", True),
        ("nasdaq", "stooq_daily.csv", 200, "sent something that isn't JSON", True),
        (
            *("alpaca", "alpaca_error_403_sip.json", 403),
            *("refused the request: “subscription does not permit querying recent SIP data”", False),
        ),
        ("tiingo", "tiingo_error_429.json", 429, THROTTLED, True),
        ("tiingo", "tiingo_error_429.json", 200, THROTTLED, True),
        ("tiingo", "tiingo_crypto_1day_btcusd.json", 200, UNUSABLE, True),
        ("tiingo", "tiingo_crypto_top_btcusd.json", 200, UNUSABLE, True),
        ("twelvedata", "twelvedata_error_429.json", 429, THROTTLED, True),
        ("twelvedata", "twelvedata_error_429.json", 200, THROTTLED, True),
        (
            *("coinbase", "coinbase_error_400_too_many.json", 400),
            *("refused the request: “granularity too small for the requested time range. Count of aggr", False),
        ),
        ("coinbase", "coinbase_error_404.json", 404, UNKNOWN_COIN, False),
        ("kraken", "kraken_error_unknown_pair.json", 200, UNKNOWN_COIN, False),
        ("kraken", "kraken_error_invalid_args.json", 200, "returned the error “EGeneral:Invalid arguments", False),
        ("kraken", "kraken_error_rate.json", 200, THROTTLED, True),
        ("kraken", "kraken_error_throttled.json", 200, THROTTLED, True),
        ("kraken", "kraken_time.json", 200, UNUSABLE, True),
        ("kraken", "kraken_ticker_XBTUSD.json", 200, UNUSABLE, True),  # which has no time
        (
            *("mempool", "mempool_error_500.json", 500),
            *("HTTP 500 Internal Server Error: “Failed to get historical hashrate”", True),
        ),
        *(
            ("mempool", f"mempool_{page}.json", 200, UNUSABLE, True)
            for page in ("difficulty_adjustments_1m", "blocks_fees_1w", "prices", "historical_price", "error_500")
        ),
    ],
)
async def test_a_recorded_error_is_explained(
    vendor: str,
    name: str,
    status: int,
    problem: str,
    *,
    retryable: bool,
    server: FakeServer,
    client: HttpClient,
    recording: ReadRecording,
) -> None:
    for call in (call for call in CALLS if call.vendor == vendor and (vendor != "alpaca" or call.ask is prices)):
        error = await failure(call, server, client, Reply(status, recording(name)))

        assert error.problem.startswith(problem)
        assert retryable == error.retryable

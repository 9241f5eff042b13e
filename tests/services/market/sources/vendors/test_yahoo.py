from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

import numpy as np
import pytest

from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.ports import EquityPrices
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.yahoo import Yahoo
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, FakeServer, ReadRecording, Reply, by_day

WGMI = Symbol("WGMI")
LONG_AGO = date(2000, 1, 1)
CHART = (RESPONSES / "yahoo_chart.json").read_bytes()


@pytest.fixture
def yahoo(server: FakeServer, clock: SetClock) -> Yahoo:
    server.respond_with(Reply(200, CHART))
    return Yahoo(HttpClient(transport=server.transport), clock)


async def fetch(yahoo: Yahoo, symbol: str = "WGMI", since: date = LONG_AGO) -> EquityPrices:
    return await yahoo.prices(Symbol(symbol), since)


async def failure(yahoo: Yahoo, symbol: str = "WGMI") -> SourceError:
    with pytest.raises(SourceError) as caught:
        await fetch(yahoo, symbol)
    return caught.value


def one_bar(
    close: str = "41.5", timestamp: str = "1793367000", meta: Mapping[str, object] = MappingProxyType({})
) -> Reply:
    """A chart with one bar, 2026-10-30 13:30 UTC; its numbers are inserted into the body as written."""
    usual = {"symbol": "WGMI", "currency": "USD", "exchangeTimezoneName": "America/New_York"}
    body = (
        f'{{"chart": {{"result": [{{"meta": {json.dumps({**usual, **meta})}, "timestamp": [{timestamp}], '
        f'"indicators": {{"quote": [{{"close": [{close}]}}]}}}}], "error": null}}}}'
    )
    return Reply(200, body.encode())


async def test_closes_are_keyed_by_new_yorks_date(yahoo: Yahoo) -> None:
    prices = await fetch(yahoo)

    assert {"2026-10-26": 39.25, "2026-10-27": 40.0, "2026-10-29": 40.75, "2026-10-30": 41.5} == by_day(prices.closes)
    assert (WGMI, "Yahoo") == (prices.closes.symbol, prices.closes.source)


async def test_the_quote_is_the_last_trade_with_its_time(yahoo: Yahoo) -> None:
    quote = (await fetch(yahoo)).quote

    assert quote is not None
    assert (WGMI, 41.5, datetime(2026, 10, 30, 20, 0, 3, tzinfo=UTC), "Yahoo") == (
        quote.symbol,
        quote.price,
        quote.at,
        quote.source,
    )


async def test_closes_before_the_requested_day_are_dropped(yahoo: Yahoo) -> None:
    prices = await fetch(yahoo, since=date(2026, 10, 29))

    assert ["2026-10-29", "2026-10-30"] == list(by_day(prices.closes))


async def test_one_call_requests_everything_since_the_day(yahoo: Yahoo, server: FakeServer) -> None:
    await fetch(yahoo, since=date(2026, 1, 2))

    [request] = server.requests
    assert ("query2.finance.yahoo.com", "/v8/finance/chart/WGMI") == (request.url.host, request.url.path)
    assert {
        "interval": "1d",
        "period1": str(int(datetime(2026, 1, 2, 5, tzinfo=UTC).timestamp())),
        "period2": str(int(datetime(2026, 11, 21, 18, tzinfo=UTC).timestamp())),
        "events": "div,splits",
        "includePrePost": "false",
    } == dict(request.url.params)


async def test_the_base_url_can_be_replaced(server: FakeServer, clock: SetClock) -> None:
    server.respond_with(Reply(200, CHART))

    await fetch(Yahoo(HttpClient(transport=server.transport), clock, base_url="http://127.0.0.1:8080/"))

    assert str(server.requests[0].url).startswith("http://127.0.0.1:8080/v8/finance/chart/WGMI?")


async def test_a_symbol_cannot_change_the_endpoint(yahoo: Yahoo, server: FakeServer) -> None:
    await failure(yahoo, "../../v7/finance/quote?x=")

    assert server.requests[0].url.raw_path.startswith(b"/v8/finance/chart/..%2F..%2Fv7%2Ffinance%2Fquote%3Fx%3D?")


@pytest.mark.parametrize(
    ("timestamp", "day"),
    [
        pytest.param("2026-07-31 13:30", "2026-07-31", id="opening-in-summer"),
        pytest.param("2026-11-20 14:30", "2026-11-20", id="opening-in-winter"),
        pytest.param("2026-11-20 21:00", "2026-11-20", id="last-trade-at-the-close"),
        pytest.param("2026-11-21 00:59", "2026-11-20", id="evening-in-new-york-is-the-next-day-in-utc"),
    ],
)
async def test_a_timestamp_maps_to_its_new_york_date(
    yahoo: Yahoo, server: FakeServer, timestamp: str, day: str
) -> None:
    at = datetime.fromisoformat(f"{timestamp}+00:00")
    server.respond_with(one_bar(timestamp=str(int(at.timestamp()))))

    assert [day] == list(by_day((await fetch(yahoo)).closes))


async def test_an_empty_window_has_a_quote_but_no_closes(yahoo: Yahoo, server: FakeServer) -> None:
    server.respond_with(Reply(200, (RESPONSES / "yahoo_chart_empty_window.json").read_bytes()))

    prices = await fetch(yahoo)

    assert {} == by_day(prices.closes)
    assert prices.quote is not None


async def test_a_body_without_a_last_trade_has_no_quote(yahoo: Yahoo, server: FakeServer) -> None:
    server.respond_with(one_bar(meta={"regularMarketPrice": 41.5}))

    assert (await fetch(yahoo)).quote is None


@pytest.mark.parametrize("close", ["null", "NaN", "Infinity", "-Infinity", "1e999", "0", "0.0", "-41.5", "1e12"])
async def test_a_bar_without_a_usable_price_is_dropped(yahoo: Yahoo, server: FakeServer, close: str) -> None:
    server.respond_with(one_bar(close=close))

    assert {} == by_day((await fetch(yahoo)).closes)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(one_bar(close='"41.5"'), id="close-as-text"),
        pytest.param(one_bar(close="true"), id="close-as-truth"),
        pytest.param(one_bar(close="[41.5]"), id="close-as-list"),
        pytest.param(one_bar(timestamp='"1793367000"'), id="time-as-text"),
        pytest.param(one_bar(timestamp="1793367000000"), id="time-in-milliseconds"),
        pytest.param(one_bar(timestamp="-1"), id="time-before-time"),
        pytest.param(one_bar(timestamp="null"), id="no-time"),
        pytest.param(one_bar(close="41.5, 41.75"), id="more-closes-than-times"),
        pytest.param(one_bar(meta={"regularMarketTime": 1793367000, "regularMarketPrice": "41.5"}), id="quote-as-text"),
        pytest.param(
            one_bar(meta={"regularMarketTime": 1793367000, "regularMarketPrice": float("nan")}), id="quote-nan"
        ),
        pytest.param(
            one_bar(meta={"regularMarketTime": 1793367000, "regularMarketPrice": float("inf")}), id="quote-infinite"
        ),
        pytest.param(one_bar(meta={"regularMarketTime": 1793367000, "regularMarketPrice": 0}), id="quote-zero"),
        pytest.param(one_bar(meta={"regularMarketTime": 1793367000, "regularMarketPrice": -1}), id="quote-negative"),
        pytest.param(
            one_bar(meta={"regularMarketTime": 1e20, "regularMarketPrice": 41.5}), id="quote-time-beyond-time"
        ),
        pytest.param(one_bar(meta={"symbol": "MARA"}), id="another-symbol"),
        pytest.param(Reply(200, b"{}"), id="nothing"),
        pytest.param(Reply(200, b"[]"), id="a-list"),
        pytest.param(Reply(200, b'{"chart": {"result": [], "error": null}}'), id="no-result"),
        pytest.param(Reply(200, b"<html><body>Will be right back...</body></html>"), id="right-back"),
        pytest.param(Reply(200, b"<!DOCTYPE html><form action='/consent'>"), id="consent"),
        pytest.param(
            Reply(200, b'{"chart": {"result": null, "error": {"code": "internal-error", "description": ""}}}'),
            id="its-own-failure",
        ),
    ],
)
async def test_a_malformed_response_is_rejected(yahoo: Yahoo, server: FakeServer, reply: Reply) -> None:
    server.respond_with(reply)

    error = await failure(yahoo)

    assert ("Yahoo", "WGMI", True) == (error.source, error.symbol, error.retryable)


@pytest.mark.parametrize("status", [200, 400, 404, 422])
async def test_an_unknown_symbol_is_reported(yahoo: Yahoo, server: FakeServer, status: int) -> None:
    server.respond_with(Reply(status, (RESPONSES / "yahoo_not_found.json").read_bytes()))

    error = await failure(yahoo, "WGMIX")

    assert "Yahoo on WGMIX: knows no symbol WGMIX, or has no prices of it; check its spelling" in str(error)
    assert not error.retryable


@pytest.mark.parametrize(
    "meta",
    [
        pytest.param({"currency": "GBp"}, id="in-pence"),
        pytest.param({"currency": None}, id="in-no-currency"),
        pytest.param({"exchangeTimezoneName": "Europe/London"}, id="in-london"),
    ],
)
async def test_only_new_york_listings_in_dollars_have_a_new_york_close(
    yahoo: Yahoo, server: FakeServer, meta: dict[str, object]
) -> None:
    server.respond_with(one_bar(meta=meta))

    error = await failure(yahoo)

    assert "choose a US listing" in error.problem
    assert not error.retryable


@pytest.mark.parametrize("body", [b"Too Many Requests\r\n", b"Edge: Too Many Requests"])
async def test_a_429_starts_a_15_minute_backoff(yahoo: Yahoo, server: FakeServer, clock: SetClock, body: bytes) -> None:
    server.respond_with(Reply(429, body), Reply(200, CHART))

    assert (await failure(yahoo)).retry_after == timedelta(minutes=15)
    clock.advance(timedelta(minutes=14, seconds=59))
    await failure(yahoo)
    clock.advance(timedelta(seconds=1))
    await fetch(yahoo)

    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("name", "symbol", "count", "first", "last", "quoted_at"),
    [
        pytest.param(
            "yahoo_chart_range6mo_AAPL.json",
            "AAPL",
            127,
            ("2025-04-30", 212.5),
            ("2025-10-29", 269.70001220703125),
            "2025-10-29 20:00:01+00:00",
            id="six-months",
        ),
        pytest.param(
            "yahoo_chart_1d_AAPL_dividend.json",
            "AAPL",
            49,
            ("2020-08-31", 129.0399932861328),
            ("2020-11-06", 118.69000244140625),
            "2025-02-19 21:00:01+00:00",
            id="dividend",
        ),
        pytest.param(
            "yahoo_chart_1d_NVDA_split.json",
            "NVDA",
            252,
            ("2021-02-01", 13.237000465393066),
            ("2022-01-28", 22.84000015258789),
            "2025-02-21 21:00:01+00:00",
            id="split",
        ),
        pytest.param(
            "yahoo_chart_1d_QQQ.json",
            "QQQ",
            1,
            ("2020-01-02", 216.16000366210938),
            ("2020-01-02", 216.16000366210938),
            "2025-02-19 21:00:00+00:00",
            id="one-day",
        ),
        pytest.param(
            "SYNTH_yahoo_chart_null_last_bar.json",
            "QQQ",
            1,
            ("2020-01-02", 216.16000366210938),
            ("2020-01-02", 216.16000366210938),
            "2025-02-19 21:00:00+00:00",
            id="null-last-bar",
        ),
    ],
)
async def test_recorded_charts_are_read(
    yahoo: Yahoo,
    server: FakeServer,
    recording: ReadRecording,
    name: str,
    symbol: str,
    count: int,
    first: tuple[str, float],
    last: tuple[str, float],
    quoted_at: str,
) -> None:
    headers = json.loads(recording("yahoo_chart_headers.json"))
    del headers["content-length"]
    server.respond_with(Reply(200, recording(name), headers))

    prices = await fetch(yahoo, symbol)

    closes = list(by_day(prices.closes).items())
    assert (count, first, last) == (len(closes), closes[0], closes[-1])
    assert prices.quote is not None
    assert quoted_at == str(prices.quote.at)


async def test_a_recorded_empty_window_has_no_closes(
    yahoo: Yahoo, server: FakeServer, recording: ReadRecording
) -> None:
    server.respond_with(Reply(200, recording("yahoo_chart_1m_empty_no_timestamp.json")))

    prices = await fetch(yahoo, "AAPL")

    assert {} == by_day(prices.closes)
    assert prices.quote is not None


@pytest.mark.parametrize(
    ("name", "status", "symbol", "message", "retryable"),
    [
        pytest.param("yahoo_error_404.json", 404, "WGMI", "knows no symbol WGMI", False, id="404"),
        pytest.param("yahoo_error_404.json", 200, "WGMI", "knows no symbol WGMI", False, id="404-with-200"),
        pytest.param("yahoo_error_401_crumb.json", 401, "WGMI", "turns this machine away", False, id="401"),
        pytest.param("yahoo_error_401_crumb.json", 200, "WGMI", "unusable answer", True, id="401-with-200"),
        pytest.param("yahoo_429.txt", 429, "WGMI", "throttled", True, id="429"),
        pytest.param("yahoo_429_edge.txt", 429, "WGMI", "throttled", True, id="429-at-the-edge"),
        pytest.param("yahoo_429.txt", 200, "WGMI", "not JSON", True, id="429-with-200"),
        pytest.param(
            "yahoo_chart_1d_BTC-USD.json", 200, "BTC-USD", "not traded in US dollars in New York", False, id="btc"
        ),
    ],
)
async def test_recorded_errors_are_reported(
    yahoo: Yahoo,
    server: FakeServer,
    recording: ReadRecording,
    name: str,
    status: int,
    symbol: str,
    message: str,
    *,
    retryable: bool,
) -> None:
    server.respond_with(Reply(status, recording(name)))

    error = await failure(yahoo, symbol)

    assert message in error.problem
    assert retryable == error.retryable


async def test_zero_volume_counts_as_no_trading_only_with_a_repeated_close(yahoo: Yahoo, server: FakeServer) -> None:
    """Zero volume with a new price is a gap in Yahoo's volumes and says nothing about its prices."""
    chart = json.loads(CHART)
    days = [1793106600 + 86_400 * day for day in range(4)]
    chart["chart"]["result"][0]["timestamp"] = days
    chart["chart"]["result"][0]["indicators"]["quote"] = [
        {"close": [40.0, 41.0, 41.0, 42.0], "volume": [900, 1_000, 0, 0]}
    ]
    server.respond_with(Reply(200, json.dumps(chart).encode()))
    read = (await yahoo.prices(WGMI, date(2026, 10, 1))).closes
    del chart["chart"]["result"][0]["indicators"]["quote"][0]["volume"]
    server.respond_with(Reply(200, json.dumps(chart).encode()))
    unknown = (await yahoo.prices(WGMI, date(2026, 10, 1))).closes

    np.testing.assert_array_equal([900.0, 1_000.0, 0.0, np.nan], read.known_volumes)
    np.testing.assert_array_equal([np.nan] * 4, unknown.known_volumes)

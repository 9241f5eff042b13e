from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.twelvedata import TwelveData
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, FakeServer, ReadRecording, Reply, by_day

WGMI = Symbol("WGMI")
LONG_AGO = date(2000, 1, 1)
SERIES = (RESPONSES / "twelvedata_series.json").read_bytes()
ERROR = (RESPONSES / "twelvedata_error.json").read_bytes()


@pytest.fixture
def twelve(server: FakeServer, clock: SetClock, client: HttpClient) -> TwelveData:
    server.respond_with(Reply(200, SERIES))
    return TwelveData(client, clock, "secret")


async def failure(twelve: TwelveData) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await twelve.prices(WGMI, LONG_AGO)
    return caught.value


async def test_closes_are_oldest_first_without_a_last_trade(twelve: TwelveData) -> None:
    prices = await twelve.prices(WGMI, LONG_AGO)

    assert [("2026-10-28", 42.0), ("2026-10-29", 40.75), ("2026-10-30", 41.5)] == list(by_day(prices.closes).items())
    assert ("Twelve Data", None) == (prices.closes.source, prices.quote)


async def test_the_key_is_sent_only_in_a_header(twelve: TwelveData, server: FakeServer) -> None:
    await twelve.prices(WGMI, date(2026, 10, 1))

    [request] = server.requests
    assert "apikey secret" == request.headers["Authorization"]
    assert "https://api.twelvedata.com/time_series" == str(request.url.copy_with(query=None))
    assert {
        "symbol": "WGMI",
        "interval": "1day",
        "start_date": "2026-10-01",
        "outputsize": "5000",
        "adjust": "splits",
    } == dict(request.url.params)


async def test_todays_row_is_dropped_until_the_evening(twelve: TwelveData, server: FakeServer, clock: SetClock) -> None:
    server.respond_with(Reply(200, SERIES.replace(b"2026-10-30", b"2026-11-20")))

    assert "2026-11-20" not in by_day((await twelve.prices(WGMI, LONG_AGO)).closes)
    clock.advance(timedelta(hours=4))
    assert "2026-11-20" in by_day((await twelve.prices(WGMI, LONG_AGO)).closes)


def changed(part: str, **changes: object) -> Reply:
    body = json.loads(SERIES)
    (body["meta"] if part == "meta" else body["values"][0]).update(changes)
    return Reply(200, json.dumps(body).encode())


@pytest.mark.parametrize(
    "reply",
    [
        *[
            pytest.param(changed("values", close=close), id=f"close-{close}")
            for close in ("NaN", "Infinity", "0", "-1", "1e-400", "1e12", "1,041.5", None, True)
        ],
        *[
            pytest.param(changed("values", datetime=day), id=f"date-{day}")
            for day in ("2026-13-01", "2026-10-30 15:30:00", 1793361600, None)
        ],
        pytest.param(changed("meta", symbol="MARA"), id="another-symbol"),
        pytest.param(Reply(200, b'{"status":"ok"}'), id="nothing"),
        pytest.param(Reply(200, b'{"status":"error","code":500,"message":""}'), id="down"),
        pytest.param(Reply(200, b"<html>"), id="html"),
    ],
)
async def test_a_malformed_response_is_rejected(twelve: TwelveData, server: FakeServer, reply: Reply) -> None:
    server.respond_with(reply)

    assert (await failure(twelve)).retryable


@pytest.mark.parametrize("change", [{"currency": "EUR"}, {"exchange_timezone": "Europe/London"}])
async def test_only_new_york_listings_in_dollars_have_a_new_york_close(
    twelve: TwelveData, server: FakeServer, change: dict[str, object]
) -> None:
    server.respond_with(changed("meta", **change))

    error = await failure(twelve)

    assert "choose a US listing" in error.problem
    assert not error.retryable


@pytest.mark.parametrize("status", [200, 400])
async def test_an_error_is_reported_for_any_http_status(twelve: TwelveData, server: FakeServer, status: int) -> None:
    server.respond_with(Reply(status, ERROR))

    error = await failure(twelve)

    assert ("refused the request: “No data is there for these dates.”", False) == (error.problem, error.retryable)


async def test_an_error_without_a_message_is_reported_by_its_status(twelve: TwelveData, server: FakeServer) -> None:
    server.respond_with(Reply(404, b"<html>"))

    assert (await failure(twelve)).problem.startswith("answered 404 Not Found")


async def test_a_recorded_series_is_read(twelve: TwelveData, server: FakeServer, recording: ReadRecording) -> None:
    server.respond_with(Reply(200, recording("twelvedata_time_series_1day.json")))

    assert {"2024-01-12": 185.92} == by_day((await twelve.prices(Symbol("AAPL"), LONG_AGO)).closes)


@pytest.mark.parametrize("status", [200, 429])
async def test_a_recorded_minute_limit_starts_the_backoff(
    twelve: TwelveData, server: FakeServer, recording: ReadRecording, status: int
) -> None:
    server.respond_with(Reply(status, recording("twelvedata_error_429.json")))

    assert timedelta(minutes=1) == (await failure(twelve)).retry_after
    await failure(twelve)

    assert 1 == len(server.requests)

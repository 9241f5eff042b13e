from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.nasdaq import Nasdaq
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, FakeServer, ReadRecording, Reply, by_day

WGMI = Symbol("WGMI")
LONG_AGO = date(2000, 1, 1)
HISTORY = (RESPONSES / "nasdaq_historical.json").read_bytes()
UNKNOWN = (RESPONSES / "nasdaq_unknown.json").read_bytes()


@pytest.fixture
def nasdaq(server: FakeServer, clock: SetClock, client: HttpClient) -> Nasdaq:
    server.respond_with(Reply(200, HISTORY))
    return Nasdaq(client, clock)


async def failure(nasdaq: Nasdaq, symbol: Symbol = WGMI) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await nasdaq.prices(symbol, LONG_AGO)
    return caught.value


async def test_closes_are_read_with_and_without_dollar_signs_and_commas(nasdaq: Nasdaq) -> None:
    prices = await nasdaq.prices(WGMI, LONG_AGO)

    assert {"2026-10-27": 40.0, "2026-10-29": 40.75, "2026-10-30": 1041.5} == by_day(prices.closes)
    assert (WGMI, "Nasdaq", None) == (prices.closes.symbol, prices.closes.source, prices.quote)


async def test_closes_before_the_requested_day_are_dropped(nasdaq: Nasdaq) -> None:
    assert ["2026-10-30"] == list(by_day((await nasdaq.prices(WGMI, date(2026, 10, 30))).closes))


@pytest.mark.parametrize(
    ("now", "last"),
    [
        pytest.param(datetime(2026, 10, 30, 18, tzinfo=UTC), "2026-10-29", id="within-the-session"),
        pytest.param(datetime(2026, 10, 30, 20, 59, tzinfo=UTC), "2026-10-29", id="after-the-close"),
        pytest.param(datetime(2026, 10, 30, 21, tzinfo=UTC), "2026-10-30", id="in-the-evening"),
        pytest.param(datetime(2026, 10, 31, 1, tzinfo=UTC), "2026-10-30", id="after-midnight-in-utc"),
    ],
)
async def test_todays_row_is_final_from_the_evening_on(
    nasdaq: Nasdaq, clock: SetClock, now: datetime, last: str
) -> None:
    clock.at = now

    assert last == list(by_day((await nasdaq.prices(WGMI, LONG_AGO)).closes))[-1]


async def test_a_request_looks_like_a_browsers(nasdaq: Nasdaq, server: FakeServer) -> None:
    await nasdaq.prices(WGMI, date(2026, 10, 1))

    [request] = server.requests
    assert "https://api.nasdaq.com/api/quote/WGMI/historical" == str(request.url.copy_with(query=None))
    assert {"assetclass": "etf", "fromdate": "2026-10-01", "todate": "2026-11-20", "limit": "9999"} == dict(
        request.url.params
    )
    assert request.headers["User-Agent"].startswith("Mozilla/5.0")
    assert "application/json" == request.headers["Accept"]


async def test_a_share_is_found_after_etfs_and_its_asset_class_is_remembered(
    nasdaq: Nasdaq, server: FakeServer
) -> None:
    server.respond_with(Reply(200, UNKNOWN), Reply(200, HISTORY))

    for _time in range(2):
        await nasdaq.prices(WGMI, LONG_AGO)

    assert ["etf", "stocks", "stocks"] == [request.url.params["assetclass"] for request in server.requests]


async def test_an_unknown_symbol_is_reported(nasdaq: Nasdaq, server: FakeServer) -> None:
    server.respond_with(Reply(200, UNKNOWN))

    error = await failure(nasdaq)

    assert error.problem.startswith("knows no symbol WGMI; check its spelling")
    assert not error.retryable


async def test_a_window_without_sessions_has_no_closes(nasdaq: Nasdaq, server: FakeServer) -> None:
    server.respond_with(history(totalRecords=0, tradesTable=None))

    assert {} == by_day((await nasdaq.prices(WGMI, LONG_AGO)).closes)


def history(**changes: object) -> Reply:
    body = json.loads(HISTORY)
    body["data"].update(changes)
    return Reply(200, json.dumps(body).encode())


def one_row(**changes: object) -> Reply:
    return history(totalRecords=1, tradesTable={"rows": [{"date": "10/30/2026", "close": "$41.50", **changes}]})


async def test_a_truncated_response_is_rejected(nasdaq: Nasdaq, server: FakeServer) -> None:
    part = history(totalRecords=5)
    server.respond_with(Reply(200, part.body, {"ETag": '"1"'}), Reply(200, HISTORY))

    await failure(nasdaq)
    await nasdaq.prices(WGMI, LONG_AGO)

    assert "If-None-Match" not in server.requests[-1].headers


@pytest.mark.parametrize(
    "reply",
    [
        *[
            pytest.param(one_row(close=close), id=f"close-{close}")
            for close in ("$0.00", "-41.5", "41,5", "1,0410.5", "NaN", "inf", "1e3", "$", "٤١", "9" * 29, 41.5, True)
        ],
        *[
            pytest.param(one_row(date=day), id=f"date-{day}")
            for day in ("30/10/2026", "13/45/2026", "00/00/0000", "2026-10-30", "10/30/26", "", None, 20261030)
        ],
        pytest.param(history(symbol="MARA"), id="another-symbol"),
        pytest.param(history(totalRecords=5), id="a-part-only"),
        pytest.param(Reply(200, b'{"data":null,"status":{"rCode":200}}'), id="nothing"),
        pytest.param(Reply(200, b'{"data":null,"status":{"rCode":503}}'), id="down"),
        pytest.param(Reply(200, b"<html>"), id="html"),
    ],
)
async def test_a_malformed_response_is_rejected(nasdaq: Nasdaq, server: FakeServer, reply: Reply) -> None:
    server.respond_with(reply)

    assert (await failure(nasdaq)).retryable


async def test_an_error_with_status_200_is_reported(nasdaq: Nasdaq, server: FakeServer) -> None:
    server.respond_with(
        Reply(200, b'{"data":null,"status":{"rCode":400,"bCodeMessage":[{"errorMessage":"Bad dates."}]}}')
    )

    error = await failure(nasdaq)

    assert ("refused the request: “Bad dates.”", False) == (error.problem, error.retryable)


async def test_an_eleventh_call_in_a_minute_is_too_many(nasdaq: Nasdaq, server: FakeServer) -> None:
    for _call in range(10):
        await nasdaq.prices(WGMI, LONG_AGO)

    assert timedelta(minutes=1) == (await failure(nasdaq)).retry_after
    assert 10 == len(server.requests)


async def test_a_recorded_history_is_read(nasdaq: Nasdaq, server: FakeServer, recording: ReadRecording) -> None:
    server.respond_with(Reply(200, recording("nasdaq_historical.json")))

    assert {"2024-01-10": 185.92} == by_day((await nasdaq.prices(Symbol("AAPL"), LONG_AGO)).closes)


@pytest.mark.parametrize("name", ["SYNTH_stooq_pow_interstitial.html", "stooq_daily.csv"])
async def test_an_interstitial_page_is_not_a_price(
    nasdaq: Nasdaq, server: FakeServer, recording: ReadRecording, name: str
) -> None:
    server.respond_with(Reply(200, recording(name)))

    error = await failure(nasdaq)

    assert error.problem.startswith(
        "sent a web page instead of prices" if name.endswith("html") else "sent something that is not JSON"
    )
    assert error.retryable

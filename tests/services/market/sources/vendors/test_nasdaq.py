import json
from datetime import date

import pytest

from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.nasdaq import Nasdaq
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, FakeServer, Reply, by_day

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


async def test_closes_before_the_requested_day_are_dropped(nasdaq: Nasdaq) -> None:
    assert ["2026-10-30"] == list(by_day((await nasdaq.prices(WGMI, date(2026, 10, 30))).closes))


async def test_a_request_looks_like_a_browsers(nasdaq: Nasdaq, server: FakeServer) -> None:
    await nasdaq.prices(WGMI, date(2026, 10, 1))

    [request] = server.requests
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


def history(**changes: object) -> Reply:
    body = json.loads(HISTORY)
    body["data"].update(changes)
    return Reply(200, json.dumps(body).encode())


async def test_a_truncated_response_is_rejected(nasdaq: Nasdaq, server: FakeServer) -> None:
    part = history(totalRecords=5)
    server.respond_with(Reply(200, part.body, {"ETag": '"1"'}), Reply(200, HISTORY))

    await failure(nasdaq)
    await nasdaq.prices(WGMI, LONG_AGO)

    assert "If-None-Match" not in server.requests[-1].headers

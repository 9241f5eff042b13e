import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.core.prices import Symbol
from services.market.holdings import Holding, HoldingKind, Holdings
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.nasdaq import Nasdaq
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, FakeServer, Reply, by_day, failure_of, json_reply

WGMI = Symbol("WGMI")
LONG_AGO = date(2000, 1, 1)
HISTORY = (RESPONSES / "nasdaq_historical.json").read_bytes()
UNKNOWN = (RESPONSES / "nasdaq_unknown.json").read_bytes()


@pytest.fixture
def nasdaq(server: FakeServer, clock: SetClock, client: HttpClient) -> Nasdaq:
    server.respond_with(Reply(200, HISTORY))
    return Nasdaq(client, clock)


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

    error = await failure_of(nasdaq.prices(WGMI, LONG_AGO))

    assert error.problem.startswith("doesn't know the symbol WGMI; check the spelling")
    assert not error.retryable


def history(**changes: object) -> Reply:
    body = json.loads(HISTORY)
    body["data"].update(changes)
    return json_reply(body)


async def test_a_truncated_response_is_rejected(nasdaq: Nasdaq, server: FakeServer) -> None:
    part = history(totalRecords=5)
    server.respond_with(Reply(200, part.body, {"ETag": '"1"'}), Reply(200, HISTORY))

    await failure_of(nasdaq.prices(WGMI, LONG_AGO))
    await nasdaq.prices(WGMI, LONG_AGO)

    assert "If-None-Match" not in server.requests[-1].headers


HOLDINGS = json.loads((RESPONSES / "nasdaq_holdings.json").read_bytes())
ROW: dict[str, object] = {"symbol": "IREN", "companyname": "IREN Limited", "weighting": "10%"}


def body(*, data: dict[str, object] | None = None, **table: object) -> bytes:
    """The valid response with changed data and table fields."""
    changed: dict[str, Any] = json.loads(json.dumps(HOLDINGS))
    changed["data"]["holdings"] |= table
    changed["data"] |= data or {}
    return json.dumps(changed).encode()


async def test_the_top_ten_holdings_are_read_and_marked_as_partial(nasdaq: Nasdaq, server: FakeServer) -> None:
    server.respond_with(Reply(200, body()))

    found = await nasdaq.top_ten(WGMI)

    assert (
        Holdings(
            fund=WGMI,
            as_of=date(2026, 11, 20),
            source="Nasdaq (top 10 only, as fetched that day)",
            positions=(
                Holding(ticker="IREN", weight=0.1836, name="IREN Limited Ordinary Shares"),
                Holding(ticker="CIFR", weight=0.12, name="Cipher Mining Inc. Common Stock"),
                Holding(ticker="", weight=0.015, name="US Dollars", kind=HoldingKind.CASH),
            ),
        )
        == found
    )
    assert not found.is_complete
    assert "https://api.nasdaq.com/api/company/wgmi/holdings?assetclass=etf" == str(server.requests[0].url)
    assert "Mozilla" in server.requests[0].headers["user-agent"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("11/19/2026", date(2026, 11, 19), id="slashes"),
        pytest.param("As of Nov 9, 2026", date(2026, 11, 9), id="words"),
        pytest.param("2026-11-21T00:00:00", date(2026, 11, 21), id="tomorrow, as it is somewhere"),
    ],
)
async def test_the_date_in_the_response_is_used(nasdaq: Nasdaq, server: FakeServer, text: str, expected: date) -> None:
    server.respond_with(Reply(200, body(asOf=text)))

    found = await nasdaq.top_ten(WGMI)

    assert (expected, "Nasdaq (top 10 only)") == (found.as_of, found.source)


async def test_holdings_without_a_date_get_todays_new_york_date(
    nasdaq: Nasdaq, server: FakeServer, clock: SetClock
) -> None:
    clock.at = datetime(2026, 11, 21, 4, 59, tzinfo=UTC)
    server.respond_with(Reply(200, body(asOf="N/A")))

    assert date(2026, 11, 20) == (await nasdaq.top_ten(WGMI)).as_of


async def test_optional_fields_may_be_missing(nasdaq: Nasdaq, server: FakeServer) -> None:
    server.respond_with(json_reply({"data": {"holdings": {"rows": [{"weighting": "5.5%"}]}}}))

    assert (Holding(ticker="", weight=0.055, kind=HoldingKind.OTHER),) == (await nasdaq.top_ten(WGMI)).positions


async def test_an_odd_holding_costs_its_row_and_an_odd_ticker_the_ticker(nasdaq: Nasdaq, server: FakeServer) -> None:
    rows = [ROW, ROW | {"symbol": "X", "weighting": "N/A"}, ROW | {"symbol": 7, "weighting": "5%"}]
    server.respond_with(Reply(200, body(rows=rows)))

    positions = (await nasdaq.top_ten(WGMI)).positions

    assert ["IREN", ""] == [one.ticker for one in positions]
    assert ("data.holdings.rows.1.weighting", "data.holdings.rows.1.symbol")[1] in nasdaq.dropped(WGMI)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        *[
            pytest.param(body(rows=[ROW | {"weighting": weight}]), "sent an unusable response", id=f"weight {weight}")
            for weight in (None, 18.36, "18.36", "", "N/A", "1e3%", "nan%", "1,000%")
        ],
        pytest.param(body(rows=[ROW] * 11), "sent an unusable response", id="more than ten"),
        pytest.param(body(rows=[ROW, ROW]), "lists IREN twice", id="one twice"),
        pytest.param(body(rows=[ROW | {"weighting": "151%"}]), "sent weights that add up to 151%", id="too much"),
        pytest.param(body(rows=[ROW | {"weighting": "0%"}]), "sent weights that add up to 0%", id="nothing at all"),
        pytest.param(body(asOf="last week"), "names “last week” as the date", id="a day that cannot be read"),
        pytest.param(body(asOf="02/30/2026"), "names “02/30/2026” as the date", id="a day that is none"),
        pytest.param(body(asOf="11/22/2026"), "names “11/22/2026” as the date", id="a day to come"),
        pytest.param(b"<html>", "sent a web page instead", id="a web page"),
    ],
)
async def test_impossible_weights_are_rejected(
    nasdaq: Nasdaq, server: FakeServer, changed: bytes, problem: str
) -> None:
    server.respond_with(Reply(200, changed))

    error = await failure_of(nasdaq.top_ten(WGMI))

    assert problem in error.problem
    assert error.retryable


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        pytest.param(UNKNOWN, "doesn't know the ETF WGMI; check the spelling", id="an unknown symbol"),
        pytest.param(
            b'{"data": null, "status": {"rCode": 400, "bCodeMessage": [{"errorMessage": "Bad asset class"}]}}',
            "refused the request: “Bad asset class”",
            id="a refusal",
        ),
        pytest.param(b'{"data": null, "status": {"rCode": 200}}', "lists no holdings of WGMI", id="no data"),
        pytest.param(body(data={"holdings": None}), "lists no holdings of WGMI", id="no table"),
        pytest.param(body(rows=None), "lists no holdings of WGMI", id="no rows"),
        pytest.param(body(rows=[]), "lists no holdings of WGMI", id="an empty table"),
        pytest.param(
            body(data={"heading": "Top 10 Holdings of BITQ"}), "returned “Top 10 Holdings of BITQ”", id="another"
        ),
        pytest.param(
            body(data={"heading": "ETFs where WGMI is a top 10 holding*"}),
            "returned “ETFs where WGMI is a top 10 holding*” instead",
            id="the funds that hold it",
        ),
    ],
)
async def test_missing_holdings_are_not_retryable(
    nasdaq: Nasdaq, server: FakeServer, changed: bytes, problem: str
) -> None:
    server.respond_with(Reply(200, changed))

    error = await failure_of(nasdaq.top_ten(WGMI))

    assert problem in error.problem
    assert not error.retryable


async def test_a_server_error_is_retryable(nasdaq: Nasdaq, server: FakeServer) -> None:
    server.respond_with(Reply(200, b'{"data": null, "status": {"rCode": 500}}'))

    assert (await failure_of(nasdaq.top_ten(WGMI))).retryable

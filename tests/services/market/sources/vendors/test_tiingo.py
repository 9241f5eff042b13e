from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.consensus.corporate_actions import ActionKind
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.tiingo import Tiingo
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, FakeServer, ReadRecording, Reply, by_day, no_wait

WGMI = Symbol("WGMI")
LONG_AGO = date(2000, 1, 1)
DAILY = (RESPONSES / "tiingo_daily.json").read_bytes()
IEX = (RESPONSES / "tiingo_iex.json").read_bytes()
SPENT = (RESPONSES / "tiingo_spent.json").read_bytes()


@pytest.fixture
def tiingo(server: FakeServer, clock: SetClock, client: HttpClient) -> Tiingo:
    server.respond_with(Reply(200, DAILY), Reply(200, IEX))
    return Tiingo(client, clock, "secret")


async def failure(tiingo: Tiingo, symbol: Symbol = WGMI) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await tiingo.prices(symbol, LONG_AGO)
    return caught.value


async def test_closes_are_adjusted_for_later_splits_only(tiingo: Tiingo) -> None:
    prices = await tiingo.prices(WGMI, LONG_AGO)

    assert {
        "2026-10-26": 80.0,
        "2026-10-27": 82.0,
        "2026-10-28": 84.0,
        "2026-10-29": 81.5,
        "2026-10-30": 83.0,
    } == pytest.approx(by_day(prices.closes))
    assert "Tiingo" == prices.closes.source


async def test_dividends_and_splits_have_their_ex_dates(tiingo: Tiingo, server: FakeServer) -> None:
    rows = [
        {"date": "2026-10-28T00:00:00.000Z", "close": 41.0, "divCash": 0.0, "splitFactor": 1.0},
        {"date": "2026-10-30T00:00:00.000Z", "close": 41.5, "divCash": 0.11, "splitFactor": 2.0},
        {"date": "2026-10-29T00:00:00.000Z", "close": 80.0, "divCash": 0.3},
    ]
    server.respond_with(Reply(200, json.dumps(rows).encode()), Reply(200, IEX))

    actions = (await tiingo.prices(WGMI, date(2026, 10, 28))).actions

    assert [
        ("2026-10-29", ActionKind.DIVIDEND, 0.3),
        ("2026-10-30", ActionKind.DIVIDEND, 0.11),
        ("2026-10-30", ActionKind.SPLIT, 2.0),
    ] == [(f"{one.session}", one.kind, one.value) for one in actions]


async def test_the_quote_is_the_last_trade_at_iex(tiingo: Tiingo) -> None:
    quote = (await tiingo.prices(WGMI, LONG_AGO)).quote

    assert quote is not None
    assert (42.25, "Tiingo IEX") == (quote.price, quote.source)
    assert datetime(2026, 11, 20, 17, 58, 3, 500_000, tzinfo=UTC) == quote.at


async def test_both_calls_send_the_key_only_in_a_header(tiingo: Tiingo, server: FakeServer) -> None:
    await tiingo.prices(WGMI, date(2026, 10, 1))

    assert [
        "https://api.tiingo.com/tiingo/daily/wgmi/prices?startDate=2026-10-01",
        "https://api.tiingo.com/iex/wgmi",
    ] == [str(request.url) for request in server.requests]
    assert {"Token secret"} == {request.headers["Authorization"] for request in server.requests}


def last(**changes: object) -> Reply:
    return Reply(200, json.dumps([json.loads(IEX)[0] | changes]).encode())


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(last(last=None), id="after-hours"),
        pytest.param(last(lastSaleTimestamp=None), id="no-time"),
        pytest.param(last(lastSaleTimestamp="2026-11-20T09:29:59-05:00"), id="before-the-opening"),
        pytest.param(last(lastSaleTimestamp="2026-11-19T16:00:01-05:00"), id="after-the-close"),
        pytest.param(last(lastSaleTimestamp="2019-01-30T11:00:00-05:00"), id="years-ago"),
        pytest.param(last(lastSaleTimestamp="2099-01-30T11:00:00-05:00"), id="in-years-to-come"),
        pytest.param(last(ticker="MARA"), id="another-symbol"),
        pytest.param(Reply(200, b"[]"), id="unknown-to-iex"),
    ],
)
async def test_a_trade_outside_the_session_is_not_a_quote(tiingo: Tiingo, server: FakeServer, reply: Reply) -> None:
    server.respond_with(Reply(200, DAILY), reply)

    prices = await tiingo.prices(WGMI, LONG_AGO)

    assert prices.quote is None
    assert len(prices.closes)


def day(**changes: object) -> Reply:
    return Reply(200, json.dumps([{"date": "2026-10-30T00:00:00.000Z", "close": 41.5, **changes}]).encode())


@pytest.mark.parametrize(
    "reply",
    [
        *[
            pytest.param(day(close=close), id=f"close-{close}")
            for close in ("41.5", None, True, 0, -1, float("nan"), float("inf"), 1e12)
        ],
        *[pytest.param(day(divCash=cash), id=f"cash-{cash}") for cash in ("0.1", None, float("nan"), float("inf"))],
        *[pytest.param(day(splitFactor=factor), id=f"split-{factor}") for factor in ("2", None, 0, -1, float("inf"))],
        *[
            pytest.param(day(date=at), id=f"date-{at}")
            for at in ("2026-10-30", "now", None, 1793361600, "9999-12-31T23:59:59-12:00")
        ],
        pytest.param(
            Reply(200, json.dumps([json.loads(DAILY)[0] | {"splitFactor": 9999.0}] * 100).encode()), id="splits"
        ),
        pytest.param(
            Reply(200, json.dumps([json.loads(DAILY)[0] | {"splitFactor": 1e-5}] * 100).encode()), id="tiny-splits"
        ),
        pytest.param(Reply(200, b"<html>"), id="html"),
    ],
)
async def test_a_malformed_response_is_rejected(tiingo: Tiingo, server: FakeServer, reply: Reply) -> None:
    server.respond_with(reply, Reply(200, IEX))

    assert (await failure(tiingo)).retryable


@pytest.mark.parametrize("status", [200, 429])
async def test_an_exhausted_allocation_starts_the_backoff_for_any_status(
    tiingo: Tiingo, server: FakeServer, status: int
) -> None:
    server.respond_with(Reply(status, SPENT))

    assert timedelta(minutes=15) == (await failure(tiingo)).retry_after
    await failure(tiingo)

    assert 1 == len(server.requests)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        pytest.param(Reply(404, b'{"detail":"Not found."}'), "knows no symbol WGMI", id="unknown"),
        pytest.param(Reply(403, b'{"detail":"Bad token"}'), "turns this machine away", id="forbidden"),
        pytest.param(Reply(200, b'{"detail":"secret is bad"}'), "refused the request: “… is bad”", id="with-200"),
    ],
)
async def test_an_error_response_explains_the_problem(
    tiingo: Tiingo, server: FakeServer, reply: Reply, message: str
) -> None:
    server.respond_with(reply)

    error = await failure(tiingo)

    assert message in error.problem
    assert not error.retryable


async def test_the_hourly_limit_of_the_free_plan_is_respected(server: FakeServer, clock: SetClock) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        server.requests.append(request)
        return httpx.Response(200, content=IEX if "iex" in request.url.path else DAILY)

    tiingo = Tiingo(HttpClient(transport=httpx.MockTransport(respond), sleep=no_wait), clock, "secret")
    for _call in range(25):
        await tiingo.prices(WGMI, LONG_AGO)

    assert timedelta(hours=1) == (await failure(tiingo)).retry_after
    assert 50 == len(server.requests)


async def test_recorded_days_are_read(tiingo: Tiingo, server: FakeServer, recording: ReadRecording) -> None:
    server.respond_with(Reply(200, recording("tiingo_eod_GOOGL.json")), Reply(200, b"[]"))

    prices = await tiingo.prices(Symbol("GOOGL"), LONG_AGO)

    assert {"2015-01-02": 529.55, "2015-01-05": 519.46} == by_day(prices.closes)


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        pytest.param("tiingo_error_429.json", 429, "throttled", id="429"),
        pytest.param("tiingo_error_429.json", 200, "throttled", id="429-with-200"),
        pytest.param("tiingo_crypto_1day_btcusd.json", 200, "unusable answer", id="coins"),
        pytest.param("tiingo_crypto_top_btcusd.json", 200, "unusable answer", id="books-of-coins"),
    ],
)
async def test_recorded_error_responses_are_reported(
    tiingo: Tiingo, server: FakeServer, recording: ReadRecording, name: str, status: int, message: str
) -> None:
    server.respond_with(Reply(status, recording(name)))

    assert message in (await failure(tiingo)).problem


async def test_recorded_half_hour_bars_are_not_a_last_trade(
    tiingo: Tiingo, server: FakeServer, recording: ReadRecording
) -> None:
    server.respond_with(Reply(200, DAILY), Reply(200, recording("tiingo_iex_30min_GOOGL.json")))

    assert "unusable answer" in (await failure(tiingo)).problem

import asyncio
import json
from datetime import date

import httpx
import pytest

from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.ports import EquityPrices
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.alpaca import Alpaca
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import (
    RESPONSES,
    FakeServer,
    ReadRecording,
    Reply,
    by_day,
    failure_of,
    json_reply,
)

WGMI, BTC = Symbol("WGMI"), Symbol("BTC")
LONG_AGO = date(2000, 1, 1)
STOCK_BARS, STOCK_TRADES = ((RESPONSES / f"alpaca_stock_{name}.json").read_bytes() for name in ("bars", "trades"))


@pytest.fixture
def alpaca(server: FakeServer, clock: SetClock, client: HttpClient) -> Alpaca:
    server.respond_with(Reply(200, STOCK_BARS), Reply(200, STOCK_TRADES))
    return Alpaca(client, clock, "hush-id", "hush-secret")


async def test_a_bar_stamped_at_new_york_midnight_is_of_that_day(alpaca: Alpaca, server: FakeServer) -> None:
    server.respond_with(Reply(200, STOCK_BARS.replace(b"2026-10-30T04", b"2026-11-19T05")), Reply(200, STOCK_TRADES))

    assert "2026-11-19" in by_day((await alpaca.prices(WGMI, LONG_AGO)).closes)


async def test_pages_are_fetched_until_there_is_no_next_token(alpaca: Alpaca, server: FakeServer) -> None:
    first = json.loads(STOCK_BARS) | {"next_page_token": "two"}
    second = STOCK_BARS.replace(b"2026-10", b"2026-09")
    server.respond_with(json_reply(first), Reply(200, second), Reply(200, STOCK_TRADES))

    prices = await alpaca.prices(WGMI, LONG_AGO)

    assert [None, "two", None] == [request.url.params.get("page_token") for request in server.requests]
    assert 6 == len(prices.closes)


async def test_endless_pages_are_an_error(alpaca: Alpaca, server: FakeServer) -> None:
    server.respond_with(json_reply(json.loads(STOCK_BARS) | {"next_page_token": "on"}))

    assert "sent more than 20 pages" == (await failure_of(alpaca.prices(WGMI, LONG_AGO))).problem


@pytest.mark.parametrize(
    "at",
    [
        pytest.param("2026-11-20T14:29:59Z", id="before-the-opening"),
        pytest.param("2026-11-19T21:00:01Z", id="after-the-close"),
        pytest.param("2026-11-01T15:00:00Z", id="long-ago"),
    ],
)
async def test_a_trade_outside_regular_hours_is_not_a_quote(alpaca: Alpaca, server: FakeServer, at: str) -> None:
    server.respond_with(
        Reply(200, STOCK_BARS), Reply(200, STOCK_TRADES.replace(b"2026-11-20T17:45:01.123456789Z", at.encode()))
    )

    assert (await alpaca.prices(WGMI, LONG_AGO)).quote is None


@pytest.mark.parametrize("body", [b'{"bars":{},"next_page_token":null}', b'{"bars":null,"next_page_token":null}'])
async def test_a_window_without_bars_has_no_closes(alpaca: Alpaca, server: FakeServer, body: bytes) -> None:
    server.respond_with(Reply(200, body), Reply(200, b'{"trades":{}}'))

    prices = await alpaca.prices(WGMI, LONG_AGO)

    assert ({}, None) == (by_day(prices.closes), prices.quote)


async def test_recorded_bars_are_read(alpaca: Alpaca, server: FakeServer, recording: ReadRecording) -> None:
    last = json.loads(recording("alpaca_stock_bars_1Day.json")) | {"bars": {}, "next_page_token": None}
    server.respond_with(
        Reply(200, recording("alpaca_stock_bars_1Day.json")),
        json_reply(last),
        Reply(200, b'{"trades":{}}'),
    )

    prices = await alpaca.prices(Symbol("AAPL"), LONG_AGO)

    assert {"2022-02-01": 174.61, "2022-02-02": 175.84} == by_day(prices.closes)
    assert "QUFQTHxEfDIwMjItMDItMDJUMDU6MDA6MDAuMDAwMDAwMDAwWg==" == server.requests[1].url.params["page_token"]


MINERS = [Symbol(f"M{number:02}") for number in range(16)]
BARS, TRADES = "/v2/stocks/bars", "/v2/stocks/trades/latest"


def miners_bars(*miners: Symbol, token: str | None = None, **overrides: float) -> Reply:
    rows = {
        miner: [{"t": "2026-10-29T04:00:00Z", "c": overrides.get(miner, 29 + int(miner[1:]) / 100), "n": 1}]
        for miner in miners
    }
    return json_reply({"bars": rows, "next_page_token": token})


def miners_trades(*miners: Symbol) -> Reply:
    trades = {miner: {"t": "2026-11-20T17:45:01Z", "p": 50 + int(miner[1:])} for miner in miners}
    return json_reply({"trades": trades})


async def fetch_together(alpaca: Alpaca, *miners: Symbol) -> list[EquityPrices | BaseException]:
    return await asyncio.gather(*(alpaca.prices(miner, LONG_AGO) for miner in miners), return_exceptions=True)


def summarize(*answers: EquityPrices | BaseException) -> list[tuple[str, float, float | None] | str]:
    return [
        str(one)
        if isinstance(one, BaseException)
        else (one.closes.symbol, float(one.closes.prices[-1]), one.quote.price if one.quote else None)
        for one in answers
    ]


def calls_of(server: FakeServer) -> list[tuple[str, str]]:
    return [(request.url.path, request.url.params["symbols"]) for request in server.requests]


async def test_16_concurrent_requests_make_two_calls(alpaca: Alpaca, server: FakeServer) -> None:
    server.respond_with(miners_bars(*reversed(MINERS)), miners_trades(*MINERS))

    answers = await fetch_together(alpaca, *MINERS)

    together = ",".join(MINERS)
    assert [(BARS, together), (TRADES, together)] == calls_of(server)
    assert [(miner, 29 + number / 100, 50.0 + number) for number, miner in enumerate(MINERS)] == summarize(*answers)


async def test_a_batch_starts_at_the_earliest_day_and_each_symbol_gets_its_rows(
    alpaca: Alpaca, server: FakeServer
) -> None:
    rows = [{"t": f"2026-10-{day}T04:00:00Z", "c": 41.5, "n": 1} for day in (28, 29, 30)]
    body = {"bars": {"WGMI": rows, "M00": rows}, "next_page_token": None}
    server.respond_with(json_reply(body), Reply(200, STOCK_TRADES))

    late, early = await asyncio.gather(
        alpaca.prices(WGMI, date(2026, 10, 30)), alpaca.prices(MINERS[0], date(2026, 10, 28))
    )

    assert "2026-10-28" == server.requests[0].url.params["start"]
    assert (["2026-10-30"], 3) == (list(by_day(late.closes)), len(early.closes))


async def test_the_bars_of_a_share_may_continue_on_the_next_page(alpaca: Alpaca, server: FakeServer) -> None:
    one, two, three = MINERS[:3]
    second = json.loads(miners_bars(two, three).body)
    second["bars"][two][0]["t"] = "2026-10-30T04:00:00Z"
    server.respond_with(miners_bars(one, two, token="on"), json_reply(second), miners_trades(one, two, three))

    answers = await fetch_together(alpaca, one, two, three)

    assert [1, 2, 1] == [len(answer.closes) for answer in answers if not isinstance(answer, BaseException)]
    assert ["on", f"{one},{two},{three}"] == [server.requests[1].url.params[name] for name in ("page_token", "symbols")]


async def test_a_share_missing_from_the_response_has_no_prices(alpaca: Alpaca, server: FakeServer) -> None:
    one, unknown = MINERS[:2]
    server.respond_with(miners_bars(one), miners_trades(one))

    known, empty = await fetch_together(alpaca, one, unknown)

    assert [(one, 29.0, 50.0)] == summarize(known)
    assert not isinstance(empty, BaseException)
    assert ({}, None) == (by_day(empty.closes), empty.quote)


async def test_a_rejected_share_fails_alone(alpaca: Alpaca, server: FakeServer) -> None:
    one, refused, three = MINERS[:3]
    refusal = Reply(400, b'{"message":"invalid symbol: M01"}')
    server.respond_with(refusal, miners_bars(one, three), miners_trades(one, three), refusal)

    answers = await fetch_together(alpaca, one, refused, three)

    problem = "Alpaca (M01): refused the request: “invalid symbol: M01”"
    assert [(one, 29.0, 50.0), problem, (three, 29.02, 52.0)] == summarize(*answers)
    assert [(BARS, "M00,M01,M02"), (BARS, "M00,M02"), (TRADES, "M00,M02"), (BARS, "M01")] == calls_of(server)


async def test_a_share_with_malformed_rows_fails_alone(alpaca: Alpaca, server: FakeServer) -> None:
    one, overrides, three = MINERS[:3]
    server.respond_with(
        miners_bars(one, overrides, three, M01=-1.0),
        miners_bars(one, three),
        miners_trades(one, three),
        miners_bars(overrides, M01=-1.0),
    )

    first, second, third = summarize(*await fetch_together(alpaca, one, overrides, three))

    assert [(one, 29.0, 50.0), (three, 29.02, 52.0)] == [first, third]
    assert str(second).startswith("Alpaca (M01): sent an unusable response (bars.M01.0.c: ")


async def test_rejected_shares_each_fail_with_their_own_reason(alpaca: Alpaca, server: FakeServer) -> None:
    server.respond_with(
        *(Reply(400, f'{{"message":"invalid symbol: {named}"}}'.encode()) for named in ("M00, M01", "M00", "M01"))
    )

    answers = summarize(*await fetch_together(alpaca, *MINERS[:2]))

    assert [f"Alpaca ({one}): refused the request: “invalid symbol: {one}”" for one in MINERS[:2]] == answers


@pytest.mark.parametrize(
    ("reply", "problem", "retryable"),
    [
        pytest.param(
            Reply(403, b'{"message":"forbidden."}'), "refused the request: “forbidden.”", False, id="wrong-keys"
        ),
        pytest.param(Reply(200, b"?"), "sent something that isn't JSON; MinerPulse retries", True, id="garbled"),
        pytest.param(
            httpx.ConnectError("no"),
            "couldn't be reached; check its address, and this machine's network and proxy",
            True,
            id="unreached",
        ),
    ],
)
async def test_a_failed_call_raises_an_error_for_each_symbol(
    alpaca: Alpaca,
    server: FakeServer,
    caplog: pytest.LogCaptureFixture,
    reply: Reply | Exception,
    problem: str,
    *,
    retryable: bool,
) -> None:
    server.respond_with(reply)

    answers = await fetch_together(alpaca, *MINERS)

    assert [f"Alpaca ({miner}): {problem}" for miner in MINERS] == summarize(*answers)
    assert {retryable} == {answer.retryable for answer in answers if isinstance(answer, SourceError)}
    assert {",".join(MINERS)} == {symbols for _, symbols in calls_of(server)}
    assert [f"Alpaca (M00): {problem}"] == caplog.messages


async def test_a_later_request_makes_a_new_call(alpaca: Alpaca, server: FakeServer) -> None:
    one, two = MINERS[:2]
    server.respond_with(miners_bars(one), miners_trades(one), miners_bars(two), miners_trades(two))

    answers = [*await fetch_together(alpaca, one), *await fetch_together(alpaca, two)]

    assert [(one, 29.0, 50.0), (two, 29.01, 51.0)] == summarize(*answers)
    assert [(BARS, one), (TRADES, one), (BARS, two), (TRADES, two)] == calls_of(server)

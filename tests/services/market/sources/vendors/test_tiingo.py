import json
from datetime import date

import pytest

from services.core.prices import Symbol
from services.market.consensus.corporate_actions import ActionKind
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.tiingo import Tiingo
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, FakeServer, ReadRecording, Reply, failure_of, json_reply

WGMI = Symbol("WGMI")
LONG_AGO = date(2000, 1, 1)
DAILY = (RESPONSES / "tiingo_daily.json").read_bytes()
IEX = (RESPONSES / "tiingo_iex.json").read_bytes()


@pytest.fixture
def tiingo(server: FakeServer, clock: SetClock, client: HttpClient) -> Tiingo:
    server.respond_with(Reply(200, DAILY), Reply(200, IEX))
    return Tiingo(client, clock, "secret")


async def test_dividends_and_splits_have_their_ex_dates(tiingo: Tiingo, server: FakeServer) -> None:
    rows = [
        {"date": "2026-10-28T00:00:00.000Z", "close": 41.0, "divCash": 0.0, "splitFactor": 1.0},
        {"date": "2026-10-30T00:00:00.000Z", "close": 41.5, "divCash": 0.11, "splitFactor": 2.0},
        {"date": "2026-10-29T00:00:00.000Z", "close": 80.0, "divCash": 0.3},
    ]
    server.respond_with(json_reply(rows), Reply(200, IEX))

    actions = (await tiingo.prices(WGMI, date(2026, 10, 28))).actions

    assert [
        ("2026-10-29", ActionKind.DIVIDEND, 0.3),
        ("2026-10-30", ActionKind.DIVIDEND, 0.11),
        ("2026-10-30", ActionKind.SPLIT, 2.0),
    ] == [(f"{one.session}", one.kind, one.value) for one in actions]


def last(**changes: object) -> Reply:
    return json_reply([json.loads(IEX)[0] | changes])


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


@pytest.mark.parametrize("factor", [9999.0, 1e-5])
async def test_extreme_splits_are_rejected(tiingo: Tiingo, server: FakeServer, factor: float) -> None:
    days = [json.loads(DAILY)[0] | {"splitFactor": factor}] * 100
    server.respond_with(json_reply(days), Reply(200, IEX))

    assert (await failure_of(tiingo.prices(WGMI, LONG_AGO))).retryable


async def test_recorded_half_hour_bars_are_not_a_last_trade(
    tiingo: Tiingo, server: FakeServer, recording: ReadRecording
) -> None:
    server.respond_with(Reply(200, DAILY), Reply(200, recording("tiingo_iex_30min_GOOGL.json")))

    assert "unusable response" in (await failure_of(tiingo.prices(WGMI, LONG_AGO))).problem

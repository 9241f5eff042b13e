import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType

import numpy as np
import pytest

from services.core.prices import Symbol
from services.market.consensus.corporate_actions import UNUSABLE, Action, ActionKind
from services.market.ports import EquityPrices
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.yahoo import Yahoo
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

WGMI = Symbol("WGMI")
LONG_AGO = date(2000, 1, 1)
CHART = (RESPONSES / "yahoo_chart.json").read_bytes()


@pytest.fixture
def yahoo(server: FakeServer, clock: SetClock) -> Yahoo:
    server.respond_with(Reply(200, CHART))
    return Yahoo(HttpClient(transport=server.transport), clock)


async def fetch(yahoo: Yahoo, symbol: str = "WGMI", since: date = LONG_AGO) -> EquityPrices:
    return await yahoo.prices(Symbol(symbol), since)


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


async def test_closes_before_the_requested_day_are_dropped(yahoo: Yahoo) -> None:
    prices = await fetch(yahoo, since=date(2026, 10, 29))

    assert ["2026-10-29", "2026-10-30"] == list(by_day(prices.closes))


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
        pytest.param(one_bar(close="41.5, 41.75"), id="more-closes-than-times"),
        pytest.param(Reply(200, b'{"chart": {"result": [], "error": null}}'), id="no-result"),
        pytest.param(
            Reply(200, b'{"chart": {"result": null, "error": {"code": "internal-error", "description": ""}}}'),
            id="its-own-failure",
        ),
    ],
)
async def test_a_malformed_response_is_rejected(yahoo: Yahoo, server: FakeServer, reply: Reply) -> None:
    server.respond_with(reply)

    error = await failure_of(fetch(yahoo))

    assert ("Yahoo", "WGMI", True) == (error.source, error.symbol, error.retryable)


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


async def test_zero_volume_counts_as_no_trading_only_with_a_repeated_close(yahoo: Yahoo, server: FakeServer) -> None:
    """Zero volume with a new price is a gap in Yahoo's volumes and says nothing about its prices."""
    chart = json.loads(CHART)
    days = [1793106600 + 86_400 * day for day in range(4)]
    chart["chart"]["result"][0]["timestamp"] = days
    chart["chart"]["result"][0]["indicators"]["quote"] = [
        {"close": [40.0, 41.0, 41.0, 42.0], "volume": [900, 1_000, 0, 0]}
    ]
    server.respond_with(json_reply(chart))
    read = (await yahoo.prices(WGMI, date(2026, 10, 1))).closes
    del chart["chart"]["result"][0]["indicators"]["quote"][0]["volume"]
    server.respond_with(json_reply(chart))
    unknown = (await yahoo.prices(WGMI, date(2026, 10, 1))).closes

    np.testing.assert_array_equal([900.0, 1_000.0, 0.0, np.nan], read.known_volumes)
    np.testing.assert_array_equal([np.nan] * 4, unknown.known_volumes)


def timestamp(day: str) -> int:
    """The opening of a session in winter, in epoch seconds."""
    return int(datetime.fromisoformat(f"{day}T14:30:00").replace(tzinfo=UTC).timestamp())


def dividends_of(**amounts: object) -> dict[str, object]:
    days = {day.removeprefix("on_").replace("_", "-"): amount for day, amount in amounts.items()}
    return {
        "dividends": {f"{timestamp(day)}": {"amount": amount, "date": timestamp(day)} for day, amount in days.items()}
    }


def split_of(day: str, new: object, old: object) -> dict[str, object]:
    ratio = {"date": timestamp(day), "numerator": new, "denominator": old, "splitRatio": f"{new}:{old}"}
    return {"splits": {f"{timestamp(day)}": ratio}}


async def declared(
    yahoo: Yahoo, server: FakeServer, events: object, since: date = LONG_AGO
) -> list[tuple[str, ActionKind, float]]:
    chart = json.loads(CHART)
    chart["chart"]["result"][0]["events"] = events
    server.respond_with(json_reply(chart))
    actions = (await fetch(yahoo, since=since)).actions
    return [(f"{one.session}", one.kind, one.value) for one in actions]


async def test_dividends_and_splits_have_their_ex_dates(yahoo: Yahoo, server: FakeServer) -> None:
    events = dividends_of(on_2025_12_19=0.11, on_2024_12_24=0.05) | split_of("2025-01-06", 1, 10)

    assert [
        ("2024-12-24", ActionKind.DIVIDEND, pytest.approx(0.005)),
        ("2025-01-06", ActionKind.SPLIT, 0.1),
        ("2025-12-19", ActionKind.DIVIDEND, 0.11),
    ] == await declared(yahoo, server, events)


async def test_a_dividend_is_per_share_of_its_day(yahoo: Yahoo, server: FakeServer) -> None:
    events = dividends_of(on_2025_01_03=0.01, on_2025_01_06=0.02) | split_of("2025-01-06", 10, 1)

    assert {"2025-01-03": pytest.approx(0.1), "2025-01-06": 0.02} == {
        day: value for day, kind, value in await declared(yahoo, server, events) if kind is ActionKind.DIVIDEND
    }


async def test_events_before_the_requested_day_are_dropped(yahoo: Yahoo, server: FakeServer) -> None:
    events = dividends_of(on_2025_12_18=0.1, on_2025_12_19=0.2)

    assert [("2025-12-19", ActionKind.DIVIDEND, 0.2)] == await declared(yahoo, server, events, since=date(2025, 12, 19))


@pytest.mark.parametrize("events", [None, {}, {"dividends": {}}], ids=["none", "nothing in them", "no dividend"])
async def test_a_chart_may_have_no_events(yahoo: Yahoo, server: FakeServer, events: object) -> None:
    assert [] == await declared(yahoo, server, events)


@pytest.mark.parametrize(
    "events",
    [
        *[
            pytest.param(dividends_of(on_2025_12_19=amount), id=f"amount-{amount}")
            for amount in ("0.1", None, float("nan"))
        ],
        *[pytest.param(split_of("2025-01-06", new, 1), id=f"split-{new}") for new in (0, -2, "2", None, float("inf"))],
        pytest.param(split_of("2025-01-06", 1, 0), id="by-nothing"),
        pytest.param(split_of("2025-01-06", 4, 5e-324), id="by-next-to-nothing"),
        pytest.param(split_of("2025-01-06", 5e-324, 1), id="next-to-nothing"),
        pytest.param(dividends_of(on_2025_12_19=1e308), id="amount-beyond-all-measure"),
    ],
)
async def test_an_odd_event_costs_its_amount_only(yahoo: Yahoo, server: FakeServer, events: object) -> None:
    """The event stays known, so that returns across its day are not trusted."""
    found = await declared(yahoo, server, events)

    assert {UNUSABLE} == {value for _day, _kind, value in found}
    assert 1 == len(found)


async def test_odd_events_cost_the_events(yahoo: Yahoo, server: FakeServer) -> None:
    assert [] == await declared(yahoo, server, [])
    assert ("chart.result.0.events",) == yahoo.dropped(WGMI)


@pytest.mark.parametrize(
    "meta",
    [
        *(
            {"regularMarketTime": 1793367000, "regularMarketPrice": price}
            for price in ("41.5", float("nan"), 1e400, 0, -1)
        ),
        *({"regularMarketTime": at, "regularMarketPrice": 41.5} for at in (1e20, "x", -1, 1.5)),
    ],
    ids=str,
)
async def test_an_odd_last_trade_costs_only_the_last_trade(
    yahoo: Yahoo, server: FakeServer, meta: dict[str, object]
) -> None:
    server.respond_with(one_bar(meta=meta))

    found = await fetch(yahoo)

    assert ([41.5], None) == ([*by_day(found.closes).values()], found.quote)
    assert len(yahoo.dropped(WGMI)) == 1
    assert yahoo.dropped(WGMI)[0].startswith("chart.result.0.meta.regularMarket")


CAPITAL_GAIN = {"amount": 4.0, "date": timestamp("2025-12-19")}


@pytest.mark.parametrize(
    ("dividend", "expected"),
    [
        pytest.param(None, 4.0, id="alone"),
        pytest.param(4.0, 4.0, id="inside-the-dividends-too"),
        pytest.param(3.99, 4.0, id="inside-them-and-rounded"),
        pytest.param(4.1, 4.1, id="inside-them-with-income"),
        pytest.param(0.1, 4.1, id="beside-a-dividend"),
    ],
)
async def test_a_distribution_of_capital_gains_counts_once(
    yahoo: Yahoo, server: FakeServer, dividend: float | None, expected: float
) -> None:
    events = dividends_of(on_2025_12_19=dividend) if dividend else {}
    gains = {"capitalGains": {f"{timestamp('2025-12-19')}": CAPITAL_GAIN}}

    [(day, kind, amount)] = await declared(yahoo, server, events | gains)

    assert ("2025-12-19", ActionKind.DIVIDEND) == (day, kind)
    assert pytest.approx(expected, abs=0.011) == amount


async def test_a_negative_dividend_is_kept(yahoo: Yahoo, server: FakeServer) -> None:
    assert [("2025-12-19", ActionKind.DIVIDEND, -0.1)] == await declared(
        yahoo, server, dividends_of(on_2025_12_19=-0.1)
    )


async def test_the_recorded_events_are_read(yahoo: Yahoo, server: FakeServer, recording: ReadRecording) -> None:
    server.respond_with(Reply(200, recording("yahoo_chart_1d_AAPL_dividend.json")))

    actions = (await fetch(yahoo, "AAPL")).actions

    assert (
        Action(session=date(2020, 8, 31), kind=ActionKind.SPLIT, value=4.0),
        Action(session=date(2020, 11, 6), kind=ActionKind.DIVIDEND, value=0.205),
    ) == actions

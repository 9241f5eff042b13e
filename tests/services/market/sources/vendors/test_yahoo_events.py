from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.consensus.corporate_actions import Action, ActionKind
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.yahoo import Yahoo
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, FakeServer, ReadRecording, Reply

WGMI = Symbol("WGMI")
LONG_AGO = date(2000, 1, 1)
CHART = json.loads((RESPONSES / "yahoo_chart.json").read_bytes())


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
    server: FakeServer, clock: SetClock, events: object, since: date = LONG_AGO, symbol: Symbol = WGMI
) -> list[tuple[str, ActionKind, float]]:
    chart = CHART["chart"] | {"result": [CHART["chart"]["result"][0] | {"events": events}]}
    server.respond_with(Reply(200, json.dumps({"chart": chart}).encode()))
    actions = (await Yahoo(HttpClient(transport=server.transport), clock).prices(symbol, since)).actions
    return [(f"{one.session}", one.kind, one.value) for one in actions]


async def test_dividends_and_splits_have_their_ex_dates(server: FakeServer, clock: SetClock) -> None:
    events = dividends_of(on_2025_12_19=0.11, on_2024_12_24=0.05) | split_of("2025-01-06", 1, 10)

    assert [
        ("2024-12-24", ActionKind.DIVIDEND, pytest.approx(0.005)),
        ("2025-01-06", ActionKind.SPLIT, 0.1),
        ("2025-12-19", ActionKind.DIVIDEND, 0.11),
    ] == await declared(server, clock, events)


async def test_a_dividend_is_per_share_of_its_day(server: FakeServer, clock: SetClock) -> None:
    events = dividends_of(on_2025_01_03=0.01, on_2025_01_06=0.02) | split_of("2025-01-06", 10, 1)

    assert {"2025-01-03": pytest.approx(0.1), "2025-01-06": 0.02} == {
        day: value for day, kind, value in await declared(server, clock, events) if kind is ActionKind.DIVIDEND
    }


async def test_events_before_the_requested_day_are_dropped(server: FakeServer, clock: SetClock) -> None:
    events = dividends_of(on_2025_12_18=0.1, on_2025_12_19=0.2)

    assert [("2025-12-19", ActionKind.DIVIDEND, 0.2)] == await declared(server, clock, events, since=date(2025, 12, 19))


@pytest.mark.parametrize("events", [None, {}, {"dividends": {}}], ids=["none", "nothing in them", "no dividend"])
async def test_a_chart_may_have_no_events(server: FakeServer, clock: SetClock, events: object) -> None:
    assert [] == await declared(server, clock, events)


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
        pytest.param([], id="a list"),
    ],
)
async def test_a_response_with_malformed_events_is_rejected(
    server: FakeServer, clock: SetClock, events: object
) -> None:
    with pytest.raises(SourceError, match="Yahoo on WGMI"):
        await declared(server, clock, events)


async def test_a_negative_dividend_is_kept(server: FakeServer, clock: SetClock) -> None:
    assert [("2025-12-19", ActionKind.DIVIDEND, -0.1)] == await declared(
        server, clock, dividends_of(on_2025_12_19=-0.1)
    )


async def test_the_recorded_events_are_read(server: FakeServer, clock: SetClock, recording: ReadRecording) -> None:
    server.respond_with(Reply(200, recording("yahoo_chart_1d_AAPL_dividend.json")))

    actions = (await Yahoo(HttpClient(transport=server.transport), clock).prices(Symbol("AAPL"), LONG_AGO)).actions

    assert (
        Action(session=date(2020, 8, 31), kind=ActionKind.SPLIT, value=4.0),
        Action(session=date(2020, 11, 6), kind=ActionKind.DIVIDEND, value=0.205),
    ) == actions

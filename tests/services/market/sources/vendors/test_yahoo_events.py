from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.consensus.corporate_actions import Action, Kind
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.yahoo import Yahoo
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, Line, Reply, Wire

WGMI = Symbol("WGMI")
LONG_AGO = date(2000, 1, 1)
CHART = json.loads((RESPONSES / "yahoo_chart.json").read_bytes())


def stamp(day: str) -> int:
    """The opening of a session in winter."""
    return int(datetime.fromisoformat(f"{day}T14:30:00").replace(tzinfo=UTC).timestamp())


def paid(**amounts: object) -> dict[str, object]:
    days = {day.removeprefix("on_").replace("_", "-"): amount for day, amount in amounts.items()}
    return {"dividends": {f"{stamp(day)}": {"amount": amount, "date": stamp(day)} for day, amount in days.items()}}


def split(day: str, new: object, old: object) -> dict[str, object]:
    ratio = {"date": stamp(day), "numerator": new, "denominator": old, "splitRatio": f"{new}:{old}"}
    return {"splits": {f"{stamp(day)}": ratio}}


async def declared(
    line: Line, clock: SetClock, events: object, since: date = LONG_AGO, symbol: Symbol = WGMI
) -> list[tuple[str, Kind, float]]:
    chart = CHART["chart"] | {"result": [CHART["chart"]["result"][0] | {"events": events}]}
    line.answers(Reply(200, json.dumps({"chart": chart}).encode()))
    actions = (await Yahoo(HttpClient(transport=line.transport), clock).prices(symbol, since)).actions
    return [(f"{one.session}", one.kind, one.value) for one in actions]


async def test_dividends_and_splits_come_with_their_ex_dates(line: Line, clock: SetClock) -> None:
    events = paid(on_2025_12_19=0.11, on_2024_12_24=0.05) | split("2025-01-06", 1, 10)

    assert [
        ("2024-12-24", Kind.DIVIDEND, pytest.approx(0.005)),
        ("2025-01-06", Kind.SPLIT, 0.1),
        ("2025-12-19", Kind.DIVIDEND, 0.11),
    ] == await declared(line, clock, events)


async def test_a_dividend_is_told_in_the_shares_of_its_day(line: Line, clock: SetClock) -> None:
    events = paid(on_2025_01_03=0.01, on_2025_01_06=0.02) | split("2025-01-06", 10, 1)

    assert {"2025-01-03": pytest.approx(0.1), "2025-01-06": 0.02} == {
        day: value for day, kind, value in await declared(line, clock, events) if kind is Kind.DIVIDEND
    }


async def test_what_was_declared_before_the_day_asked_for_is_left_out(line: Line, clock: SetClock) -> None:
    events = paid(on_2025_12_18=0.1, on_2025_12_19=0.2)

    assert [("2025-12-19", Kind.DIVIDEND, 0.2)] == await declared(line, clock, events, since=date(2025, 12, 19))


@pytest.mark.parametrize("events", [None, {}, {"dividends": {}}], ids=["none", "nothing in them", "no dividend"])
async def test_a_chart_may_have_no_events(line: Line, clock: SetClock, events: object) -> None:
    assert [] == await declared(line, clock, events)


@pytest.mark.parametrize(
    "events",
    [
        *[pytest.param(paid(on_2025_12_19=amount), id=f"amount-{amount}") for amount in ("0.1", None, float("nan"))],
        *[pytest.param(split("2025-01-06", new, 1), id=f"split-{new}") for new in (0, -2, "2", None, float("inf"))],
        pytest.param(split("2025-01-06", 1, 0), id="by-nothing"),
        pytest.param(split("2025-01-06", 4, 5e-324), id="by-next-to-nothing"),
        pytest.param(split("2025-01-06", 5e-324, 1), id="next-to-nothing"),
        pytest.param(paid(on_2025_12_19=1e308), id="amount-beyond-all-measure"),
        pytest.param([], id="a list"),
    ],
)
async def test_an_answer_with_garbled_events_is_refused(line: Line, clock: SetClock, events: object) -> None:
    with pytest.raises(SourceError, match="Yahoo on WGMI"):
        await declared(line, clock, events)


async def test_a_negative_dividend_is_told_as_it_is_declared(line: Line, clock: SetClock) -> None:
    assert [("2025-12-19", Kind.DIVIDEND, -0.1)] == await declared(line, clock, paid(on_2025_12_19=-0.1))


async def test_the_recorded_events_are_read(line: Line, clock: SetClock, wire: Wire) -> None:
    line.answers(Reply(200, wire("yahoo_chart_1d_AAPL_dividend.json")))

    actions = (await Yahoo(HttpClient(transport=line.transport), clock).prices(Symbol("AAPL"), LONG_AGO)).actions

    assert (
        Action(session=date(2020, 8, 31), kind=Kind.SPLIT, value=4.0),
        Action(session=date(2020, 11, 6), kind=Kind.DIVIDEND, value=0.205),
    ) == actions

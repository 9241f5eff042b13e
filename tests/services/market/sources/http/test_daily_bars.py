from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pytest

from services.core.prices import Symbol
from services.market.sources.catalogue import SOURCES, build_equity
from services.market.sources.http.client import HttpClient
from services.market.sources.http.daily_bars import read_opening, read_volume
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import Line, Reply, Wire

KEYS = {name: "secret" for row in SOURCES for name in row.keys}
DAYS = ["2026-10-26", "2026-10-27", "2026-10-28", "2026-10-29"]
CLOSES = [40.0, 41.0, 41.0, 42.0]
ROWS = [*zip(DAYS, CLOSES, [900, 1_000, 0, 0], strict=True)]
META = {"symbol": "WGMI", "currency": "USD", "exchange_timezone": "America/New_York"}
NASDAQ = [
    {"date": f"{day[5:7]}/{day[8:]}/{day[:4]}", "close": f"${close}", "volume": f"{volume:,}"}
    for day, close, volume in ROWS
]
ALPACA = [{"t": f"{day}T04:00:00Z", "c": close, "v": volume, "n": 1} for day, close, volume in ROWS]
TWELVE = [{"datetime": day, "close": f"{close}", "volume": f"{volume}"} for day, close, volume in ROWS]
TIINGO = [{"date": f"{day}T00:00:00.000Z", "close": close, "volume": volume} for day, close, volume in ROWS]
UNREAD: tuple[object, ...] = (None, "N/A", "", "-1", "1,00", "1e3", True, [], -1, float("inf"), float("nan"), 10**400)
STATUS = {"rCode": 200, "bCodeMessage": None}
OPENED = [50.0, 40.0, None, 0]
STAMPS = [1793021400 + 86_400 * day for day in range(4)]
YAHOO_META = {"symbol": "WGMI", "currency": "USD", "exchangeTimezoneName": "America/New_York"}


def opened(rows: Sequence[Mapping[str, object]], name: str = "open") -> list[dict[str, object]]:
    return [{**row, name: opening} for row, opening in zip(rows, OPENED, strict=True)]


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        pytest.param(
            "nasdaq",
            [{"data": {"symbol": "WGMI", "totalRecords": 4, "tradesTable": {"rows": NASDAQ}}, "status": STATUS}],
            id="nasdaq",
        ),
        pytest.param("alpaca", [{"bars": {"WGMI": ALPACA}, "next_page_token": None}, {"trades": {}}], id="alpaca"),
        pytest.param("tiingo", [TIINGO, []], id="tiingo"),
        pytest.param("twelvedata", [{"meta": META, "values": TWELVE, "status": "ok"}], id="twelvedata"),
    ],
)
async def test_a_close_that_is_repeated_without_volume_is_known_to_be_no_trade(
    client: HttpClient, line: Line, clock: SetClock, name: str, answers: list[object]
) -> None:
    """A volume of zero beside a new price is a gap in the volumes, and no word on the prices."""
    line.answers(*(Reply(200, json.dumps(one).encode()) for one in answers))

    read = (await build_equity(name, client, clock, keys=KEYS).prices(Symbol("WGMI"), date(2026, 10, 1))).closes

    assert CLOSES == read.prices.tolist()
    np.testing.assert_array_equal([900.0, 1_000.0, 0.0, np.nan], read.known_volumes)


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        pytest.param(
            "yahoo",
            [
                {
                    "chart": {
                        "result": [
                            {
                                "meta": YAHOO_META,
                                "timestamp": STAMPS,
                                "indicators": {"quote": [{"open": OPENED, "close": CLOSES}]},
                            }
                        ],
                        "error": None,
                    }
                }
            ],
            id="yahoo",
        ),
        pytest.param(
            "nasdaq",
            [
                {
                    "data": {"symbol": "WGMI", "totalRecords": 4, "tradesTable": {"rows": opened(NASDAQ)}},
                    "status": STATUS,
                }
            ],
            id="nasdaq",
        ),
        pytest.param(
            "alpaca", [{"bars": {"WGMI": opened(ALPACA, "o")}, "next_page_token": None}, {"trades": {}}], id="alpaca"
        ),
        pytest.param("tiingo", [opened(TIINGO), []], id="tiingo"),
        pytest.param("twelvedata", [{"meta": META, "values": opened(TWELVE), "status": "ok"}], id="twelvedata"),
    ],
)
async def test_what_a_session_did_from_its_opening_on_is_read_where_there_is_one(
    client: HttpClient, line: Line, clock: SetClock, name: str, answers: list[object]
) -> None:
    line.answers(*(Reply(200, json.dumps(one).encode()) for one in answers))

    read = (await build_equity(name, client, clock, keys=KEYS).prices(Symbol("WGMI"), date(2026, 10, 1))).closes

    assert CLOSES == read.prices.tolist()
    np.testing.assert_allclose(read.known_inside, [40 / 50 - 1, 41 / 40 - 1, np.nan, np.nan], rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "symbol", "bodies", "first"),
    [
        pytest.param(
            "yahoo", "NVDA", ["yahoo_chart_1d_NVDA_split.json"], 13.237000465393066 / 13.053250312805176 - 1, id="yahoo"
        ),
        pytest.param("nasdaq", "AAPL", ["nasdaq_historical.json"], 185.92 / 186.06 - 1, id="nasdaq"),
        pytest.param("tiingo", "GOOGL", ["tiingo_eod_GOOGL.json", None], 529.55 / 532.6 - 1, id="tiingo"),
        pytest.param("twelvedata", "AAPL", ["twelvedata_time_series_1day.json"], 185.92 / 186.06 - 1, id="twelvedata"),
    ],
)
async def test_recorded_openings_are_read(
    client: HttpClient, line: Line, clock: SetClock, wire: Wire, name: str, symbol: str, bodies: list[str], first: float
) -> None:
    line.answers(*(Reply(200, wire(body) if body else b"[]") for body in bodies))

    read = (await build_equity(name, client, clock, keys=KEYS).prices(Symbol(symbol), date(2000, 1, 1))).closes

    assert first == pytest.approx(read.known_inside[0], abs=1e-6)


@pytest.mark.parametrize(
    ("told", "opening"),
    [
        *[(told, None) for told in [*UNREAD, 0, "0", 10**12]],
        (185.92, 185.92),
        (41, 41.0),
        ("186.06", 186.06),
        ("$1,186.06", 1_186.06),
    ],
)
def test_an_opening_that_cannot_be_read_is_not_known(told: object, opening: float | None) -> None:
    assert opening == read_opening(told)


@pytest.mark.parametrize(
    ("told", "volume"),
    [
        *[(told, None) for told in UNREAD],
        (0, 0.0),
        (85_998_033, 85_998_033.0),
        ("65076700", 65_076_700.0),
        ("58,414,460", 58_414_460.0),
    ],
)
def test_a_volume_that_cannot_be_read_is_not_known(told: object, volume: float | None) -> None:
    assert volume == read_volume(told)

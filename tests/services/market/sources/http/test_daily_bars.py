from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pytest

from services.core.prices import Closes, Symbol
from services.market.sources.catalogue import EQUITY, SOURCES, build_source
from services.market.sources.http.client import HttpClient
from services.market.sources.http.daily_bars import parse_opening, parse_volume
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import FakeServer, ReadRecording, Reply, json_reply

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
UNPARSABLE: tuple[object, ...] = (
    None,
    "N/A",
    "",
    "-1",
    "1,00",
    "1e3",
    True,
    [],
    -1,
    float("inf"),
    float("nan"),
    10**400,
)
STATUS = {"rCode": 200, "bCodeMessage": None}
OPENINGS = [50.0, 40.0, None, 0]
STAMPS = [1793021400 + 86_400 * day for day in range(4)]
YAHOO_META = {"symbol": "WGMI", "currency": "USD", "exchangeTimezoneName": "America/New_York"}


def with_openings(rows: Sequence[Mapping[str, object]], name: str = "open") -> list[dict[str, object]]:
    return [{**row, name: opening} for row, opening in zip(rows, OPENINGS, strict=True)]


async def fetch_closes(name: str, client: HttpClient, clock: SetClock, symbol: str = "WGMI") -> Closes:
    source = build_source(EQUITY, name, client, clock, keys=KEYS)
    return (await source.prices(Symbol(symbol), date(2000, 1, 1))).closes


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
async def test_zero_volume_counts_as_no_trading_only_with_a_repeated_close(
    client: HttpClient, server: FakeServer, clock: SetClock, name: str, answers: list[object]
) -> None:
    """Zero volume with a new price is a gap in the volumes and says nothing about the prices."""
    server.respond_with(*(json_reply(one) for one in answers))

    closes = await fetch_closes(name, client, clock)

    assert CLOSES == closes.prices.tolist()
    np.testing.assert_array_equal([900.0, 1_000.0, 0.0, np.nan], closes.known_volumes)


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
                                "indicators": {"quote": [{"open": OPENINGS, "close": CLOSES}]},
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
                    "data": {"symbol": "WGMI", "totalRecords": 4, "tradesTable": {"rows": with_openings(NASDAQ)}},
                    "status": STATUS,
                }
            ],
            id="nasdaq",
        ),
        pytest.param(
            "alpaca",
            [{"bars": {"WGMI": with_openings(ALPACA, "o")}, "next_page_token": None}, {"trades": {}}],
            id="alpaca",
        ),
        pytest.param("tiingo", [with_openings(TIINGO), []], id="tiingo"),
        pytest.param("twelvedata", [{"meta": META, "values": with_openings(TWELVE), "status": "ok"}], id="twelvedata"),
    ],
)
async def test_the_open_to_close_return_is_computed_from_openings(
    client: HttpClient, server: FakeServer, clock: SetClock, name: str, answers: list[object]
) -> None:
    server.respond_with(*(json_reply(one) for one in answers))

    closes = await fetch_closes(name, client, clock)

    assert CLOSES == closes.prices.tolist()
    np.testing.assert_allclose(closes.known_open_to_close, [40 / 50 - 1, 41 / 40 - 1, np.nan, np.nan], rtol=1e-12)


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
    client: HttpClient,
    server: FakeServer,
    clock: SetClock,
    recording: ReadRecording,
    name: str,
    symbol: str,
    bodies: list[str],
    first: float,
) -> None:
    server.respond_with(*(Reply(200, recording(body) if body else b"[]") for body in bodies))

    closes = await fetch_closes(name, client, clock, symbol)

    assert first == pytest.approx(closes.known_open_to_close[0], abs=1e-6)


@pytest.mark.parametrize(
    ("value", "opening"),
    [
        *[(value, None) for value in [*UNPARSABLE, 0, "0", 10**12]],
        (185.92, 185.92),
        (41, 41.0),
        ("186.06", 186.06),
        ("$1,186.06", 1_186.06),
    ],
)
def test_parse_opening(value: object, opening: float | None) -> None:
    assert opening == parse_opening(value)


@pytest.mark.parametrize(
    ("value", "volume"),
    [
        *[(value, None) for value in UNPARSABLE],
        (0, 0.0),
        (85_998_033, 85_998_033.0),
        ("65076700", 65_076_700.0),
        ("58,414,460", 58_414_460.0),
    ],
)
def test_parse_volume(value: object, volume: float | None) -> None:
    assert volume == parse_volume(value)

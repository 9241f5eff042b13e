from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest

from services.domain.prices import Symbol
from services.sources.catalogue import SOURCES, build_equity
from services.sources.daily import read_volume
from tests.services.sources.conftest import Reply

if TYPE_CHECKING:
    from services.sources.http import HttpClient
    from tests.fakes.clock import SetClock
    from tests.services.sources.conftest import Line

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

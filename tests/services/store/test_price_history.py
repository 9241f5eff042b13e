from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy.exc import IntegrityError

from services.domain.prices import Bars, Closes, Symbol

if TYPE_CHECKING:
    from services.ports import Store
    from tests.services.store.conftest import Start

WGMI, BTC = Symbol("WGMI"), Symbol("BTC")
HOUR = timedelta(hours=1)
EVER = date(1970, 1, 1)
SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def closes(prices: dict[str, float], *, symbol: Symbol = WGMI, source: str = "nasdaq") -> Closes:
    sessions = np.array(list(prices), "datetime64[D]")
    return Closes(symbol=symbol, sessions=sessions, prices=np.array(list(prices.values()), float), source=source)


def bars(*prices: float, opens: str = "2026-11-17T00", interval: timedelta = HOUR, source: str = "coinbase") -> Bars:
    opened_at = np.datetime64(opens, "s") + np.arange(len(prices)) * np.timedelta64(interval)
    return Bars(
        symbol=BTC,
        interval=interval,
        opened_at=opened_at.astype("datetime64[s]"),
        closes=np.array(prices),
        source=source,
    )


def table(closes: Closes) -> dict[str, float]:
    return dict(zip(map(str, closes.sessions), closes.prices.tolist(), strict=True))


async def test_closes_come_back_as_they_were_saved(store: Store) -> None:
    saved = closes({"2026-11-16": 40.1, "2026-11-17": 0.1 + 0.2})

    await store.save_closes(saved)
    loaded = await store.load_closes(WGMI, EVER)

    assert (WGMI, "nasdaq", "<M8[D]") == (loaded.symbol, loaded.source, loaded.sessions.dtype.str)
    assert table(saved) == table(loaded)


async def test_closes_are_loaded_from_a_session_on_whatever_order_they_were_saved_in(store: Store) -> None:
    await store.save_closes(closes({"2026-11-17": 3.0, "2026-11-18": 4.0}))
    await store.save_closes(closes({"2026-11-13": 1.0, "2026-11-16": 2.0}))

    loaded = await store.load_closes(WGMI, date(2026, 11, 16))

    assert {"2026-11-16": 2.0, "2026-11-17": 3.0, "2026-11-18": 4.0} == table(loaded)


async def test_a_corrected_close_overwrites_the_first_one_with_its_source(store: Store) -> None:
    await store.save_closes(closes({"2026-11-16": 40.0, "2026-11-17": 41.0}, source="nasdaq"))
    await store.save_closes(closes({"2026-11-17": 4.1}, source="yahoo"))

    loaded = await store.load_closes(WGMI, EVER)

    assert {"2026-11-16": 40.0, "2026-11-17": 4.1} == table(loaded)
    assert loaded.source == "yahoo"


async def test_symbols_are_kept_apart(store: Store) -> None:
    await store.save_closes(closes({"2026-11-17": 41.0}))
    await store.save_closes(closes({"2026-11-17": 600.0}, symbol=Symbol("SPY")))

    assert {"2026-11-17": 41.0} == table(await store.load_closes(WGMI, EVER))


async def test_what_was_never_saved_is_empty(store: Store) -> None:
    no_closes = await store.load_closes(WGMI, EVER)
    no_bars = await store.load_bars(BTC, HOUR, SINCE_EVER)

    assert (0, "", "<M8[D]") == (len(no_closes), no_closes.source, no_closes.sessions.dtype.str)
    assert (0, "", "<M8[s]") == (len(no_bars), no_bars.source, no_bars.opened_at.dtype.str)


async def test_saving_nothing_changes_nothing(store: Store) -> None:
    await store.save_closes(closes({"2026-11-17": 41.0}))
    await store.save_closes(closes({}))
    await store.save_bars(bars())

    assert {"2026-11-17": 41.0} == table(await store.load_closes(WGMI, EVER))


async def test_bars_come_back_as_they_were_saved(store: Store) -> None:
    await store.save_bars(bars(87_000.5, 87_100.25))

    loaded = await store.load_bars(BTC, HOUR, SINCE_EVER)

    assert (BTC, HOUR, "coinbase", "<M8[s]") == (
        loaded.symbol,
        loaded.interval,
        loaded.source,
        loaded.opened_at.dtype.str,
    )
    assert ["2026-11-17T00:00:00", "2026-11-17T01:00:00"] == loaded.opened_at.astype(str).tolist()
    assert [87_000.5, 87_100.25] == loaded.closes.tolist()


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        pytest.param(datetime(2026, 11, 17, 1, tzinfo=UTC), [2.0, 3.0], id="a bar that opens just then counts"),
        pytest.param(datetime(2026, 11, 17, 3, tzinfo=UTC), [], id="after the last one there is none"),
        pytest.param(datetime(2026, 11, 16, 20, tzinfo=UTC), [1.0, 2.0, 3.0], id="before the first one there are all"),
    ],
)
async def test_bars_are_loaded_from_their_opening_time_on(store: Store, since: datetime, expected: list[float]) -> None:
    await store.save_bars(bars(1.0, 2.0, 3.0))

    assert expected == (await store.load_bars(BTC, HOUR, since)).closes.tolist()


async def test_bars_of_different_lengths_are_kept_apart(store: Store) -> None:
    await store.save_bars(bars(1.0, 2.0))
    await store.save_bars(bars(9.0, interval=timedelta(minutes=1)))

    assert [1.0, 2.0] == (await store.load_bars(BTC, HOUR, SINCE_EVER)).closes.tolist()


async def test_a_bar_saved_again_is_overwritten(store: Store) -> None:
    await store.save_bars(bars(1.0, 2.0, 3.0))
    await store.save_bars(bars(2.5, opens="2026-11-17T01", source="kraken"))

    loaded = await store.load_bars(BTC, HOUR, SINCE_EVER)

    assert [1.0, 2.5, 3.0] == loaded.closes.tolist()
    assert loaded.source == "coinbase"


async def test_more_bars_than_one_statement_takes_are_all_saved(store: Store) -> None:
    many = bars(*np.linspace(20_000, 90_000, 12_001).tolist(), opens="2025-01-01T00")

    await store.save_bars(many)
    loaded = await store.load_bars(BTC, HOUR, SINCE_EVER)

    assert np.array_equal(many.opened_at, loaded.opened_at)
    assert np.array_equal(many.closes, loaded.closes)


async def test_history_is_there_after_a_restart(start: Start) -> None:
    await (await start()).save_closes(closes({"2026-11-17": 41.0}))

    assert {"2026-11-17": 41.0} == table(await (await start()).load_closes(WGMI, EVER))


async def test_bars_that_cannot_all_be_saved_are_not_saved_at_all(store: Store) -> None:
    spoilt = bars(*[1.0] * 6_000)
    object.__setattr__(spoilt, "closes", np.array([*spoilt.closes[1:], None]))  # past its own check

    with pytest.raises(IntegrityError):
        await store.save_bars(spoilt)

    assert len(await store.load_bars(BTC, HOUR, SINCE_EVER)) == 0

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy.exc import IntegrityError

from services.core.prices import Bars, Closes, Symbol
from services.storage import SqlStore
from tests.services.storage.conftest import Start

WGMI, BTC = Symbol("WGMI"), Symbol("BTC")
HOUR = timedelta(hours=1)
EVER = date(1970, 1, 1)
AT = datetime(2026, 11, 18, 14, 30, tzinfo=UTC)
SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def closes(
    prices: dict[str, float], *, symbol: Symbol = WGMI, source: str = "nasdaq", volumes: list[float] | None = None
) -> Closes:
    return Closes(
        symbol=symbol,
        sessions=np.array(list(prices), "datetime64[D]"),
        prices=np.array(list(prices.values()), float),
        source=source,
        volumes=None if volumes is None else np.array(volumes),
    )


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


async def test_closes_are_loaded_as_they_were_saved(store: SqlStore) -> None:
    saved = closes({"2026-11-16": 40.1, "2026-11-17": 0.1 + 0.2})

    await store.save_closes(saved, AT)
    loaded = await store.load_closes(WGMI, "nasdaq", EVER)

    assert (WGMI, "nasdaq", "<M8[D]") == (loaded.symbol, loaded.source, loaded.sessions.dtype.str)
    assert table(saved) == table(loaded)


async def test_closes_are_loaded_in_order_from_a_session_on(store: SqlStore) -> None:
    await store.save_closes(closes({"2026-11-17": 3.0, "2026-11-18": 4.0}), AT)
    await store.save_closes(closes({"2026-11-13": 1.0, "2026-11-16": 2.0}), AT)

    loaded = await store.load_closes(WGMI, "nasdaq", date(2026, 11, 16))

    assert {"2026-11-16": 2.0, "2026-11-17": 3.0, "2026-11-18": 4.0} == table(loaded)


async def test_known_intraday_returns_are_loaded_as_they_were_saved(store: SqlStore) -> None:
    saved = replace(closes({"2026-11-16": 40.0, "2026-11-17": 41.0}), open_to_close=np.array([0.1 + 0.2, np.nan]))
    await store.save_closes(saved, AT)
    await store.replace_closes(replace(saved, source="yahoo"), AT)

    for source in ("nasdaq", "yahoo"):
        loaded = await store.load_closes(WGMI, source, EVER)
        np.testing.assert_array_equal([0.1 + 0.2, np.nan], loaded.known_open_to_close)


async def test_known_volumes_are_loaded_as_they_were_saved(store: SqlStore) -> None:
    await store.save_closes(closes({"2026-11-16": 40.0, "2026-11-17": 41.0}, volumes=[1_000.0, np.nan]), AT)
    await store.save_closes(closes({"2026-11-18": 42.0}), AT)

    loaded = await store.load_closes(WGMI, "nasdaq", EVER)

    np.testing.assert_array_equal([1_000.0, np.nan, np.nan], loaded.known_volumes)


async def test_a_corrected_close_replaces_the_first_one_and_is_recorded(store: SqlStore) -> None:
    await store.save_closes(closes({"2026-11-16": 40.0, "2026-11-17": 41.0}), AT)
    await store.save_closes(closes({"2026-11-16": 40.0, "2026-11-17": 4.1, "2026-11-18": 43.0}), AT + HOUR)
    await store.save_closes(closes({"2026-11-16": 39.0}), AT + 2 * HOUR)

    recorded = await store.revisions(WGMI, 10)

    assert {"2026-11-16": 39.0, "2026-11-17": 4.1, "2026-11-18": 43.0} == table(
        await store.load_closes(WGMI, "nasdaq", EVER)
    )
    assert [("2026-11-16", 40.0, 39.0, AT + 2 * HOUR), ("2026-11-17", 41.0, 4.1, AT + HOUR)] == [
        (f"{one.session}", one.old, one.new, one.at) for one in recorded
    ]
    assert [("nasdaq", WGMI)] == [(one.source, one.symbol) for one in await store.revisions(WGMI, 1)]


async def test_sources_are_separate(store: SqlStore) -> None:
    await store.save_closes(closes({"2026-11-17": 41.0}), AT)
    await store.save_closes(closes({"2026-11-17": 41.1}, source="yahoo"), AT)

    assert [{"2026-11-17": 41.0}, {"2026-11-17": 41.1}] == [
        table(await store.load_closes(WGMI, source, EVER)) for source in ("nasdaq", "yahoo")
    ]
    assert [] == await store.revisions(WGMI, 10)


async def test_closes_are_replaced_as_a_whole_but_not_those_of_another_source(store: SqlStore) -> None:
    await store.save_closes(closes({"2026-11-16": 40.0, "2026-11-17": 41.0}), AT)
    await store.save_closes(closes({"2026-11-17": 41.1}, source="yahoo"), AT)

    await store.replace_closes(closes({"2026-11-17": 4.1}), AT)

    assert [{"2026-11-17": 4.1}, {"2026-11-17": 41.1}] == [
        table(await store.load_closes(WGMI, source, EVER)) for source in ("nasdaq", "yahoo")
    ]


async def test_symbols_are_separate(store: SqlStore) -> None:
    await store.save_closes(closes({"2026-11-17": 41.0}), AT)
    await store.save_closes(closes({"2026-11-17": 600.0}, symbol=Symbol("SPY")), AT)

    assert {"2026-11-17": 41.0} == table(await store.load_closes(WGMI, "nasdaq", EVER))


async def test_a_history_that_was_never_saved_is_empty(store: SqlStore) -> None:
    no_closes = await store.load_closes(WGMI, "nasdaq", EVER)
    no_bars = await store.load_bars(BTC, "coinbase", HOUR, SINCE_EVER)

    assert (0, "nasdaq", "<M8[D]") == (len(no_closes), no_closes.source, no_closes.sessions.dtype.str)
    assert (0, "coinbase", "<M8[s]") == (len(no_bars), no_bars.source, no_bars.opened_at.dtype.str)


async def test_saving_nothing_changes_nothing(store: SqlStore) -> None:
    await store.save_closes(closes({"2026-11-17": 41.0}), AT)
    await store.save_closes(closes({}), AT)
    await store.save_bars(bars())

    assert {"2026-11-17": 41.0} == table(await store.load_closes(WGMI, "nasdaq", EVER))


async def test_bars_are_loaded_as_they_were_saved(store: SqlStore) -> None:
    await store.save_bars(bars(87_000.5, 87_100.25))

    loaded = await store.load_bars(BTC, "coinbase", HOUR, SINCE_EVER)

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
async def test_bars_are_loaded_from_their_opening_time_on(
    store: SqlStore, since: datetime, expected: list[float]
) -> None:
    await store.save_bars(bars(1.0, 2.0, 3.0))

    assert expected == (await store.load_bars(BTC, "coinbase", HOUR, since)).closes.tolist()


async def test_bars_of_different_intervals_are_separate(store: SqlStore) -> None:
    await store.save_bars(bars(1.0, 2.0))
    await store.save_bars(bars(9.0, interval=timedelta(minutes=1)))

    assert [1.0, 2.0] == (await store.load_bars(BTC, "coinbase", HOUR, SINCE_EVER)).closes.tolist()


async def test_a_bar_saved_again_is_overwritten_but_not_that_of_another_source(store: SqlStore) -> None:
    await store.save_bars(bars(1.0, 2.0, 3.0))
    await store.save_bars(bars(2.5, opens="2026-11-17T01"))
    await store.save_bars(bars(9.0, opens="2026-11-17T01", source="kraken"))

    assert [1.0, 2.5, 3.0] == (await store.load_bars(BTC, "coinbase", HOUR, SINCE_EVER)).closes.tolist()
    assert [9.0] == (await store.load_bars(BTC, "kraken", HOUR, SINCE_EVER)).closes.tolist()


async def test_bars_for_more_than_one_statement_are_all_saved(store: SqlStore) -> None:
    many = bars(*np.linspace(20_000, 90_000, 12_001).tolist(), opens="2025-01-01T00")

    await store.save_bars(many)
    loaded = await store.load_bars(BTC, "coinbase", HOUR, SINCE_EVER)

    assert np.array_equal(many.opened_at, loaded.opened_at)
    assert np.array_equal(many.closes, loaded.closes)


async def test_history_survives_a_restart(start: Start) -> None:
    await (await start()).save_closes(closes({"2026-11-17": 41.0}), AT)

    assert {"2026-11-17": 41.0} == table(await (await start()).load_closes(WGMI, "nasdaq", EVER))


async def test_bars_are_saved_all_or_none(store: SqlStore) -> None:
    invalid = bars(*[1.0] * 6_000)
    object.__setattr__(invalid, "closes", np.array([*invalid.closes[1:], None]))  # bypasses its own check

    with pytest.raises(IntegrityError):
        await store.save_bars(invalid)

    assert len(await store.load_bars(BTC, "coinbase", HOUR, SINCE_EVER)) == 0

"""Loading prices from the store, which delays the first tick after a start."""

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from services.core.prices import Bars, Closes, Symbol
from services.storage import SqlStore
from tests.bench.measurement import Measurement, paired_ms
from tests.fakes.market import CALENDAR

YEARS = 5
SESSIONS, HOURS = 252 * YEARS, 24 * 365 * YEARS
HOUR = timedelta(hours=1)
BEGIN = datetime(2021, 7, 1, tzinfo=UTC)
WGMI, BTC, SOURCE = Symbol("WGMI"), Symbol("BTC"), "bench"
RUNS = 15


async def bench() -> list[Measurement]:
    """Measure five years of sessions and hourly bars of one source from SQLite, compared with a NumPy file."""
    with tempfile.TemporaryDirectory() as folder:
        closes, bars = _history()
        path = Path(folder) / "prices.npz"
        np.savez(path, days=closes.sessions, prices=closes.prices, hours=bars.opened_at, closes=bars.closes)
        store = await SqlStore.open(f"sqlite:///{folder}/prices.db")
        await store.save_closes(closes, BEGIN)
        await store.save_bars(bars)
        ours, baseline = await paired_ms(lambda: _load(store), lambda: asyncio.to_thread(_read, path), RUNS)
        await store.aclose()
    return [
        Measurement(
            name=f"{YEARS} years of sessions and hourly bars load from SQLite",
            measured=ours,
            baseline=baseline,
            baseline_name="the same arrays from .npz",
            unit="ms",
            budget=40,
        )
    ]


def _history() -> tuple[Closes, Bars]:
    rng, begin = np.random.default_rng(7), np.datetime64(BEGIN.replace(tzinfo=None), "s")
    closes = Closes(symbol=WGMI, sessions=CALENDAR.days[:SESSIONS], prices=20 + rng.random(SESSIONS), source=SOURCE)
    opened_at = begin + np.arange(HOURS) * np.timedelta64(HOUR)
    bars = Bars(
        symbol=BTC,
        interval=HOUR,
        opened_at=opened_at.astype("datetime64[s]"),
        closes=50_000 + rng.random(HOURS),
        source=SOURCE,
    )
    return closes, bars


async def _load(store: SqlStore) -> None:
    closes = await store.load_closes(WGMI, SOURCE, BEGIN.date() - timedelta(days=365))
    bars = await store.load_bars(BTC, SOURCE, HOUR, BEGIN)
    if (SESSIONS, HOURS) != (len(closes), len(bars)):
        raise AssertionError(f"loaded {len(closes)} sessions and {len(bars)} bars")


def _read(path: Path) -> list[object]:
    with np.load(path) as file:
        return [file[name] for name in file.files]

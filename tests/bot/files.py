"""Small price files on real sessions of the calendar."""

from collections.abc import Sequence
from datetime import UTC, date, timedelta
from pathlib import Path

import numpy as np

from tests.fakes.market import CALENDAR, session_days

FIRST = "2026-03-02"
HOUR = timedelta(hours=1)


def etf_file(folder: Path, prices: Sequence[float | None], first: str = FIRST) -> Path:
    """Write the closes of the sessions from `first` on; None skips a session."""
    rows = [f"{day},{price}" for day, price in zip(session_days(first, len(prices)), prices, strict=True) if price]
    return _write_csv(folder / "etf.csv", "Date,Close", rows)


def btc_file(folder: Path, prices: Sequence[float | None], first: str = FIRST) -> Path:
    """Write three hourly bars before each session's close, at one price; None skips them."""
    rows = []
    for day, price in zip(session_days(first, len(prices)), prices, strict=True):
        if price:
            close = CALENDAR.closes_at[CALENDAR.index_of(np.datetime64(day)) or 0].astype(object).replace(tzinfo=UTC)
            rows += [f"{close - back * HOUR:%Y-%m-%d %H:%M},{price}" for back in (3, 2, 1)]
    return _write_csv(folder / "btc.csv", "open_time,close", rows)


def price_options(
    folder: Path, etf: Sequence[float | None], btc: Sequence[float | None], first: str = FIRST
) -> list[str | Path]:
    """Write both files, and return the options that name them."""
    return ["--etf", etf_file(folder, etf, first), "--btc", btc_file(folder, btc, first)]


def daily_btc_file(folder: Path, prices: Sequence[float], first: date) -> Path:
    """Write one bar per calendar day from `first` on."""
    rows = [f"{first + timedelta(days=count)},{price}" for count, price in enumerate(prices)]
    return _write_csv(folder / "daily.csv", "date,close", rows)


def _write_csv(path: Path, header: str, rows: Sequence[str]) -> Path:
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return path

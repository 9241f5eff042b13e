"""Small price files, made by hand on real sessions of the calendar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, timedelta
from pathlib import Path

import numpy as np

from tests.fakes.market import CALENDAR, session_days

FIRST = "2026-03-02"
HOUR = timedelta(hours=1)


def etf_file(folder: Path, prices: Sequence[float | None], first: str = FIRST) -> Path:
    """Closes of the sessions from `first` on; None leaves a session out."""
    rows = [f"{day},{price}" for day, price in zip(session_days(first, len(prices)), prices, strict=True) if price]
    return _written(folder / "etf.csv", "Date,Close", rows)


def btc_file(folder: Path, prices: Sequence[float | None], first: str = FIRST) -> Path:
    """The three hourly bars before the close of each session, all at one price; None leaves them out."""
    rows = []
    for day, price in zip(session_days(first, len(prices)), prices, strict=True):
        if price:
            close = CALENDAR.closes_at[CALENDAR.position(np.datetime64(day)) or 0].astype(object).replace(tzinfo=UTC)
            rows += [f"{close - back * HOUR:%Y-%m-%d %H:%M},{price}" for back in (3, 2, 1)]
    return _written(folder / "btc.csv", "open_time,close", rows)


def daily_btc_file(folder: Path, prices: Sequence[float], first: date) -> Path:
    """One bar for each day of the week from `first` on."""
    rows = [f"{first + timedelta(days=count)},{price}" for count, price in enumerate(prices)]
    return _written(folder / "daily.csv", "date,close", rows)


def _written(path: Path, header: str, rows: Sequence[str]) -> Path:
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return path

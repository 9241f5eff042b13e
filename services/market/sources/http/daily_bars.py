"""New York's days: the closes of finished sessions out of daily rows, and trades that were made within a session."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from services.core.prices import Closes, Symbol
from services.core.sessions import sessions_around
from services.market.consensus.closes import since_opening
from services.market.sources.http.payload import CHEAPEST, DEAREST

NEW_YORK = ZoneInfo("America/New_York")
NOT_NEW_YORK = "is not traded in US dollars in New York, so it has no New York close; choose a US listing"
EVENING = time(17)  # an hour after the close, a daily row is no live price any more
RECENT = timedelta(days=7)
MOST = 1e15  # shares
_DOLLARS = re.compile(r"\$?([0-9]{1,12}|[0-9]{1,3}(,[0-9]{3}){1,3})(\.[0-9]{1,12})?", re.ASCII)
_WRITTEN = re.compile(r"[0-9]{1,15}|[0-9]{1,3}(,[0-9]{3}){1,5}", re.ASCII)


class Day(NamedTuple):
    """One daily row: its close, and where they are known how many shares were traded, and its opening price."""

    close: float
    volume: float | None = None
    opening: float | None = None


def read_volume(told: object) -> float | None:
    """Read a volume, a number or `58,414,460`. It only hints at a fault, so what cannot be read is not known."""
    if isinstance(told, str):
        return float(told.replace(",", "")) if _WRITTEN.fullmatch(told) else None
    return float(told) if isinstance(told, int | float) and not isinstance(told, bool) and 0 <= told < MOST else None


def read_opening(told: object) -> float | None:
    """Read an opening price, a number or `$1,185.92`. No rule rests on it, so what cannot be read is not known."""
    if isinstance(told, str):
        told = float(told.replace("$", "").replace(",", "")) if _DOLLARS.fullmatch(told) else None
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    return float(told) if CHEAPEST <= told < DEAREST else None


def telling(prices: NDArray[np.float64], volumes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take a volume of zero as that only where the close is the last one again; else the vendor does not know it."""
    repeated = np.diff(prices, prepend=np.nan) == 0
    known: NDArray[np.float64] = np.where((volumes > 0) | (repeated & (volumes == 0)), volumes, np.nan)
    return known


def final_closes(symbol: Symbol, source: str, rows: Mapping[date, Day], since: date, now: datetime) -> Closes:
    """Make columns of the rows from `since` on; today's is left out until the evening, as nothing tells its time."""
    local = now.astimezone(NEW_YORK)
    last = local.date() if local.time() >= EVENING else local.date() - timedelta(days=1)
    days = sorted(day for day in rows if since <= day <= last)
    prices = np.array([rows[day].close for day in days], dtype=np.float64)
    volumes = np.array([rows[day].volume for day in days], dtype=np.float64)  # None becomes NaN
    openings = np.array([rows[day].opening for day in days], dtype=np.float64)
    return Closes(
        symbol=symbol,
        sessions=np.array(days, dtype="datetime64[D]"),
        prices=prices,
        source=source,
        volumes=telling(prices, volumes),
        inside=since_opening(prices, openings),
    )


def in_session(at: datetime, now: datetime) -> bool:
    """Tell whether a trade of the last days was made in New York's regular hours; before and after, few trade."""
    if not now - RECENT <= at <= now + RECENT:
        return False
    state = sessions_around(now.date(), since=(now - 2 * RECENT).date()).state(at)
    return state.is_open or at == state.closes_at

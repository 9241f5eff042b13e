"""New York daily bars: final session closes from vendor rows, and a check for trades in regular hours."""

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from services.core.prices import MAX_PRICE, MIN_PRICE, Closes, Symbol
from services.core.sessions import sessions_around
from services.market.consensus.closes import open_to_close_returns

NEW_YORK = ZoneInfo("America/New_York")
NOT_US_LISTED = "isn't traded in US dollars in New York, so it has no New York close; choose a US listing"
FINAL_AFTER = time(17)  # an hour after the close, today's row is final
RECENT = timedelta(days=7)
MAX_VOLUME = 1e15  # shares
_DOLLAR_AMOUNT = re.compile(r"\$?([0-9]{1,12}|[0-9]{1,3}(,[0-9]{3}){1,3})(\.[0-9]{1,12})?", re.ASCII)
_GROUPED_INTEGER = re.compile(r"[0-9]{1,15}|[0-9]{1,3}(,[0-9]{3}){1,5}", re.ASCII)


class DailyBar(NamedTuple):
    """One daily row of a vendor. Volume is in shares; volume and opening price are None if unknown."""

    close: float
    volume: float | None = None
    opening: float | None = None

    @classmethod
    def parse(cls, close: float | Decimal, volume: object, opening: object) -> Self:
        """Return a bar whose volume and opening price are None if they can't be parsed.

        Volume only hints at bad data, and no rule depends on opening prices, so neither fails the row.
        """
        return cls(float(close), parse_volume(volume), parse_opening(opening))


def parse_volume(value: object) -> float | None:
    """Parse a volume: a number, or a string as in `58,414,460`. Return None if it can't be parsed."""
    number = _number(value, _GROUPED_INTEGER)
    return float(number) if number is not None and (isinstance(value, str) or 0 <= number < MAX_VOLUME) else None


def parse_opening(value: object) -> float | None:
    """Parse an opening price: a number, or a string as in `$1,185.92`. Return None if it can't be parsed."""
    number = _number(value, _DOLLAR_AMOUNT)
    return float(number) if number is not None and MIN_PRICE <= number < MAX_PRICE else None


def _number(value: object, pattern: re.Pattern[str]) -> float | None:
    if isinstance(value, str):
        return float(value.replace("$", "").replace(",", "")) if pattern.fullmatch(value) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def known_volumes(prices: NDArray[np.float64], volumes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the volumes with unreliable zeros as NaN.

    A zero counts as no trading only if the close repeats the previous one; otherwise the vendor lacks the volume.
    """
    repeated = np.diff(prices, prepend=np.nan) == 0
    known: NDArray[np.float64] = np.where((volumes > 0) | (repeated & (volumes == 0)), volumes, np.nan)
    return known


def final_closes(symbol: Symbol, source: str, rows: Mapping[date, DailyBar], since: date, now: datetime) -> Closes:
    """Return the closes from `since` on, without today's until 17:00 New York: rows have no time, so it may be live."""
    local = now.astimezone(NEW_YORK)
    last = local.date() if local.time() >= FINAL_AFTER else local.date() - timedelta(days=1)
    return closes_of(symbol, source, {day: rows[day] for day in sorted(rows) if since <= day <= last})


def closes_of(symbol: Symbol, source: str, rows: Mapping[date, DailyBar]) -> Closes:
    """Return the closes, known volumes and open-to-close returns of rows that are in the order of time."""
    prices = np.array([row.close for row in rows.values()], dtype=np.float64)
    volumes = np.array([row.volume for row in rows.values()], dtype=np.float64)  # None becomes NaN
    openings = np.array([row.opening for row in rows.values()], dtype=np.float64)
    return Closes(
        symbol=symbol,
        sessions=np.array(list(rows), dtype="datetime64[D]"),
        prices=prices,
        source=source,
        volumes=known_volumes(prices, volumes),
        open_to_close=open_to_close_returns(prices, openings),
    )


def in_session(at: datetime, now: datetime) -> bool:
    """Return whether a trade of the last 7 days was made in regular hours; few trade before and after them."""
    if not now - RECENT <= at <= now + RECENT:
        return False
    state = sessions_around(now.date(), since=(now - 2 * RECENT).date()).state_at(at)
    return state.is_open or at == state.closes_at

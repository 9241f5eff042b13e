"""Parse CSV cells as dates, instants and prices. Bad cells become faults and are never corrected."""

import re
from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from services.market.sources.files.csv_table import Fault, first_fault

MIN_RUN = 12  # equal spacings in a row that count as longer bars instead of gaps

_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}"
    r"(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.0+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)
_EPOCH = re.compile(r"\d{10}(?:\d{3}){0,2}", re.ASCII)  # seconds, milliseconds or microseconds
_DATE_REMEDY = "Write dates as in 2026-06-01"
_TIME_REMEDY = "Write opening times in UTC, as in 2026-06-01 14:00, or as seconds since 1970"
_NUMBER_REMEDY = "Write prices as plain numbers above zero, without currency signs or thousands separators"
_ORDER_REMEDY = "Sort the rows by time, oldest first, and keep each time once"
_LENGTH_REMEDY = "Keep bars of one length in the file; leave gaps as they are"


EARLIEST, LATEST = np.datetime64("1990-01-01"), np.datetime64("2199-12-31")  # outside, the year is a typing error


def read_dates(cells: list[str]) -> tuple[NDArray[np.datetime64], Fault | None]:
    """Parse ISO dates or times as dates, without time zone conversion; NaT for bad cells."""
    texts = [cell[:10] if _ISO.fullmatch(cell) else "" for cell in cells]
    days = pd.to_datetime(texts, format="%Y-%m-%d", errors="coerce").to_numpy().astype("datetime64[D]")
    days[(days < EARLIEST) | (days > LATEST)] = np.datetime64("NaT", "D")
    return days, first_fault(np.isnat(days), lambda row: f"“{cells[row]}” is not a date of these times", _DATE_REMEDY)


def read_instants(cells: list[str]) -> tuple[NDArray[np.datetime64], Fault | None]:
    """Parse times in whole seconds: all ISO or all epochs, as the first cell is. NaT for bad cells.

    ISO times without an offset are UTC.
    """
    times = _epochs(cells) if cells and _EPOCH.fullmatch(cells[0]) else _iso_times(cells)
    return times, first_fault(
        np.isnat(times), lambda row: f"“{cells[row]}” is not a time in whole seconds", _TIME_REMEDY
    )


def _iso_times(cells: list[str]) -> NDArray[np.datetime64]:
    texts = [cell if _ISO.fullmatch(cell) else "" for cell in cells]
    times = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    return times.tz_localize(None).to_numpy().astype("datetime64[s]")


def _epochs(cells: list[str]) -> NDArray[np.datetime64]:
    return np.array([_epoch(cell) for cell in cells], dtype="datetime64[s]")


def _epoch(cell: str) -> np.datetime64:
    """Parse an epoch by its length: 10 digits are seconds, 13 milliseconds, 16 microseconds."""
    is_whole = _EPOCH.fullmatch(cell) and not cell[10:].strip("0")
    return np.datetime64(int(cell[:10]) if is_whole else "NaT", "s")


def read_prices(cells: list[str]) -> tuple[NDArray[np.float64], Fault | None]:
    """Parse plain numbers, which must be finite and above zero."""
    prices = pd.to_numeric(pd.Series(cells, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
    invalid = ~(np.isfinite(prices) & (prices > 0))
    return prices, first_fault(invalid, lambda row: _price_problem(cells[row], prices[row]), _NUMBER_REMEDY)


def _price_problem(cell: str, price: float) -> str:
    if not cell.strip():
        return "the close is missing"
    return f"the close {cell} is not above zero" if price <= 0 else f"the close “{cell}” is not a number"


def first_out_of_order(times: NDArray[np.datetime64], cells: list[str]) -> Fault | None:
    """Return the fault of the first row that isn't later than the row before it."""

    def problem(row: int) -> str:
        verb = "repeats" if times[row] == times[row - 1] else "comes before"
        return f"“{cells[row]}” {verb} “{cells[row - 1]}” of the line above"

    return first_fault(np.append(False, times[1:] <= times[:-1]), problem, _ORDER_REMEDY)


def first_irregular_spacing(opened_at: NDArray[np.datetime64], interval: timedelta, cells: list[str]) -> Fault | None:
    """Return the fault of the first bar that is off the grid, or that starts a run of longer bars.

    One longer spacing is a gap, but gaps rarely have the same length many times in a row.
    """
    step, spacings = np.timedelta64(interval), np.diff(opened_at)
    invalid = spacings % step != np.timedelta64(0, "s")
    runs = sliding_window_view(spacings, min(MIN_RUN, len(spacings)))
    uniform = (runs == runs[:, :1]).all(axis=1) & (runs[:, 0] != step)
    invalid[: len(uniform)] |= uniform
    return first_fault(
        np.append(False, invalid),
        lambda row: f"“{cells[row]}” is not one bar ({interval}) after “{cells[row - 1]}”, and no mere gap",
        _LENGTH_REMEDY,
    )

"""Cells of price files as dates, times and prices, in the styles of the formats; nothing is guessed."""

import re
from calendar import month_abbr
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from services.core.prices import MAX_PRICE, MIN_PRICE
from services.core.text import cut, quote
from services.market.sources.files.csv_table import Fault, first_fault
from services.market.sources.files.formats import Numbers, Times
from services.market.sources.files.sheet import parse_number

EARLIEST, LATEST = np.datetime64("1990-01-01"), np.datetime64("2199-12-31")  # outside, the year is a typing error
NEW_YORK = "America/New_York"
FIRST_OPENING, LAST_OPENING = 4, 16  # hours in New York between which a session's bar opens, with extended hours
MONTHS = {name: month for month, name in enumerate(month_abbr) if name}
SEPARATORS = str.maketrans(",.", ".,")
LAST_MONTH = 12

_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}"
    r"(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.0+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)
_OFFSET = re.compile(r".{11,}(?:Z|[+-]\d{2}:?\d{2})", re.ASCII)
_EPOCH = re.compile(r"\d{10}(?:\d{3}){0,2}", re.ASCII)  # seconds, milliseconds or microseconds
_PARTS = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})", re.ASCII)
_NAMED = re.compile(r"([A-Z][a-z]{2}) (\d{1,2}), (\d{4})", re.ASCII)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_TIME_REMEDY = "Write opening times in UTC, as in 2026-06-01 14:00, or as seconds since 1970"


class DateOrder(Enum):
    """Whether the month or the day of a date such as 06/05/2026 comes first."""

    MONTH_FIRST = "mdy"
    DAY_FIRST = "dmy"


def decide_order(cells: Sequence[str]) -> DateOrder | None:
    """Return the order that the first part above 12 proves; None if no date does."""
    for cell in cells:
        match = _PARTS.fullmatch(cell)
        if match and match[2] != ".":
            if int(match[1]) > LAST_MONTH:
                return DateOrder.DAY_FIRST
            if int(match[3]) > LAST_MONTH:
                return DateOrder.MONTH_FIRST
    return None


def first_undecided(cells: Sequence[str]) -> tuple[int, date, date] | None:
    """Return the first row whose date depends on the order, with its date month first and day first."""
    for row, cell in enumerate(cells):
        parts = _PARTS.fullmatch(cell)
        if parts and parts[2] != "." and parts[1] != parts[3]:
            with suppress(ValueError):  # no date in one of both orders
                month_first, day_first = (date.fromisoformat(_from_parts(cell, order)) for order in DateOrder)
                return row, month_first, day_first
    return None


def to_iso(cells: Sequence[str], times: Times, order: DateOrder) -> list[str]:
    """Return the cells as ISO dates, ISO times or epochs; empty where a cell isn't in the style."""
    match times:
        case Times.ISO | Times.OPENING | Times.EPOCH:
            return list(cells)
        case Times.MONTH_FIRST:
            return [_from_parts(cell, DateOrder.MONTH_FIRST) if "/" in cell else "" for cell in cells]
        case Times.EITHER_ORDER:
            return [_from_parts(cell, order) for cell in cells]
        case Times.COMPACT:
            return [_COMPACT.sub(r"\1-\2-\3", cell) if _COMPACT.fullmatch(cell) else "" for cell in cells]
        case Times.SNAPSHOT:
            return [f"{cell.removesuffix(' UTC')}Z" if cell.endswith(" UTC") else "" for cell in cells]


def _from_parts(cell: str, order: DateOrder) -> str:
    """Return a date in ISO form; dots between the parts mean that the day is first."""
    if named := _NAMED.fullmatch(cell):
        return f"{named[3]}-{MONTHS.get(named[1], 0):02}-{int(named[2]):02}"
    parts = _PARTS.fullmatch(cell)
    if parts is None:
        return cell if _ISO.fullmatch(cell) else ""
    is_month_first = order is DateOrder.MONTH_FIRST and parts[2] != "."
    month, day = (parts[1], parts[3]) if is_month_first else (parts[3], parts[1])
    return f"{parts[4]}-{int(month):02}-{int(day):02}"


def read_dates(
    cells: Sequence[str], lines: Sequence[int], times: Times, order: DateOrder
) -> tuple[NDArray[np.datetime64], Fault | None]:
    """Parse dates of sessions; NaT for bad cells. A time beside a date is ignored, without time zone conversion.

    Only the opening times of TradingView are converted to the day in New York.
    """
    import pandas as pd  # noqa: PLC0415 -- takes 0.4 s and 35 MB, and only files need it

    if times is Times.OPENING and not all(len(cell) == len("2026-06-01") and _ISO.fullmatch(cell) for cell in cells):
        return _days_of_openings(cells, lines)
    texts = [text[:10] if _ISO.fullmatch(text) else "" for text in to_iso(cells, times, order)]
    days = pd.to_datetime(texts, format="%Y-%m-%d", errors="coerce").to_numpy().astype("datetime64[D]")
    days[(days < EARLIEST) | (days > LATEST)] = np.datetime64("NaT", "D")
    return days, first_fault(
        lines, np.isnat(days), lambda row: f"{quote(cells[row])} isn't a valid date", f"Write dates as in {times.value}"
    )


def _days_of_openings(cells: Sequence[str], lines: Sequence[int]) -> tuple[NDArray[np.datetime64], Fault | None]:
    import pandas as pd  # noqa: PLC0415 -- see read_dates

    known = [cell if _EPOCH.fullmatch(cell) or _OFFSET.fullmatch(cell) else "" for cell in cells]
    opened_at, fault = read_instants(known, lines, Times.OPENING, DateOrder.MONTH_FIRST, shown=cells)
    local = pd.DatetimeIndex(opened_at).tz_localize("UTC").tz_convert(NEW_YORK)
    days = local.tz_localize(None).to_numpy().astype("datetime64[D]")
    hours = local.hour.to_numpy()  # NaN where the time is unknown
    outside = (hours < FIRST_OPENING) | (hours >= LAST_OPENING)
    unopened = first_fault(
        lines,
        outside,
        lambda row: f"{quote(cells[row])} is {local[row]:%Y-%m-%d %H:%M} in New York, when no session opens",
        "Use daily bars of a US-listed ETF or stock",
    )
    return days, fault or unopened


def read_instants(
    cells: Sequence[str], lines: Sequence[int], times: Times, order: DateOrder, shown: Sequence[str] | None = None
) -> tuple[NDArray[np.datetime64], Fault | None]:
    """Parse times in whole seconds: all ISO or all epochs, as the first cell is. NaT for bad cells.

    ISO times without an offset are UTC. `shown` has the cells that an error quotes.
    """
    texts = to_iso(cells, times, order)
    instants = _epochs(texts) if texts and _EPOCH.fullmatch(texts[0]) else _iso_times(texts)
    remedy = _TIME_REMEDY if times is Times.ISO else f"Write times as in {times.value}"
    return instants, first_fault(
        lines, np.isnat(instants), lambda row: f"{quote((shown or cells)[row])} isn't a time in whole seconds", remedy
    )


def _iso_times(cells: Sequence[str]) -> NDArray[np.datetime64]:
    import pandas as pd  # noqa: PLC0415 -- see read_dates

    texts = [cell if _ISO.fullmatch(cell) else "" for cell in cells]
    times = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    return times.tz_localize(None).to_numpy().astype("datetime64[s]")


def _epochs(cells: Sequence[str]) -> NDArray[np.datetime64]:
    return np.array([_epoch(cell) for cell in cells], dtype="datetime64[s]")


def _epoch(cell: str) -> np.datetime64:
    """Parse an epoch by its length: 10 digits are seconds, 13 milliseconds, 16 microseconds."""
    is_whole = _EPOCH.fullmatch(cell) and not cell[10:].strip("0")
    return np.datetime64(int(cell[:10]) if is_whole else "NaT", "s")


def read_prices(
    cells: Sequence[str], lines: Sequence[int], numbers: Numbers, *, comma: bool = False
) -> tuple[NDArray[np.float64], Fault | None]:
    """Parse numbers, which must be above zero and possible as prices in US dollars; NaN for other cells."""
    import pandas as pd  # noqa: PLC0415 -- see read_dates

    if numbers is Numbers.PLAIN:
        prices = pd.to_numeric(pd.Series(cells, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
    else:
        prices = np.array([_number(cell, comma=comma) for cell in cells], dtype=np.float64)
    invalid = ~((prices >= MIN_PRICE) & (prices < MAX_PRICE))
    remedy = f"Write prices as {numbers.value}"
    return prices, first_fault(lines, invalid, lambda row: _price_problem(cells[row], prices[row]), remedy)


def _number(cell: str, *, comma: bool) -> float:
    number = parse_number(cell.translate(SEPARATORS) if comma else cell)
    return np.nan if number is None else number


def has_decimal_comma(cells: Sequence[str]) -> bool | None:
    """Return whether the first number that only one reading allows has a decimal comma; None if no number decides."""
    for cell in cells:
        is_point, is_comma = (parse_number(text) is not None for text in (cell, cell.translate(SEPARATORS)))
        if is_point != is_comma:
            return is_comma
    return None


def first_undecided_number(cells: Sequence[str]) -> tuple[int, float, float] | None:
    """Return the first row whose number depends on the decimal sign, with both readings: point, comma."""
    for row, cell in enumerate(cells):
        point, comma = _number(cell, comma=False), _number(cell, comma=True)
        if point != comma and not np.isnan([point, comma]).any():
            return row, point, comma
    return None


def _price_problem(cell: str, price: float) -> str:
    if not cell.strip():
        return "the close is missing"
    if price <= 0:
        return f"the close {cut(cell)} isn't above zero"
    return f"the close {quote(cell)} isn't a {'possible price' if np.isfinite(price) else 'number'}"

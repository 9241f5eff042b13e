"""Price files: session closes of an ETF and bars of bitcoin from CSV. Bad data is never corrected silently."""

import re
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from services.core.errors import PriceFileError, SourceError
from services.core.prices import MAX_PRICE, MIN_PRICE, Bars, Closes, Symbol, to_datetime64
from services.core.text import cut, quote
from services.market.consensus.closes import open_to_close_returns
from services.market.ports import EquityPrices
from services.market.sources.files.csv_table import CsvTable, Fault, first_fault, read_table

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
DAILY_BITCOIN_WARNING = (
    "These bitcoin bars are daily: they end at midnight UTC, hours after New York closes. Pairing with the UTC daily "
    "candle makes 29% of 1-day 5-pp alerts false and misses 18% of the true ones. Use hourly bars."
)

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
_TIME_COLUMNS = ("open_time", "timestamp", "datetime", "date", "time")  # the most specific name first


def read_etf_csv(path: Path, symbol: Symbol) -> Closes:
    """Read session closes from a file with `Date` and `Close` columns, in any letter case.

    A date with a time of day is used as written, without time zone conversion. An optional `Open` column gives the
    open-to-close return of each session. It must be adjusted like the closes; a cell without a price is an unknown
    opening. Raises PriceFileError for the first bad line.
    """
    table = read_table(path)
    _require_columns(table, "date", "close")
    dates = table.column("date")
    sessions, bad_date = read_dates(dates)
    prices, bad_price = read_prices(table.column("close"))
    table.raise_first_fault(bad_date, bad_price, first_out_of_order(sessions, dates))
    since = open_to_close_returns(prices, read_prices(table.column("open"))[0]) if table.has("open") else None
    return Closes(symbol=symbol, sessions=sessions, prices=prices, source=path.name, open_to_close=since)


def read_crypto_csv(path: Path, symbol: Symbol) -> Bars:
    """Read bars from a file with a `Close` column and opening times in UTC.

    The time column is open_time, timestamp, datetime, date or time, or date and time together. Times are ISO (UTC
    without an offset), or epochs in seconds, milliseconds or microseconds. The most common spacing is the bar length:
    up to one hour, or one day (see `daily_warning`). Raises PriceFileError for the first bad line.
    """
    table = read_table(path)
    open_times = _open_times(table)
    opened_at, bad_time = read_instants(open_times)
    prices, bad_price = read_prices(table.column("close"))
    table.raise_first_fault(bad_time, bad_price, first_out_of_order(opened_at, open_times))
    interval = _interval(path, opened_at)
    table.raise_first_fault(first_irregular_spacing(opened_at, interval, open_times))
    return Bars(symbol=symbol, interval=interval, opened_at=opened_at, closes=prices, source=path.name)


def daily_warning(bars: Bars) -> str | None:
    """Return the warning about daily bitcoin bars; None for finer bars."""
    return DAILY_BITCOIN_WARNING if bars.interval >= DAY else None


class FileEquity:
    """An EquitySource over one file of closes, read on construction. Raises PriceFileError."""

    simulated = False
    min_interval = timedelta(0)

    def __init__(self, path: Path, symbol: Symbol) -> None:
        self.name = path.name
        self._closes = read_etf_csv(path, symbol)

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Return the closes from `since` on; a file has no last trade."""
        _require_symbol(self.name, expected=self._closes.symbol, requested=symbol)
        known = self._closes.sessions >= np.datetime64(since, "D")
        return EquityPrices(closes=self._closes.select(known), quote=None)


class FileCrypto:
    """A CryptoSource over one file of bars, read on construction. Raises PriceFileError."""

    simulated = False
    history_limit: timedelta | None = None

    def __init__(self, path: Path, symbol: Symbol) -> None:
        self.name = path.name
        self._bars = read_crypto_csv(path, symbol)

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Return the bars from `start` to `end`, with finer bars resampled to `interval` and coarser ones unchanged."""
        _require_symbol(self.name, expected=self._bars.symbol, requested=symbol)
        bars = _resample(self._bars, interval)
        known = (bars.opened_at >= to_datetime64(start)) & (bars.ended_at <= to_datetime64(end))
        return Bars(
            symbol=symbol,
            interval=bars.interval,
            opened_at=bars.opened_at[known],
            closes=bars.closes[known],
            source=self.name,
        )

    async def quote(self, symbol: Symbol) -> None:
        """Return None: a file has no last trade."""
        _require_symbol(self.name, expected=self._bars.symbol, requested=symbol)


def _require_columns(table: CsvTable, *names: str) -> None:
    missing = [name for name in names if not table.has(name)]
    if missing:
        raise PriceFileError(
            table.path,
            f"has no {missing[0]} column; its first line reads “{', '.join(table.header)[:100]}”",
            remedy=f"Name the columns {' and '.join(names)} in the first line, with commas between them",
            line=1,
        )


def _require_symbol(name: str, *, expected: Symbol, requested: Symbol) -> None:
    if requested != expected:
        raise SourceError(f"holds prices of {expected} only", source=name, symbol=requested, retryable=False)


def _open_times(table: CsvTable) -> list[str]:
    """Return the cells with the opening time of each bar."""
    column = next((name for name in _TIME_COLUMNS if table.has(name)), "date")
    _require_columns(table, column, "close")
    if column == "date" and table.has("time"):
        return [f"{day} {time}" for day, time in zip(table.column("date"), table.column("time"), strict=True)]
    return table.column(column)


def _interval(path: Path, opened_at: NDArray[np.datetime64]) -> timedelta:
    """Return the most common spacing as the bar length."""
    spacings, counts = np.unique(np.diff(opened_at), return_counts=True)
    if not len(spacings):
        raise PriceFileError(path, "has one bar only, so its length is unknown", remedy="Give a file with more bars")
    interval: timedelta = spacings[np.argmax(counts)].item()
    if interval > HOUR and interval != DAY:
        remedy = "Give hourly or finer bars, so that one ends near each New York close"
        raise PriceFileError(path, f"has bars of {interval}", remedy=remedy)
    return interval


def _resample(bars: Bars, interval: timedelta) -> Bars:
    """Resample finer bars to `interval` by their last close; an unfinished last bar is dropped."""
    if bars.interval >= interval or interval % bars.interval:
        return bars
    step = np.timedelta64(interval)
    opened_at = bars.opened_at - (bars.opened_at - np.datetime64(0, "s")) % step
    is_last = np.append(opened_at[1:] != opened_at[:-1], bars.ended_at[-1] == opened_at[-1] + step)
    return Bars(
        symbol=bars.symbol,
        interval=interval,
        opened_at=opened_at[is_last],
        closes=bars.closes[is_last],
        source=bars.source,
    )


def read_dates(cells: list[str]) -> tuple[NDArray[np.datetime64], Fault | None]:
    """Parse ISO dates or times as dates, without time zone conversion; NaT for bad cells."""
    texts = [cell[:10] if _ISO.fullmatch(cell) else "" for cell in cells]
    days = pd.to_datetime(texts, format="%Y-%m-%d", errors="coerce").to_numpy().astype("datetime64[D]")
    days[(days < EARLIEST) | (days > LATEST)] = np.datetime64("NaT", "D")
    return days, first_fault(np.isnat(days), lambda row: f"{quote(cells[row])} isn't a valid date", _DATE_REMEDY)


def read_instants(cells: list[str]) -> tuple[NDArray[np.datetime64], Fault | None]:
    """Parse times in whole seconds: all ISO or all epochs, as the first cell is. NaT for bad cells.

    ISO times without an offset are UTC.
    """
    times = _epochs(cells) if cells and _EPOCH.fullmatch(cells[0]) else _iso_times(cells)
    return times, first_fault(
        np.isnat(times), lambda row: f"{quote(cells[row])} is not a time in whole seconds", _TIME_REMEDY
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
    """Parse plain numbers, which must be above zero and possible as prices in US dollars."""
    prices = pd.to_numeric(pd.Series(cells, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
    invalid = ~((prices >= MIN_PRICE) & (prices < MAX_PRICE))
    return prices, first_fault(invalid, lambda row: _price_problem(cells[row], prices[row]), _NUMBER_REMEDY)


def _price_problem(cell: str, price: float) -> str:
    if not cell.strip():
        return "the close is missing"
    if price <= 0:
        return f"the close {cut(cell)} is not above zero"
    return f"the close {quote(cell)} is not a {'possible price' if np.isfinite(price) else 'number'}"


def first_out_of_order(times: NDArray[np.datetime64], cells: list[str]) -> Fault | None:
    """Return the fault of the first row that isn't later than the row before it."""

    def problem(row: int) -> str:
        verb = "repeats" if times[row] == times[row - 1] else "comes before"
        return f"{quote(cells[row])} {verb} {quote(cells[row - 1])} of the line above"

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
        lambda row: f"{quote(cells[row])} is not one bar ({interval}) after {quote(cells[row - 1])}, and no mere gap",
        _LENGTH_REMEDY,
    )

"""Price files: session closes of an ETF and bars of bitcoin from CSV. Bad data is never corrected silently."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from services.core.errors import PriceFileError, SourceError
from services.core.prices import Bars, Closes, Symbol, to_datetime64
from services.core.text import quote
from services.market.consensus.closes import open_to_close_returns
from services.market.ports import EquityPrices
from services.market.sources.files.cells import (
    DateOrder,
    decide_order,
    first_undecided,
    first_undecided_number,
    has_decimal_comma,
    read_dates,
    read_instants,
    read_prices,
)
from services.market.sources.files.csv_table import Fault, first_fault
from services.market.sources.files.formats import PLAIN, Numbers, PriceFormat, Times
from services.market.sources.files.price_table import PriceTable, read_price_table, require_columns

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
DAILY_BITCOIN_WARNING = (
    "These bitcoin bars are daily: they end at midnight UTC, hours after New York closes. Pairing with the UTC daily "
    "candle makes 29% of 1-session 5 pp alerts false and misses 18% of the true ones. Use hourly bars."
)

MIN_RUN = 12  # equal spacings in a row that count as longer bars instead of gaps
_ORDER_REMEDY = "Sort the rows by time, oldest first, with each time only once"
_LENGTH_REMEDY = "Keep bars of one length in the file; leave gaps as they are"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a price file was read.

    Attributes:
        column: Column of closes, as the file names it.
        unused: Columns of adjusted closes that were not used.
        ticker: Symbol that the file states; empty if it states none.
        newest_first: Whether the rows were reversed.
        order: Order of dates with slashes or hyphens; None if the format has none.
    """

    format: PriceFormat
    column: str
    unused: tuple[str, ...] = ()
    ticker: str = ""
    newest_first: bool = False
    order: DateOrder | None = None


def load_closes(path: Path, symbol: Symbol, order: DateOrder | None = None) -> tuple[Closes, Reading]:
    """Read session closes from any of FORMATS, or from a file with `Date` and `Close` columns.

    A date with a time of day is used as written, without time zone conversion. An optional `Open` column gives the
    open-to-close return of each session. It must be adjusted like the closes; a cell without a price is an unknown
    opening. `order` is that of dates which the file leaves open. Raises PriceFileError for the first bad line.
    """
    table = read_price_table(path, symbol)
    row = table.format
    if row.crypto_only:
        problem = f"has prices of cryptocurrency ({row.title}), not closes of New York sessions"
        raise PriceFileError(path, problem, remedy="Use the closes of an ETF or stock")
    if row is PLAIN:
        require_columns(table, "date", "close")
    dates = table.column("date" if row is PLAIN else table.time)
    order = _order_of(table, dates, order)
    sessions, bad_date = read_dates(dates, table.lines, row.times, order or DateOrder.MONTH_FIRST)
    prices, bad_price = _prices(table, table.close)
    is_reversed = _is_newest_first(table, sessions)
    table.raise_first_fault(bad_date, bad_price, first_out_of_order(sessions, dates, table.lines, is_reversed))
    since = None
    if table.has(row.open):
        traded = prices if table.close == row.close else _prices(table, row.close)[0]
        since = open_to_close_returns(traded, _prices(table, row.open)[0])[:: -1 if is_reversed else 1]
    step = -1 if is_reversed else 1
    closes = Closes(
        symbol=symbol, sessions=sessions[::step], prices=prices[::step], source=path.name, open_to_close=since
    )
    return closes, _reading(table, order, newest_first=is_reversed)


def load_bars(path: Path, symbol: Symbol, order: DateOrder | None = None) -> tuple[Bars, Reading]:
    """Read bars from any of FORMATS, or from a file with a `Close` column and opening times in UTC.

    The time column of other files is open_time, timestamp, datetime, date or time, or date and time together. Times
    are ISO (UTC without an offset), or epochs in seconds, milliseconds or microseconds. The most common spacing is the
    bar length: up to one hour, or one day (see `daily_warning`). Raises PriceFileError for the first bad line.
    """
    table = read_price_table(path, symbol)
    cells = _open_times(table)
    order = _order_of(table, cells, order)
    opened_at, bad_time = read_instants(cells, table.lines, table.format.times, order or DateOrder.MONTH_FIRST)
    prices, bad_price = _prices(table, table.close)
    is_reversed = _is_newest_first(table, opened_at)
    table.raise_first_fault(bad_time, bad_price, first_out_of_order(opened_at, cells, table.lines, is_reversed))
    lines = table.lines
    if is_reversed:
        opened_at, prices, cells, lines = opened_at[::-1], prices[::-1], cells[::-1], lines[::-1]
    interval = _interval(path, opened_at)
    table.raise_first_fault(first_irregular_spacing(opened_at, interval, cells, lines))
    if table.format.times is Times.SNAPSHOT:
        opened_at = opened_at - np.timedelta64(int(interval.total_seconds()), "s")
    bars = Bars(symbol=symbol, interval=interval, opened_at=opened_at, closes=prices, source=path.name)
    return bars, _reading(table, order, newest_first=is_reversed)


def read_etf_csv(path: Path, symbol: Symbol) -> Closes:
    """Read session closes (see `load_closes`)."""
    return load_closes(path, symbol)[0]


def read_crypto_csv(path: Path, symbol: Symbol) -> Bars:
    """Read bars (see `load_bars`)."""
    return load_bars(path, symbol)[0]


def daily_warning(bars: Bars) -> str | None:
    """Return the warning about daily bitcoin bars; None for finer bars."""
    return DAILY_BITCOIN_WARNING if bars.interval >= DAY else None


class FileEquity:
    """An EquitySource over the closes of one file."""

    simulated = False
    min_interval = timedelta(0)

    def __init__(self, closes: Closes) -> None:
        self.name = closes.source
        self._closes = closes

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Return the closes from `since` on; a file has no last trade."""
        _require_symbol(self.name, expected=self._closes.symbol, requested=symbol)
        known = self._closes.sessions >= np.datetime64(since, "D")
        return EquityPrices(closes=self._closes.select(known), quote=None)


class FileCrypto:
    """A CryptoSource over the bars of one file."""

    simulated = False
    history_limit: timedelta | None = None

    def __init__(self, bars: Bars) -> None:
        self.name = bars.source
        self._bars = bars

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


def _require_symbol(name: str, *, expected: Symbol, requested: Symbol) -> None:
    if requested != expected:
        raise SourceError(f"holds prices of {expected} only", source=name, symbol=requested, retryable=False)


def _open_times(table: PriceTable) -> list[str]:
    """Return the cells with the opening time of each bar."""
    if table.format is not PLAIN:
        return table.column(table.time)
    column = next((name for name in PLAIN.time if table.has(name)), "date")
    require_columns(table, column, "close")
    if column == "date" and table.has("time"):
        return [f"{day} {time}" for day, time in zip(table.column("date"), table.column("time"), strict=True)]
    return table.column(column)


def _order_of(table: PriceTable, cells: Sequence[str], given: DateOrder | None) -> DateOrder | None:
    """Return the order of the dates, which the file proves or else `given` states. Raises PriceFileError if none does.

    None if no date depends on it.
    """
    match table.format.times:
        case Times.MONTH_FIRST:
            return DateOrder.MONTH_FIRST
        case Times.EITHER_ORDER:
            order, undecided = decide_order(cells), first_undecided(cells)
        case _:
            return None
    if order is None and given is None and undecided is not None:
        row, month_first, day_first = undecided
        raise PriceFileError(
            table.path,
            f"{quote(cells[row])} is {month_first:%b %-d, %Y} if the month is first, or {day_first:%b %-d, %Y} if the "
            f"day is, and no date in the file ({table.format.title}) shows which",
            remedy="Add --dates mdy or --dates dmy",
            line=table.lines[row],
        )
    return order or (given if undecided else None)


def _prices(table: PriceTable, column: str) -> tuple[NDArray[np.float64], Fault | None]:
    cells = table.column(column)
    comma = False
    if table.format.numbers is Numbers.EITHER_DECIMAL:
        known = has_decimal_comma(cells)
        undecided = first_undecided_number(cells) if known is None else None
        if undecided is not None:
            row, point, other = undecided
            raise PriceFileError(
                table.path,
                f"{quote(cells[row])} is {point:g} with a decimal point, or {other:g} with a decimal comma, and no "
                f"{quote(column)} in the file shows which",
                remedy="Save the file with commas between the columns and decimal points",
                line=table.lines[row],
            )
        comma = bool(known)
    return read_prices(cells, table.lines, table.format.numbers, comma=comma)


def _is_newest_first(table: PriceTable, times: NDArray[np.datetime64]) -> bool:
    """Return whether most rows are earlier than the row above. Files of no known format must be sorted."""
    return table.format is not PLAIN and bool(np.sum(times[1:] < times[:-1]) > np.sum(times[1:] > times[:-1]))


def _reading(table: PriceTable, order: DateOrder | None, *, newest_first: bool) -> Reading:
    unused = [name for name in table.header if "adj" in name and "close" in name and name != table.close]
    return Reading(
        format=table.format,
        column=table.format.spelling(table.close),
        unused=tuple(unused),
        ticker=table.ticker,
        newest_first=newest_first,
        order=order,
    )


def _interval(path: Path, opened_at: NDArray[np.datetime64]) -> timedelta:
    """Return the most common spacing as the bar length."""
    spacings, counts = np.unique(np.diff(opened_at), return_counts=True)
    if not len(spacings):
        raise PriceFileError(path, "has only one bar, so the bar length is unknown", remedy="Use a file with more bars")
    interval: timedelta = spacings[np.argmax(counts)].item()
    if interval > HOUR and interval != DAY:
        remedy = "Use hourly or finer bars: one must end near each New York close"
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


def first_out_of_order(
    times: NDArray[np.datetime64],
    cells: Sequence[str],
    lines: Sequence[int],
    newest_first: bool = False,  # noqa: FBT001, FBT002
) -> Fault | None:
    """Return the fault of the first row that isn't later than the row before it, or earlier with the newest first."""

    def problem(row: int) -> str:
        if times[row] == times[row - 1] and cells[row] != cells[row - 1]:
            return f"{quote(cells[row])} is a second price for the date or time on the line above"
        verb = "repeats" if times[row] == times[row - 1] else "is later than" if newest_first else "is earlier than"
        return f"{quote(cells[row])} {verb} {quote(cells[row - 1])} on the line above"

    wrong = times[1:] >= times[:-1] if newest_first else times[1:] <= times[:-1]
    return first_fault(lines, np.append(False, wrong), problem, _ORDER_REMEDY)


def first_irregular_spacing(
    opened_at: NDArray[np.datetime64], interval: timedelta, cells: Sequence[str], lines: Sequence[int]
) -> Fault | None:
    """Return the fault of the first bar that is off the grid, or that starts a run of longer bars.

    One longer spacing is a gap, but gaps rarely have the same length many times in a row.
    """
    step, spacings = np.timedelta64(interval), np.diff(opened_at)
    invalid = spacings % step != np.timedelta64(0, "s")
    runs = sliding_window_view(spacings, min(MIN_RUN, len(spacings)))
    uniform = (runs == runs[:, :1]).all(axis=1) & (runs[:, 0] != step)
    invalid[: len(uniform)] |= uniform
    return first_fault(
        lines,
        np.append(False, invalid),
        lambda row: (
            f"{quote(cells[row])} isn't one bar ({interval}) after {quote(cells[row - 1])}, nor a whole number of bars"
        ),
        _LENGTH_REMEDY,
    )

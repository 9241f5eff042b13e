"""Price files: session closes of an ETF and bars of bitcoin from CSV, where nothing is mended silently."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.core.errors import PriceFileError, SourceError
from services.core.prices import Bars, Closes, Symbol, instant
from services.market.consensus.closes import since_opening
from services.market.ports import EquityPrices
from services.market.sources.files.csv_table import Table, read_table
from services.market.sources.files.csv_values import disorder, irregularity, read_dates, read_instants, read_prices

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
DAILY_BITCOIN_WARNING = (
    "These bitcoin bars are daily: they end at midnight UTC, hours after New York closes. Pairing with the UTC daily "
    "candle makes 29% of 1-day 5-pp alerts false and misses 18% of the true ones. Use hourly bars."
)

_STAMPS = ("open_time", "timestamp", "datetime", "date", "time")  # the most telling first


def read_etf_csv(path: Path, symbol: Symbol) -> Closes:
    """Read session closes from a file with `Date` and `Close` columns, in any letter case, among others.

    A date that comes with a time of day counts as it is written. Where there is an `Open` column, it tells what a
    session did from there on; it must be adjusted as the closes are, and a cell without a price is an opening that is
    not known. Raises PriceFileError at the first line at fault.
    """
    table = read_table(path)
    _require(table, "date", "close")
    dates = table.column("date")
    sessions, bad_date = read_dates(dates)
    prices, bad_price = read_prices(table.column("close"))
    table.check(bad_date, bad_price, disorder(sessions, dates))
    since = since_opening(prices, read_prices(table.column("open"))[0]) if table.has("open") else None
    return Closes(symbol=symbol, sessions=sessions, prices=prices, source=path.name, inside=since)


def read_crypto_csv(path: Path, symbol: Symbol) -> Bars:
    """Read bars from a file with a `Close` column and the opening time in UTC.

    The time stands in a column named open_time, timestamp, datetime, date or time, or in date and time together: ISO
    (without an offset it is UTC), or epoch seconds, milliseconds or microseconds. The commonest spacing is the bars'
    length: one hour or finer, or one day (see `daily_warning`). Raises PriceFileError at the first line at fault.
    """
    table = read_table(path)
    stamps = _stamps(table)
    opened_at, bad_time = read_instants(stamps)
    prices, bad_price = read_prices(table.column("close"))
    table.check(bad_time, bad_price, disorder(opened_at, stamps))
    interval = _interval(path, opened_at)
    table.check(irregularity(opened_at, interval, stamps))
    return Bars(symbol=symbol, interval=interval, opened_at=opened_at, closes=prices, source=path.name)


def daily_warning(bars: Bars) -> str | None:
    """Give the warning that daily bitcoin bars call for; None for finer ones."""
    return DAILY_BITCOIN_WARNING if bars.interval >= DAY else None


class FileEquity:
    """An EquitySource over one file of closes, read when it is made. Raises PriceFileError."""

    simulated = False
    spacing = timedelta(0)

    def __init__(self, path: Path, symbol: Symbol) -> None:
        self.name = path.name
        self._closes = read_etf_csv(path, symbol)

    async def prices(self, symbol: Symbol, since: date) -> EquityPrices:
        """Give the closes from `since` on; a file knows no last trade."""
        _require_symbol(self.name, holds=self._closes.symbol, asked=symbol)
        known = self._closes.sessions >= np.datetime64(since, "D")
        return EquityPrices(closes=self._closes.where(known), quote=None)


class FileCrypto:
    """A CryptoSource over one file of bars, read when it is made. Raises PriceFileError."""

    simulated = False
    reach: timedelta | None = None

    def __init__(self, path: Path, symbol: Symbol) -> None:
        self.name = path.name
        self._bars = read_crypto_csv(path, symbol)

    async def bars(self, symbol: Symbol, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Give the bars from `start` to `end`: finer ones joined to `interval`, coarser ones as the file has them."""
        _require_symbol(self.name, holds=self._bars.symbol, asked=symbol)
        bars = _joined(self._bars, interval)
        known = (bars.opened_at >= instant(start)) & (bars.ended_at <= instant(end))
        return Bars(
            symbol=symbol,
            interval=bars.interval,
            opened_at=bars.opened_at[known],
            closes=bars.closes[known],
            source=self.name,
        )

    async def quote(self, symbol: Symbol) -> None:
        """Give nothing: a file knows no last trade."""
        _require_symbol(self.name, holds=self._bars.symbol, asked=symbol)


def _require(table: Table, *names: str) -> None:
    missing = [name for name in names if not table.has(name)]
    if missing:
        raise PriceFileError(
            table.path,
            f"has no {missing[0]} column; its first line reads “{', '.join(table.header)[:100]}”",
            remedy=f"Name the columns {' and '.join(names)} in the first line, with commas between them",
            line=1,
        )


def _require_symbol(name: str, *, holds: Symbol, asked: Symbol) -> None:
    if asked != holds:
        raise SourceError(f"holds prices of {holds} only", source=name, symbol=asked, retryable=False)


def _stamps(table: Table) -> list[str]:
    """Take the cells that tell when each bar opened."""
    named = next((name for name in _STAMPS if table.has(name)), "date")
    _require(table, named, "close")
    if named == "date" and table.has("time"):
        return [f"{day} {time}" for day, time in zip(table.column("date"), table.column("time"), strict=True)]
    return table.column(named)


def _interval(path: Path, opened_at: NDArray[np.datetime64]) -> timedelta:
    """Take the commonest spacing as the length of the bars."""
    spacings, counts = np.unique(np.diff(opened_at), return_counts=True)
    if not len(spacings):
        raise PriceFileError(path, "has one bar only, so its length is unknown", remedy="Give a file with more bars")
    interval: timedelta = spacings[np.argmax(counts)].item()
    if interval > HOUR and interval != DAY:
        remedy = "Give hourly or finer bars, so that one ends near each New York close"
        raise PriceFileError(path, f"has bars of {interval}", remedy=remedy)
    return interval


def _joined(bars: Bars, interval: timedelta) -> Bars:
    """Join finer bars into bars of `interval`, each closing with the last of its parts, and drop an unfinished one."""
    if bars.interval >= interval or interval % bars.interval:
        return bars
    step = np.timedelta64(interval)
    opened_at = bars.opened_at - (bars.opened_at - np.datetime64(0, "s")) % step
    last = np.append(opened_at[1:] != opened_at[:-1], bars.ended_at[-1] == opened_at[-1] + step)
    return Bars(
        symbol=bars.symbol,
        interval=interval,
        opened_at=opened_at[last],
        closes=bars.closes[last],
        source=bars.source,
    )

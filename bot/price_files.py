"""Read and align a pair of price files."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bot.clock import SystemClock
from bot.commands.options import stated_date_order
from bot.streams import note
from services.core.errors import PriceFileError
from services.core.prices import WGMI_BTC, Bars, Closes, Pair, Symbol
from services.core.rows import complete
from services.core.sessions import Sessions, sessions_between
from services.market.align import Aligned, align
from services.market.feeds.closes import SETTLE_AFTER
from services.market.sources.files.cells import DateOrder
from services.market.sources.files.formats import PLAIN, Adjustment
from services.market.sources.files.prices import Reading, daily_warning, load_bars, load_closes

CALENDAR_MARGIN = timedelta(days=7)  # the calendar needs sessions on both sides
DAY = timedelta(days=1)
ORDERS = complete(
    "ORDERS", DateOrder, {DateOrder.MONTH_FIRST: "dates month first", DateOrder.DAY_FIRST: "dates day first"}
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriceFiles:
    """Both legs of a pair as read from files, with warnings for the user."""

    pair: Pair
    closes: Closes
    bars: Bars
    warnings: tuple[str, ...]


def read_price_files(etf: Path, btc: Path, pair: Pair = WGMI_BTC) -> PriceFiles:
    """Read both files; print on stderr as what they were read, and a warning about daily bitcoin bars.

    Raises PriceFileError.
    """
    (closes, etf_reading), (bars, btc_reading) = (
        _read_etf(etf, btc, pair),
        load_bars(btc, pair.crypto, stated_date_order()),
    )
    if _has_weekends(closes.sessions) and not _has_weekends(bars.opened_at.astype("datetime64[D]")):
        raise _swapped_error(etf, btc)
    _reject_future(etf, closes.sessions[-1].item())
    _reject_future(btc, bars.opened_at[-1].item().date())
    _print_reading(etf, etf_reading)
    _print_reading(btc, btc_reading)
    warning = daily_warning(bars)
    if warning:
        note(f"WARNING: {warning}", color="yellow")
    return PriceFiles(pair=pair, closes=closes, bars=bars, warnings=(warning,) if warning else ())


def read_closes_file(path: Path, symbol: Symbol) -> Closes:
    """Read one file of closes, and print on stderr as what it was read. Raises PriceFileError."""
    closes, reading = load_closes(path, symbol, stated_date_order())
    _print_reading(path, reading)
    return closes


def _print_reading(path: Path, reading: Reading) -> None:
    """Print the format, the column and the order of a file; nothing for a CSV with a date and a close."""
    if reading.format is PLAIN:
        if reading.unused:
            note(f"Read {path.name}: prices from {reading.column}. Not used: {', '.join(reading.unused)}.")
        return
    of = f" of {reading.ticker}" if reading.ticker else ""
    adjustment = reading.format.adjustment
    detail = (
        ""
        if adjustment is Adjustment.NOT_NEEDED
        else f"{',' if adjustment is not Adjustment.UNKNOWN else ';'} {adjustment.value}"
    )
    sentences = [f"Read {path.name} as: {reading.format.title}{of}", f"Prices: {reading.column}{detail}"]
    orders = ["newest first"] * reading.newest_first + ([ORDERS[reading.order]] if reading.order else [])
    if orders:
        sentences.append(", ".join(orders).capitalize())
    note(f"{'. '.join(sentences)}.")


def _read_etf(etf: Path, btc: Path, pair: Pair) -> tuple[Closes, Reading]:
    """Read the ETF's file. If it holds bitcoin's bars and the other file closes, say that they are swapped."""
    try:
        return load_closes(etf, pair.etf, stated_date_order())
    except PriceFileError as error:
        if _is_readable(load_bars, etf, pair.crypto) and _is_readable(load_closes, btc, pair.etf):
            raise _swapped_error(etf, btc) from error
        raise


def _swapped_error(etf: Path, btc: Path) -> PriceFileError:
    problem = f"has bitcoin bars, and {btc.name} has New York session closes"
    return PriceFileError(etf, problem, remedy="Swap the --etf and --btc files")


def _has_weekends(days: NDArray[np.datetime64]) -> bool:
    return not np.is_busday(days).all()


def _is_readable(read: Callable[[Path, Symbol, DateOrder | None], object], path: Path, symbol: Symbol) -> bool:
    try:
        read(path, symbol, stated_date_order())
    except PriceFileError:
        return False
    return True


def align_files(files: PriceFiles) -> Aligned:
    """Align both legs over the calendar of both files. Earlier bitcoin bars matter for its high."""
    return align(files.pair, files.closes, files.bars, build_calendar(files))


def build_calendar(files: PriceFiles) -> Sessions:
    """Return the sessions that both files span."""
    first_day, last_day = (day.item() for day in files.closes.sessions[[0, -1]])
    return sessions_between(
        min(first_day, files.bars.opened_at[0].item().date()) - CALENDAR_MARGIN, last_day + CALENDAR_MARGIN
    )


def final_at(closes_at: datetime, bars: Bars) -> datetime:
    """Return when both prices of a session are final: soon after the close; with daily bars, after its UTC day."""
    if bars.interval < DAY:
        return closes_at + SETTLE_AFTER
    return closes_at.replace(hour=0, minute=0) + DAY


def _reject_future(path: Path, last_day: date) -> None:
    if last_day > SystemClock().now().date() + DAY:
        raise PriceFileError(path, f"its last date is {last_day}, which is in the future", remedy="Correct its dates")

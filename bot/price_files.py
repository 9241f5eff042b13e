"""Read and align a pair of price files."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bot.clock import SystemClock
from bot.streams import echo
from services.core.errors import PriceFileError
from services.core.prices import WGMI_BTC, Bars, Closes, Pair, Symbol
from services.core.sessions import Sessions, sessions_between
from services.market.align import Aligned, align
from services.market.feeds.closes import SETTLE_AFTER
from services.market.sources.files.prices import daily_warning, read_crypto_csv, read_etf_csv

CALENDAR_MARGIN = timedelta(days=7)  # the calendar needs sessions on both sides
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriceFiles:
    """Both legs of a pair as read from files, with warnings for the user."""

    pair: Pair
    closes: Closes
    bars: Bars
    warnings: tuple[str, ...]


def read_price_files(etf: Path, btc: Path, pair: Pair = WGMI_BTC) -> PriceFiles:
    """Read both files; warn about daily bitcoin bars on stderr, too. Raises PriceFileError."""
    closes, bars = _read_etf(etf, btc, pair), read_crypto_csv(btc, pair.crypto)
    if _has_weekends(closes.sessions) and not _has_weekends(bars.opened_at.astype("datetime64[D]")):
        raise _swapped_error(etf, btc)
    _reject_future(etf, closes.sessions[-1].item())
    _reject_future(btc, bars.opened_at[-1].item().date())
    warning = daily_warning(bars)
    if warning:
        echo(f"WARNING: {warning}", err=True, color="yellow")
    return PriceFiles(pair=pair, closes=closes, bars=bars, warnings=(warning,) if warning else ())


def _read_etf(etf: Path, btc: Path, pair: Pair) -> Closes:
    """Read the ETF's file. If it holds bitcoin's bars and the other file closes, say that they are swapped."""
    try:
        return read_etf_csv(etf, pair.etf)
    except PriceFileError as error:
        if _is_readable(read_crypto_csv, etf, pair.crypto) and _is_readable(read_etf_csv, btc, pair.etf):
            raise _swapped_error(etf, btc) from error
        raise


def _swapped_error(etf: Path, btc: Path) -> PriceFileError:
    problem = f"has bitcoin's bars, and {btc.name} has closes of New York sessions"
    return PriceFileError(etf, problem, remedy="Swap the files of --etf and --btc")


def _has_weekends(days: NDArray[np.datetime64]) -> bool:
    return not np.is_busday(days).all()


def _is_readable(read: Callable[[Path, Symbol], object], path: Path, symbol: Symbol) -> bool:
    try:
        read(path, symbol)
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
        raise PriceFileError(path, f"it goes on to {last_day}, which is in the future", remedy="Correct its dates")

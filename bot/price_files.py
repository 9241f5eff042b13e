"""A pair of price files: read, warned about where that is due, and aligned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import click

from bot.clock import SystemClock
from services.core.errors import PriceFileError
from services.core.prices import WGMI_BTC, Bars, Closes, Pair
from services.core.sessions import Sessions, sessions_between
from services.market.align import Aligned, align
from services.market.feeds.closes import SETTLED_AFTER
from services.market.sources.files.prices import daily_warning, read_crypto_csv, read_etf_csv

WEEK = timedelta(days=7)  # the calendar needs sessions on both sides of a single one
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriceFiles:
    """Both legs of a pair as their files have them, and what their reader must be warned of."""

    pair: Pair
    closes: Closes
    bars: Bars
    warnings: tuple[str, ...]


def read_files(etf: Path, btc: Path, pair: Pair = WGMI_BTC) -> PriceFiles:
    """Read both files; daily bitcoin bars are warned about on stderr too. Raises PriceFileError."""
    closes, bars = read_etf_csv(etf, pair.etf), read_crypto_csv(btc, pair.crypto)
    _refuse_the_future(etf, closes.sessions[-1].item())
    _refuse_the_future(btc, bars.opened_at[-1].item().date())
    warning = daily_warning(bars)
    if warning:
        click.secho(f"WARNING: {warning}", err=True, fg="yellow", bold=True)
    return PriceFiles(pair=pair, closes=closes, bars=bars, warnings=(warning,) if warning else ())


def aligned(files: PriceFiles) -> Aligned:
    """Align both legs over every session that the ETF's file spans; bitcoin's earlier bars may still hold its high."""
    return align(files.pair, files.closes, files.bars, calendar(files))


def calendar(files: PriceFiles) -> Sessions:
    """Build the sessions that both files span."""
    first, last = (day.item() for day in files.closes.sessions[[0, -1]])
    return sessions_between(min(first, files.bars.opened_at[0].item().date()) - WEEK, last + WEEK)


def known_at(closes_at: datetime, bars: Bars) -> datetime:
    """Tell when both prices of a session are final: shortly after its close or, with daily bars, after its UTC day."""
    if bars.interval < DAY:
        return closes_at + SETTLED_AFTER
    return closes_at.replace(hour=0, minute=0) + DAY


def _refuse_the_future(path: Path, last: date) -> None:
    if last > SystemClock().now().date() + DAY:
        raise PriceFileError(path, f"it goes on to {last}, which is in the future", remedy="Correct its dates")

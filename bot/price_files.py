"""A pair of price files: read, warned about where that is due, and aligned."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from services.domain.align import align
from services.domain.prices import WGMI_BTC
from services.domain.sessions import sessions_between
from services.sources.files import daily_warning, read_crypto_csv, read_etf_csv

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from services.domain.align import Aligned
    from services.domain.prices import Bars, Closes

WEEK = timedelta(days=7)  # the calendar needs sessions on both sides of a single one
DAY = timedelta(days=1)


def read_files(etf: Path, btc: Path) -> tuple[Closes, Bars]:
    """Read both files; daily bitcoin bars are warned about on stderr. Raises PriceFileError."""
    closes, bars = read_etf_csv(etf, WGMI_BTC.etf), read_crypto_csv(btc, WGMI_BTC.crypto)
    warning = daily_warning(bars)
    if warning:
        click.secho(f"WARNING: {warning}", err=True, fg="yellow", bold=True)
    return closes, bars


def aligned(closes: Closes, bars: Bars) -> Aligned:
    """Align both legs over every session that the ETF's file spans; bitcoin's earlier bars may still hold its high."""
    first, last = (day.item() for day in closes.sessions[[0, -1]])
    first = min(first, bars.opened_at[0].item().date())
    return align(WGMI_BTC, closes, bars, sessions_between(first - WEEK, last + WEEK))


def known_at(closes_at: datetime, bars: Bars) -> datetime:
    """Tell when both prices of a session are known: at its close, or where bars are daily, once its UTC day is over."""
    if bars.interval < DAY:
        return closes_at
    return closes_at.replace(hour=0, minute=0) + DAY

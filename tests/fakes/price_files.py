"""Real prices from ../shared/data, if available, as columns."""

import csv
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from services.core.prices import Closes, Pair, Symbol
from services.core.sessions import Sessions
from services.market.align import Aligned, align
from services.market.consensus.quorum import SourcePrices
from services.market.sources.files.prices import read_crypto_csv, read_etf_csv

DATA = Path("../shared/data")
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the vendor price files in ../shared/data are not here")


def closes(name: str, source: str = "") -> SourcePrices:
    """Return the closes of one file in equities/."""
    read = read_etf_csv(DATA / "equities" / name, Symbol(name.split("_", maxsplit=1)[0].removesuffix(".csv")))
    return SourcePrices(source=source or read.source, keys=read.sessions, prices=read.prices)


def bitcoin(name: str, since: str) -> SourcePrices:
    """Return the closes of one file in btc/, from a day on."""
    bars = read_crypto_csv(DATA / "btc" / name, Symbol("BTC"))
    recent = bars.opened_at >= np.datetime64(since)
    return SourcePrices(source=name, keys=bars.opened_at[recent], prices=bars.closes[recent])


def bad_feed(*, volumes: bool = True) -> SourcePrices:
    """Return a single-venue feed that repeats its last trade on days without one."""
    with (DATA / "badfeed/WGMI_alpaca_iex_daily_stale.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return SourcePrices(
        source="Alpaca",
        keys=np.array([row["Date"][:10] for row in rows], dtype="datetime64[D]"),
        prices=np.array([float(row["Close"]) for row in rows]),
        volumes=np.array([float(row["Volume"]) for row in rows]) if volumes else None,
    )


@cache
def real_pair(etf: str = "WGMI") -> Aligned:
    """Return a share and bitcoin at each session's close since its listing, up to the last hourly bitcoin price."""
    return align(
        Pair(etf=Symbol(etf), crypto=Symbol("BTC")),
        read_etf_csv(DATA / f"equities/{etf}.csv", Symbol(etf)),
        read_crypto_csv(DATA / "btc/btcusdt_binance_1h.csv", Symbol("BTC")),
        Sessions(date(2018, 1, 1), date(2026, 12, 31)),
    )


def real_openings() -> Closes:
    """Return real closes of WGMI with the returns inside sessions, from December 2023 to September 2025."""
    with (DATA / "equities/WGMI_ohlcv_adj_2023-12_2025-09.csv").open(encoding="utf-8") as file:
        rows = [*csv.DictReader(file)][:-1]  # the last one is of an unfinished day
    prices = np.array([float(row["Close"]) for row in rows])
    return Closes(
        symbol=Symbol("WGMI"),
        sessions=np.array([row["Date"][:10] for row in rows], dtype="datetime64[D]"),
        prices=prices,
        source="file",
        open_to_close=prices / np.array([float(row["Open"]) for row in rows]) - 1,
    )


def row_of(aligned: Aligned, session: str) -> int:
    """Return the row of a session."""
    return int(np.searchsorted(aligned.sessions, np.datetime64(session)))

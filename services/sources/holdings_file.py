"""Holdings of a fund from CSV, with a line for each holding or for each day; nothing is mended silently."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from typing import TYPE_CHECKING

from services.domain.errors import PriceFileError
from services.domain.holdings import Holding, HoldingKind, Holdings
from services.sources.entries import Entry, gridded, listed
from services.sources.sheet import read_sheet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from services.domain.prices import Symbol

PERCENT, FRACTION = 100, 1  # what stands for the whole fund
LEAST_PERCENT = 2  # percentages of a fund add up to more than this, fractions to less
WHOLE = 0.9, 1.1
MOST = 1.5  # of the fund in all; beyond, a total has been read as a holding, or weights are basis points

_SIGNS = "Put a % behind every weight that is in percent"
_ONCE = "Keep one line for each share, with its whole weight"
_PART = "Delete totals, and write weights in percent of the fund"
_GRID = "Where columns are tickers, each line must add up to about 100%, as nothing else tells weights from prices"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingsFile:
    """The holdings of each day that a file tells, oldest first; `left_out` tells the lines that hold none."""

    snapshots: tuple[Holdings, ...]
    left_out: tuple[str, ...]


def read_holdings_csv(path: Path, fund: Symbol, as_of: date | None = None) -> HoldingsFile:
    """Read a file with the columns `Ticker` and `Weight`, or with a date and a column for each ticker.

    1. Read each line, and the day it is of: the file's own, else `as_of`.
    2. Refuse a share that is listed twice on a day: two parts of one position, or one line pasted twice, look alike.
       Cash and what has no ticker may come in several lines.
    3. Take weights with % for percent. Without, they are percent where each day's add up to more than 2, fractions
       where they add up to about 1, and refused else.

    Raises PriceFileError at the line at fault.
    """
    sheet = read_sheet(path)
    days = defaultdict[date, list[Entry]](list)
    for entry in listed(sheet, as_of) if sheet.columns else gridded(sheet, as_of):
        days[entry.day].append(entry)
    for entries in days.values():
        _refuse_repeats(path, entries)
    whole = _whole(path, days)
    snapshots = [_snapshot(path, fund, day, days[day], whole) for day in sorted(days)]
    if not sheet.columns:
        _refuse_parts(path, snapshots)
    return HoldingsFile(snapshots=tuple(snapshots), left_out=sheet.left_out)


def _refuse_repeats(path: Path, entries: Sequence[Entry]) -> None:
    """Refuse a share that comes twice on a day; where no exchange is named, it is that of the United States."""
    seen: dict[tuple[str, str], int] = {}
    for entry in entries:
        if entry.kind is not HoldingKind.SHARE:
            continue
        share = entry.ticker, entry.exchange or "US"
        if share in seen:
            problem = f"{entry.ticker} is listed for {entry.day} already, in line {seen[share]}"
            raise PriceFileError(path, problem, remedy=_ONCE, line=entry.line)
        seen[share] = entry.line


def _whole(path: Path, days: Mapping[date, Sequence[Entry]]) -> int:
    """Tell which number stands for the whole fund. Raises PriceFileError where that is not certain."""
    weighty = [entry for entries in days.values() for entry in entries if entry.weight.number]
    bare = [entry for entry in weighty if not entry.weight.percent]
    if weighty and not bare:
        return PERCENT
    if len(bare) < len(weighty):
        raise PriceFileError(path, "has a weight without % among weights with it", remedy=_SIGNS, line=bare[0].line)
    sums = {day: math.fsum(entry.weight.number for entry in entries) for day, entries in days.items()}
    if all(one > LEAST_PERCENT for one in sums.values()):
        return PERCENT
    if all(WHOLE[0] <= one <= WHOLE[1] for one in sums.values()):
        return FRACTION
    day, least = min(sums.items(), key=itemgetter(1))
    problem = f"the weights of {day} add up to {least:.6g}, which may mean percent or fractions"
    raise PriceFileError(path, problem, remedy=_SIGNS)


def _snapshot(path: Path, fund: Symbol, day: date, entries: Sequence[Entry], whole: int) -> Holdings:
    for entry in entries:
        if abs(entry.weight.number) > whole:
            problem = f"the weight {entry.weight.number:g} is more than the whole fund"
            raise PriceFileError(path, problem, remedy=_PART, line=entry.line)
    positions = tuple(_holding(entry, whole) for entry in entries)
    holdings = Holdings(fund=fund, as_of=day, source=path.name, positions=positions)
    if holdings.total > MOST:
        raise PriceFileError(path, f"the weights of {day} add up to {holdings.total:.0%}", remedy=_PART)
    return holdings


def _refuse_parts(path: Path, snapshots: Sequence[Holdings]) -> None:
    for one in snapshots:
        if not WHOLE[0] <= one.total <= WHOLE[1]:
            raise PriceFileError(path, f"the line of {one.as_of} adds up to {one.total:.1%}", remedy=_GRID)


def _holding(entry: Entry, whole: int) -> Holding:
    return Holding(
        ticker=entry.ticker,
        weight=entry.weight.number / whole,
        kind=entry.kind,
        exchange=entry.exchange,
        name=entry.name,
        shares=entry.shares,
        market_value=entry.market_value,
    )

"""Holdings of a fund from CSV, with a line for each holding or for each day; nothing is mended silently."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from pathlib import Path

from services.core.errors import PriceFileError
from services.core.prices import Symbol
from services.market.holdings import Holding, HoldingKind, Holdings
from services.market.sources.files.sheet import Line, Sheet, is_sum, read_sheet
from services.market.sources.files.sheet_values import Weight, is_empty, read_day, read_number, read_weight

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


_DATES = "Write the day as in 2026-07-07"
_AS_OF = "Give the day that the weights are of, as in --as-of 2026-07-07"
_WEIGHTS = "Write weights as in 4.62%, with a point for decimals"
_NUMBERS = "Write it as a plain number, with a point for decimals, or leave it empty"
_NO_HOLDING = "Name the holding, or delete the line if it is a total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One holding of one day, with its weight as it is written and the line that tells it."""

    line: int
    day: date
    weight: Weight
    ticker: str
    exchange: str
    name: str
    kind: HoldingKind
    shares: float | None = None
    market_value: float | None = None


def listed(sheet: Sheet, as_of: date | None) -> Iterator[Entry]:
    """Read a file with a line for each holding."""
    for line in sheet.lines:
        ticker, exchange, name = *read_ticker(sheet.cell(line, "ticker")), sheet.cell(line, "name")
        if not ticker and is_empty(name):
            raise PriceFileError(sheet.path, "names no holding", remedy=_NO_HOLDING, line=line.number)
        yield Entry(
            line=line.number,
            day=_day(sheet, line, sheet.cell(line, "date"), as_of),
            weight=_weight(sheet, line, sheet.cell(line, "weight")),
            ticker=ticker,
            exchange=exchange,
            name=name,
            kind=kind_of(ticker, name or sheet.cell(line, "cusip")),
            shares=_number(sheet, line, "shares"),
            market_value=_number(sheet, line, "market value"),
        )


def gridded(sheet: Sheet, as_of: date | None) -> Iterator[Entry]:
    """Read a file with a line for each day; a weight of zero means that the ticker was not held."""
    columns = list(enumerate(sheet.header))[1:]
    if is_sum(columns[-1][1]):
        columns.pop()
    for line in sheet.lines:
        day = _day(sheet, line, line.cells[0].strip(), as_of)
        weights = [(name, _weight(sheet, line, line.cells[at])) for at, name in columns if not is_empty(line.cells[at])]
        held = [(name, weight) for name, weight in weights if weight.number]
        if not held:
            raise PriceFileError(sheet.path, "holds nothing", remedy="Delete the line", line=line.number)
        for name, weight in held:
            yield _column(line, day, name, weight)


def _column(line: Line, day: date, name: str, weight: Weight) -> Entry:
    ticker, exchange = read_ticker(name)
    return Entry(
        line=line.number,
        day=day,
        weight=weight,
        ticker=ticker,
        exchange=exchange,
        name="" if ticker else name,
        kind=kind_of(ticker, ""),
    )


def _day(sheet: Sheet, line: Line, cell: str, as_of: date | None) -> date:
    if not cell:
        if as_of is None:
            raise PriceFileError(sheet.path, "does not say of which day it is", remedy=_AS_OF, line=line.number)
        return as_of
    day = read_day(cell)
    if day is None:
        raise PriceFileError(sheet.path, f"“{cell}” is not a date of these times", remedy=_DATES, line=line.number)
    if as_of not in (None, day):
        problem = f"is of {day}, but --as-of says {as_of}"
        raise PriceFileError(sheet.path, problem, remedy="Leave --as-of out", line=line.number)
    return day


def _weight(sheet: Sheet, line: Line, cell: str) -> Weight:
    weight = read_weight(cell)
    if weight is None:
        problem = "the weight is missing" if is_empty(cell) else f"the weight “{cell}” is not a number"
        raise PriceFileError(sheet.path, problem, remedy=_WEIGHTS, line=line.number)
    return weight


def _number(sheet: Sheet, line: Line, meaning: str) -> float | None:
    cell = sheet.cell(line, meaning)
    number = read_number(cell)
    if number is None and not is_empty(cell):
        raise PriceFileError(sheet.path, f"the {meaning} “{cell}” is not a number", remedy=_NUMBERS, line=line.number)
    return number


_SYMBOL = re.compile(r"[A-Z0-9]{1,6}(?:[./-][A-Z]{1,2})?", re.ASCII)
_BLOOMBERG = re.compile(r"(\S+) ([A-Z]{2})(?: EQUITY)?", re.ASCII)  # IREN US, ARB LN
_DOTTED = re.compile(r"([A-Z0-9-]+)\.([A-Z]{0,2})", re.ASCII)  # HIVE.V, SSU.
_CLASS = re.compile(r"[A-CKU]|W[ST]?", re.ASCII)  # behind a dot, a class of share, a unit or a warrant: BRK.B

_CASH_TICKER = re.compile(r"[-_ ]*(?:cash.*|[a-z]{3}[-_ ]?cur(?:ncy)?|usd|cad|eur|gbp)[-_ ]*", re.IGNORECASE)
_CASH_NAME = re.compile(r"\b(?:cash|dollars?|currency|euros?|sterling|money market)\b", re.IGNORECASE)
_MONEY_MARKET = re.compile(r"[A-Z]{3}XX", re.ASCII)  # as Nasdaq names money-market funds: fifth letter X


def read_ticker(cell: str) -> tuple[str, str]:
    """Part a ticker from its exchange, in capitals; the exchange is empty where none is named.

    What does not look like a ticker is left as it is written, and nothing of what says nothing, such as n/a.
    """
    text = "" if is_empty(cell) else " ".join(cell.split())
    found = _BLOOMBERG.fullmatch(text.upper()) or _DOTTED.fullmatch(text.upper())
    ticker, exchange = (found[1], found[2]) if found and _is_exchange(found) else (text.upper(), "")
    return (ticker, exchange) if _SYMBOL.fullmatch(ticker) else (text, "")


def _is_exchange(found: re.Match[str]) -> bool:
    return found.re is _BLOOMBERG or not _CLASS.fullmatch(found[2])


def kind_of(ticker: str, name: str) -> HoldingKind:
    """Tell shares from cash and the rest by a ticker without its exchange and a name, either of which may be empty.

    A ticker such as CASH or USD may be a share's too; then its name tells.
    """
    if _CASH_TICKER.fullmatch(ticker) and (is_empty(name) or _CASH_NAME.search(name)):
        return HoldingKind.CASH
    if not ticker:
        return HoldingKind.CASH if _CASH_NAME.search(name) else HoldingKind.OTHER
    if _MONEY_MARKET.fullmatch(ticker):
        return HoldingKind.CASH
    return HoldingKind.SHARE if _SYMBOL.fullmatch(ticker) else HoldingKind.OTHER

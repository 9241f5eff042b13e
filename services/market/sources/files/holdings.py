"""Read a fund's holdings from CSV, with one line per holding or per day. Bad data is never corrected silently."""

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
from services.core.scan import LOWERCASE
from services.core.text import cut, quote
from services.market.holdings import Holding, HoldingKind, Holdings
from services.market.sources.files.csv_table import CsvRow, CsvTable
from services.market.sources.files.sheet import (
    Weight,
    is_empty,
    is_total_label,
    parse_day,
    parse_number,
    parse_weight,
    read_sheet,
)

PERCENT, FRACTION = 100, 1  # total weight of a whole fund in each unit
MIN_PERCENT_TOTAL = 2  # totals in percent are above this, totals of fractions below
TOTAL_RANGE = 0.9, 1.1
MAX_TOTAL = 1.5  # as a fraction; above it, a total line was read as a holding, or weights are in basis points

_UNIT_REMEDY = "Put a % after every weight that is in percent"
_DUPLICATE_REMEDY = "Use one line per ticker, with its total weight"
_TOTAL_REMEDY = "Delete totals, and write weights as percentages of the fund"
_GRID_REMEDY = "If columns are tickers, each line must add up to about 100%; otherwise they might be prices"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingsFile:
    """The holdings of each day in a file, oldest first; `skipped_lines` are the lines without a holding."""

    snapshots: tuple[Holdings, ...]
    skipped_lines: tuple[str, ...]


def read_holdings_csv(path: Path, fund: Symbol, as_of: date | None = None) -> HoldingsFile:
    """Read a file with the columns `Ticker` and `Weight`, or with a date and a column for each ticker.

    1. Read each line and its day: the file's own date, else `as_of`.
    2. Reject a share that is listed twice on a day: it may be two parts of a position or one line pasted twice. Cash
       and lines without a ticker may repeat.
    3. Read weights with % as percent. Without %, they are percent if every day's total is above 2, and fractions if
       it is about 1; any other total is rejected.

    Raises PriceFileError for the bad line.
    """
    table = read_sheet(path)
    rows_by_day = defaultdict[date, list[HoldingsRow]](list)
    for row in rows_from_list(table, as_of) if table.columns else rows_from_grid(table, as_of):
        rows_by_day[row.day].append(row)
    for rows in rows_by_day.values():
        _check_duplicates(path, rows)
    unit = _weight_unit(path, rows_by_day)
    snapshots = [_snapshot(path, fund, day, rows_by_day[day], unit) for day in sorted(rows_by_day)]
    if not table.columns:
        _check_totals(path, snapshots)
    return HoldingsFile(snapshots=tuple(snapshots), skipped_lines=tuple(map(_describe_row, table.skipped)))


def _check_duplicates(path: Path, rows: Sequence[HoldingsRow]) -> None:
    """Reject a share that is listed twice on a day. Without an exchange, a share is taken as US-listed."""
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.kind is not HoldingKind.SHARE:
            continue
        share = row.ticker, row.exchange or "US"
        if share in seen:
            problem = f"{row.ticker} is already listed for {row.day}, on line {seen[share]}"
            raise PriceFileError(path, problem, remedy=_DUPLICATE_REMEDY, line=row.line)
        seen[share] = row.line


def _weight_unit(path: Path, rows_by_day: Mapping[date, Sequence[HoldingsRow]]) -> int:
    """Return the total weight of a whole fund in the file's unit. Raises PriceFileError if the unit isn't certain."""
    weighted = [row for rows in rows_by_day.values() for row in rows if row.weight.number]
    unmarked = [row for row in weighted if not row.weight.percent]
    if weighted and not unmarked:
        return PERCENT
    if len(unmarked) < len(weighted):
        raise PriceFileError(path, "mixes weights with and without %", remedy=_UNIT_REMEDY, line=unmarked[0].line)
    totals = {day: math.fsum(row.weight.number for row in rows) for day, rows in rows_by_day.items()}
    if all(total > MIN_PERCENT_TOTAL for total in totals.values()):
        return PERCENT
    if all(TOTAL_RANGE[0] <= total <= TOTAL_RANGE[1] for total in totals.values()):
        return FRACTION
    day, lowest = min(totals.items(), key=itemgetter(1))
    problem = f"the weights of {day} add up to {lowest:.6g}, which may be percent or fractions"
    raise PriceFileError(path, problem, remedy=_UNIT_REMEDY)


def _snapshot(path: Path, fund: Symbol, day: date, rows: Sequence[HoldingsRow], unit: int) -> Holdings:
    for row in rows:
        if abs(row.weight.number) > unit:
            problem = f"the weight {row.weight.number:g} is more than the whole fund"
            raise PriceFileError(path, problem, remedy=_TOTAL_REMEDY, line=row.line)
    positions = tuple(_holding(row, unit) for row in rows)
    holdings = Holdings(fund=fund, as_of=day, source=path.name, positions=positions)
    if holdings.total > MAX_TOTAL:
        raise PriceFileError(path, f"the weights of {day} add up to {holdings.total:.0%}", remedy=_TOTAL_REMEDY)
    return holdings


def _check_totals(path: Path, snapshots: Sequence[Holdings]) -> None:
    for holdings in snapshots:
        if not TOTAL_RANGE[0] <= holdings.total <= TOTAL_RANGE[1]:
            raise PriceFileError(
                path, f"the line for {holdings.as_of} adds up to {holdings.total:.1%}", remedy=_GRID_REMEDY
            )


def _holding(row: HoldingsRow, unit: int) -> Holding:
    return Holding(
        ticker=row.ticker,
        weight=row.weight.number / unit,
        kind=row.kind,
        exchange=row.exchange,
        name=row.name,
        shares=row.shares,
        market_value=row.market_value,
    )


_DATE_REMEDY = "Write the day as in 2026-07-07"
_AS_OF_REMEDY = "Add the date of the weights, as in --as-of 2026-07-07"
_WEIGHT_REMEDY = "Write weights as in 4.62%, with a point for decimals"
_NUMBER_REMEDY = "Write it as a plain number, with a point for decimals, or leave it empty"
_NO_HOLDING_REMEDY = "Name the holding, or delete the line if it is a total"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingsRow:
    """One holding on one day, with its weight as written and its line number."""

    line: int
    day: date
    weight: Weight
    ticker: str
    exchange: str
    name: str
    kind: HoldingKind
    shares: float | None = None
    market_value: float | None = None


def rows_from_list(table: CsvTable, as_of: date | None) -> Iterator[HoldingsRow]:
    """Read a file with one line per holding."""
    for row in table.rows:
        ticker, exchange, name = *parse_ticker(table.cell(row, "ticker")), table.cell(row, "name")
        if not ticker and is_empty(name):
            raise table.error(row, "doesn't name a holding", _NO_HOLDING_REMEDY)
        yield HoldingsRow(
            line=row.line,
            day=_parse_day(table, row, table.cell(row, "date"), as_of),
            weight=_parse_weight(table, row, table.cell(row, "weight")),
            ticker=ticker,
            exchange=exchange,
            name=name,
            kind=classify_holding(ticker, name or table.cell(row, "cusip")),
            shares=_parse_number(table, row, "shares"),
            market_value=_parse_number(table, row, "market value"),
        )


def rows_from_grid(table: CsvTable, as_of: date | None) -> Iterator[HoldingsRow]:
    """Read a file with one line per day; a weight of zero means that the ticker wasn't held."""
    columns = list(enumerate(table.header))[1:]
    if is_total_label(columns[-1][1]):
        columns.pop()
    for row in table.rows:
        day = _parse_day(table, row, row.cells[0].strip(), as_of)
        weights = [
            (name, _parse_weight(table, row, row.cells[at])) for at, name in columns if not is_empty(row.cells[at])
        ]
        held = [(name, weight) for name, weight in weights if weight.number]
        if not held:
            raise table.error(row, "holds nothing", "Delete the line")
        for name, weight in held:
            yield _grid_row(row.line, day, name, weight)


def _grid_row(line: int, day: date, name: str, weight: Weight) -> HoldingsRow:
    ticker, exchange = parse_ticker(name)
    return HoldingsRow(
        line=line,
        day=day,
        weight=weight,
        ticker=ticker,
        exchange=exchange,
        name="" if ticker else name,
        kind=classify_holding(ticker, ""),
    )


def _parse_day(table: CsvTable, row: CsvRow, cell: str, as_of: date | None) -> date:
    if not cell:
        if as_of is None:
            raise table.error(row, "has no date", _AS_OF_REMEDY)
        return as_of
    day = parse_day(cell)
    if day is None:
        raise table.error(row, f"{quote(cell)} isn't a valid date", _DATE_REMEDY)
    if as_of not in (None, day):
        raise table.error(row, f"is dated {day}, but --as-of says {as_of}", "Omit --as-of")
    return day


def _parse_weight(table: CsvTable, row: CsvRow, cell: str) -> Weight:
    weight = parse_weight(cell)
    if weight is None:
        problem = "the weight is missing" if is_empty(cell) else f"the weight {quote(cell)} isn't a number"
        raise table.error(row, problem, _WEIGHT_REMEDY)
    return weight


def _parse_number(table: CsvTable, row: CsvRow, column: str) -> float | None:
    cell = table.cell(row, column)
    number = parse_number(cell)
    if number is None and not is_empty(cell):
        raise table.error(row, f"the {column} {quote(cell)} isn't a number", _NUMBER_REMEDY)
    return number


def _describe_row(row: CsvRow) -> str:
    return f"line {row.line}: {cut(' '.join(cell.strip() for cell in row.cells if cell.strip()))}"


_SYMBOL = re.compile(r"[A-Z0-9]{1,6}(?:[./-][A-Z]{1,2})?", re.ASCII)
_BLOOMBERG = re.compile(r"(\S+) ([A-Z]{2})(?: EQUITY)?", re.ASCII)  # as in IREN US, ARB LN
_DOTTED = re.compile(r"([A-Z0-9-]+)\.([A-Z]{0,2})", re.ASCII)  # as in HIVE.V, SSU.
_CLASS = re.compile(r"[A-CKU]|W[ST]?", re.ASCII)  # after a dot: a share class, unit or warrant, as in BRK.B

_CASH_TICKERS = frozenset({"usd", "cad", "eur", "gbp"})
_CURRENCY_CODE = 3  # letters
_CASH_NAME = re.compile(r"\b(?:cash|dollars?|currency|euros?|sterling|money market)\b", re.IGNORECASE)
_MONEY_MARKET = re.compile(r"[A-Z]{3}XX", re.ASCII)  # Nasdaq's convention for money-market funds: fifth letter X


def parse_ticker(cell: str) -> tuple[str, str]:
    """Split a cell into ticker and exchange, in capitals; the exchange is empty if none is given.

    A text that doesn't look like a ticker is returned unchanged; a placeholder such as n/a becomes empty.
    """
    text = "" if is_empty(cell) else " ".join(cell.split())
    match = _BLOOMBERG.fullmatch(text.upper()) or _DOTTED.fullmatch(text.upper())
    ticker, exchange = (match[1], match[2]) if match and _is_exchange(match) else (text.upper(), "")
    return (ticker, exchange) if _SYMBOL.fullmatch(ticker) else (text, "")


def _is_exchange(match: re.Match[str]) -> bool:
    return match.re is _BLOOMBERG or not _CLASS.fullmatch(match[2])


def classify_holding(ticker: str, name: str) -> HoldingKind:
    """Return whether a holding is a share, cash or something else; `ticker` (without exchange) and `name` may be empty.

    Tickers such as CASH or USD may belong to shares; then the name decides.
    """
    if _is_cash_ticker(ticker) and (is_empty(name) or _CASH_NAME.search(name)):
        return HoldingKind.CASH
    if not ticker:
        return HoldingKind.CASH if _CASH_NAME.search(name) else HoldingKind.OTHER
    if _MONEY_MARKET.fullmatch(ticker):
        return HoldingKind.CASH
    return HoldingKind.SHARE if _SYMBOL.fullmatch(ticker) else HoldingKind.OTHER


def _is_cash_ticker(ticker: str) -> bool:
    """Return whether a ticker is one of cash, as in `CASH&OTHER`, `USD` or `CAD_CUR`; dashes around it don't count."""
    name = ticker.strip("-_ ").lower()
    code, kind = name[:_CURRENCY_CODE], name[_CURRENCY_CODE:].lstrip("-_ ")
    is_currency = len(code) == _CURRENCY_CODE and LOWERCASE.issuperset(code) and kind in {"cur", "curncy"}
    return name.startswith("cash") or name in _CASH_TICKERS or is_currency

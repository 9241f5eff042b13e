"""Read the header and data lines of a holdings CSV; skip titles, notes and totals around them."""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path

from services.core.errors import PriceFileError
from services.core.scan import DIGITS, LOWERCASE, Scanner
from services.core.text import quote
from services.market.sources.files.csv_table import CsvRow, CsvTable, raise_fault, read_text, split_rows

DELIMITERS = ",;\t"
COLUMN_NAMES: dict[str, tuple[str, ...]] = {
    "ticker": ("ticker", "stockticker", "symbol", "tickersymbol", "holdingticker", "securityticker"),
    "weight": (
        *("weight", "weights", "weighting", "weightings", "weightpercentage", "weightpercent", "weightpct"),
        *("weight%", "%weight", "percentweight", "%ofnetassets", "%netassets", "netassets%", "percentofnetassets"),
        *("percentageofnetassets", "%offund", "percentoffund", "%ofportfolio", "percentofportfolio"),
    ),
    "name": ("name", "securityname", "security", "holding", "holdingname", "company", "companyname", "description"),
    "shares": ("shares", "sharesheld", "quantity", "units"),
    "market value": ("marketvalue", "marketvalueusd", "marketval", "value"),
    "cusip": ("cusip",),
    "date": ("date", "asof", "asofdate", "effectivedate", "holdingsdate", "holdingdate", "reportdate", "tradedate"),
}
LAYOUT_REMEDY = (
    "Use a CSV whose first line names a Ticker and a Weight column, and optionally Name, Shares, MarketValue and Date. "
    "Or use one with a date in its first column and a column of weights for each ticker"
)
EMPTY = frozenset({"", "-", "--", "–", "—", "n/a", "na", "nan", "null", "none"})
EARLIEST, LATEST = date(1990, 1, 1), date(2199, 12, 31)  # outside, the year is a typing error

_DATE_FORMATS = ("%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
_HEADER_CHARACTERS = LOWERCASE | {"%"}
_GROUP_DIGITS, _EXPONENT_DIGITS = 3, 3
_FIELDS = {spelling: field for field, spellings in COLUMN_NAMES.items() for spelling in spellings}
_TOTAL = re.compile(r"((grand|fund|portfolio) )?totals?( (fund|portfolio|holdings|net assets))?:?|sum", re.IGNORECASE)


def read_sheet(path: Path) -> CsvTable:
    """Read a file separated by commas, semicolons or tabs; other text may precede its header.

    The table's columns are the fields of COLUMN_NAMES; there are none if every column but the first is a ticker.
    Raises PriceFileError if it can't be read, has no such header, or has a line that doesn't match it.
    """
    records, at = _find_header(path)
    header = [name.strip() for name in records[at].cells]
    rows, skipped = list[CsvRow](), list(_nonblank_rows(records[:at], len(header)))
    columns = _columns(path, header, records[at].line) if _is_list_header(header) else {}
    for row in _nonblank_rows(records[at + 1 :], len(header)):
        if _is_note(row.cells, len(header)) or _is_total_line(row.cells):
            skipped.append(row)
        elif len(row.cells) != len(header):
            problem = f"has {len(row.cells)} columns, but line {records[at].line} names {len(header)}"
            raise PriceFileError(path, problem, remedy="Fix it; numbers with commas need quotes", line=row.line)
        else:
            rows.append(row)
    if not rows:
        raise PriceFileError(path, "has column names but no holdings", remedy="Use a file with at least one row")
    return CsvTable(path=path, header=header, rows=rows, columns=columns, skipped=skipped)


def _find_header(path: Path) -> tuple[list[CsvRow], int]:
    """Split a file by the delimiter that yields a header; return the rows and the header's index."""
    text = read_text(path)
    candidates = [split_rows(text, delimiter) for delimiter in DELIMITERS]
    for is_header in (_is_list_header, _is_grid_header):
        for rows, fault in candidates:
            at = next((index for index, row in enumerate(rows) if is_header(row.cells)), None)
            if at is None:
                continue
            if fault is not None:
                raise_fault(path, fault)
            return rows, at
    raise PriceFileError(path, "names no columns of tickers and weights", remedy=LAYOUT_REMEDY, line=1)


def _field_of(name: str) -> str | None:
    return _FIELDS.get("".join(filter(_HEADER_CHARACTERS.__contains__, name.lower())))


def _is_list_header(record: Sequence[str]) -> bool:
    """Return whether this is the header of a file with one line per holding."""
    return {"ticker", "weight"} <= set(map(_field_of, record))


def _is_grid_header(record: Sequence[str]) -> bool:
    """Return whether this is the header of a file with one line per day: a date, then only tickers."""
    first, *others = record or [""]
    is_dated = not first.strip() or _field_of(first) == "date"
    return is_dated and bool(others) and all(_may_be_ticker(name) for name in others)


def _may_be_ticker(name: str) -> bool:
    is_other = _field_of(name) is not None or parse_number(name) is not None or parse_day(name) is not None
    return bool(name.strip()) and not is_other


def _columns(path: Path, header: Sequence[str], line: int) -> dict[str, int]:
    """Return the index of each field. Rejects two columns for one field, because they could differ."""
    columns: dict[str, int] = {}
    for index, name in enumerate(header):
        field = _field_of(name)
        if field is None:
            continue
        if field in columns:
            problem = f"{quote(header[columns[field]])} and {quote(name)} both name the {field}"
            raise PriceFileError(path, problem, remedy="Keep the correct one", line=line)
        columns[field] = index
    return columns


def _nonblank_rows(rows: Sequence[CsvRow], width: int) -> Iterator[CsvRow]:
    """Iterate over the non-blank rows; empty cells after the last column are removed."""
    for row in rows:
        cells = list(row.cells)
        while len(cells) > width and not cells[-1].strip():
            cells.pop()
        if any(cell.strip() for cell in cells):
            yield CsvRow(row.line, cells)


def _is_note(cells: Sequence[str], width: int) -> bool:
    """Return whether a line is a note: words in the first cell, no numbers, and not a cell for each column."""
    nonblank = [cell for cell in cells if cell.strip()]
    is_text = " " in nonblank[0].strip() and not any(parse_weight(cell) or parse_day(cell) for cell in nonblank)
    return is_text and (len(cells) != width or len(nonblank) == 1)


def _is_total_line(cells: Sequence[str]) -> bool:
    """Return whether a line is a total: a total's label followed only by numbers."""
    first, *others = [cell.strip() for cell in cells if cell.strip()]
    return is_total_label(first) and all(is_empty(cell) or parse_weight(cell) for cell in others)


def is_total_label(name: str) -> bool:
    """Return whether a name labels a total."""
    return _TOTAL.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """A weight as written: the number, and whether it has a % sign."""

    number: float
    percent: bool


def is_empty(cell: str) -> bool:
    """Return whether a cell is blank or a placeholder such as n/a."""
    return cell.strip().lower() in EMPTY


def parse_number(cell: str) -> float | None:
    """Parse a number with optional $, thousands separators and parentheses for negatives; None if it isn't one."""
    text = cell.strip()
    if not text:
        return None
    bracketed = text.startswith("(") and text.endswith(")")
    text = "".join(text.strip("()").split()) if bracketed else "".join(text.split())
    text = text.replace("$", "", 1)
    if not _is_number(text):
        return None
    number = float(text.replace(",", "").replace("−", "-"))
    if not math.isfinite(number):
        return None
    return -number if bracketed else number


def parse_weight(cell: str) -> Weight | None:
    """Parse a weight with or without %; None if it isn't one."""
    text = cell.strip()
    percent = "%" in text
    number = parse_number(text.replace("%", "", 1))
    return None if number is None else Weight(number=number, percent=percent)


@lru_cache(maxsize=1_000)  # a file repeats a day in each of its lines, and strptime is slow
def parse_day(cell: str) -> date | None:
    """Parse a date as in 2026-07-07, 2026/07/07 or, month first, 07/07/2026; None if it isn't one."""
    for date_format in _DATE_FORMATS:
        with suppress(ValueError):
            day = datetime.strptime(cell.strip(), date_format).replace(tzinfo=UTC).date()
            return day if EARLIEST <= day <= LATEST else None
    return None


def _is_number(text: str) -> bool:
    """Return whether a text is a decimal number, with or without a sign, commas between thousands and an exponent."""
    scanner = Scanner(text)
    scanner.skip("-", "−", "+")
    first, *groups = scanner.run(DIGITS | {","}).split(",")
    is_grouped = 0 < len(first) <= _GROUP_DIGITS and all(len(group) == _GROUP_DIGITS for group in groups)
    fraction = scanner.run(DIGITS) if scanner.skip(".") else ""
    if (groups and not is_grouped) or not (first or fraction):
        return False
    if scanner.skip("e", "E"):
        scanner.skip("-", "+")
        return bool(scanner.run(DIGITS, _EXPONENT_DIGITS)) and scanner.is_done
    return scanner.is_done

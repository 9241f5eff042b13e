"""A CSV of holdings as its header and its lines of data, with what stands above, between and below them set apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.core.errors import PriceFileError
from services.market.sources.files.csv_table import FIRST_ROW, read_records, read_text
from services.market.sources.files.sheet_values import is_empty, read_day, read_number, read_weight

DELIMITERS = ",;\t"
NAMES: dict[str, tuple[str, ...]] = {
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
LAYOUT = (
    "Give a CSV whose first line names a Ticker and a Weight column, and may name Name, Shares, MarketValue and Date; "
    "or one with a date in its first column and a column of weights for each ticker"
)
_MEANINGS = {spelling: meaning for meaning, spellings in NAMES.items() for spelling in spellings}
_TOTAL = re.compile(r"((grand|fund|portfolio) )?totals?( (fund|portfolio|holdings|net assets))?:?|sum", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of data, with its number in the file; there is a cell for every column."""

    number: int
    cells: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The lines of a file; `left_out` tells the others, in their order.

    `columns` is where each meaning of NAMES stands; it is empty where each column but the first is a ticker's.
    """

    path: Path
    header: list[str]
    columns: Mapping[str, int]
    lines: list[Line]
    left_out: tuple[str, ...]

    def cell(self, line: Line, meaning: str) -> str:
        """Take the cell with this meaning; empty where the file has no such column."""
        return line.cells[self.columns[meaning]].strip() if meaning in self.columns else ""


def read_sheet(path: Path) -> Sheet:
    """Read a file separated by commas, semicolons or tabs; its header may stand below lines of other text.

    Raises PriceFileError where it cannot be read, has no such header, or has a line that does not fit it.
    """
    records, at = _records(path)
    header = [name.strip() for name in records[at]]
    columns = _columns(path, header, at + 1) if _is_list(header) else {}
    lines, left_out = list[Line](), [_told(*above) for above in _filled(records[:at], 0, len(header))]
    for number, cells in _filled(records, at + 1, len(header)):
        if _is_note(cells, len(header)) or _is_total(cells):
            left_out.append(_told(number, cells))
        elif len(cells) != len(header):
            problem = f"has {len(cells)} columns, but line {at + 1} names {len(header)}"
            raise PriceFileError(path, problem, remedy="Mend it; numbers with commas need quotes", line=number)
        else:
            lines.append(Line(number=number, cells=cells))
    if not lines:
        raise PriceFileError(path, "has column names but no holdings", remedy="Give a file with at least one row")
    return Sheet(path=path, header=header, columns=columns, lines=lines, left_out=tuple(left_out))


def _records(path: Path) -> tuple[list[list[str]], int]:
    """Split a file by the delimiter that gives it a header; tell where that is."""
    text = read_text(path)
    ways = [read_records(text, delimiter) for delimiter in DELIMITERS]
    for is_header in (_is_list, _is_grid):
        for records, broken in ways:
            at = next((index for index, record in enumerate(records) if is_header(record)), None)
            if at is None:
                continue
            if broken is not None:
                raise PriceFileError(path, broken.problem, remedy=broken.remedy, line=broken.row + FIRST_ROW)
            return records, at
    raise PriceFileError(path, "names no columns of tickers and weights", remedy=LAYOUT, line=1)


def _meaning(name: str) -> str | None:
    return _MEANINGS.get(re.sub(r"[^a-z%]", "", name.lower()))


def _is_list(record: Sequence[str]) -> bool:
    """Tell the header of a file with a line for each holding."""
    return {"ticker", "weight"} <= set(map(_meaning, record))


def _is_grid(record: Sequence[str]) -> bool:
    """Tell the header of a file with a line for each day: a date, then nothing but tickers."""
    first, *others = record or [""]
    dated = not first.strip() or _meaning(first) == "date"
    return dated and bool(others) and all(_could_be_a_ticker(name) for name in others)


def _could_be_a_ticker(name: str) -> bool:
    known = _meaning(name) is not None or read_number(name) is not None or read_day(name) is not None
    return bool(name.strip()) and not known


def _columns(path: Path, header: Sequence[str], line: int) -> dict[str, int]:
    """Find where each meaning stands; two columns with one meaning could differ, and are refused."""
    columns: dict[str, int] = {}
    for index, name in enumerate(header):
        meaning = _meaning(name)
        if meaning is None:
            continue
        if meaning in columns:
            both = f"“{header[columns[meaning]]}” and “{name}” both tell the {meaning}"
            raise PriceFileError(path, both, remedy="Keep the one that is meant", line=line)
        columns[meaning] = index
    return columns


def _filled(records: Sequence[list[str]], start: int, width: int) -> Iterator[tuple[int, list[str]]]:
    """Go through the lines below the header that are not blank; empty cells beyond its last column do not count."""
    for number, record in enumerate(records[start:], start + 1):
        cells = list(record)
        while len(cells) > width and not cells[-1].strip():
            cells.pop()
        if any(cell.strip() for cell in cells):
            yield number, cells


def _told(number: int, cells: Sequence[str]) -> str:
    return f"line {number}: {' '.join(cell.strip() for cell in cells if cell.strip())}"


def _is_note(cells: Sequence[str], width: int) -> bool:
    """Tell text that is no data: several words in the first cell, no number in any, not a cell for each column."""
    filled = [cell for cell in cells if cell.strip()]
    wordy = " " in filled[0].strip() and not any(read_weight(cell) or read_day(cell) for cell in filled)
    return wordy and (len(cells) != width or len(filled) == 1)


def _is_total(cells: Sequence[str]) -> bool:
    """Tell a line that adds up the others: nothing but numbers follows its name."""
    first, *others = [cell.strip() for cell in cells if cell.strip()]
    return is_sum(first) and all(is_empty(one) or read_weight(one) for one in others)


def is_sum(name: str) -> bool:
    """Tell a name for what adds up the others."""
    return _TOTAL.fullmatch(name) is not None

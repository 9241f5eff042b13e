"""The rows of a price file in the format that its first lines have, with line numbers and the columns that count."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.core.errors import PriceFileError
from services.core.prices import Symbol
from services.core.rows import complete
from services.core.scan import DIGITS, LOWERCASE, UPPERCASE
from services.core.text import quote
from services.market.sources.files.csv_table import CsvTable, Fault, build_table, raise_fault, read_text, split_rows
from services.market.sources.files.formats import (
    FORMATS,
    HEAD_ROWS,
    PLAIN,
    Layout,
    PriceFormat,
    fields,
    recognize,
    tickers,
)

DAILY = "D"
QUOTES = "USD", "USDT", "USDC"  # what a symbol of bitcoin can end in
MAX_NAMED = 10  # tickers that an error names
HEADER_LINES = complete("HEADER_LINES", Layout, {Layout.HEADER: 1, Layout.TITLE: 2, Layout.TICKERS: 3, Layout.NONE: 0})


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """The rows of one symbol in a price file.

    Attributes:
        lines: Line number of each row.
        ticker: Symbol that the file states; empty if it states none.
    """

    format: PriceFormat
    rows: CsvTable
    lines: Sequence[int]
    ticker: str = ""

    @property
    def path(self) -> Path:
        """The file."""
        return self.rows.path

    @property
    def header(self) -> Sequence[str]:
        """Column names in lower case."""
        return self.rows.header

    @property
    def time(self) -> str:
        """The column of times."""
        return next(name for name in self.format.time if self.has(name))

    @property
    def close(self) -> str:
        """The column of closes: the adjusted ones if the file has them."""
        return self.format.adjusted if self.format.adjusted and self.has(self.format.adjusted) else self.format.close

    def has(self, name: str) -> bool:
        """Return whether the file has a column."""
        return self.rows.has(name)

    def column(self, name: str) -> list[str]:
        """Return the cells of one column."""
        return self.rows.column(name)

    def raise_first_fault(self, *faults: Fault | None) -> None:
        """Raise PriceFileError for the first bad line, if any. It says as what format the file was read."""
        found = [fault for fault in (*faults, self.rows.parse_fault) if fault is not None]
        if found:
            first = min(found, key=lambda fault: fault.line)
            suffix = "" if self.format is PLAIN else f". The file was read as: {self.format.title}"
            raise_fault(self.path, replace(first, remedy=f"{first.remedy}{suffix}"))


def require_columns(table: PriceTable, *names: str) -> None:
    """Raise PriceFileError if a file of no known format lacks one of these columns; it names the known formats."""
    missing = [name for name in names if not table.has(name)]
    if missing:
        raise PriceFileError(
            table.path,
            f"has no {missing[0]} column; its first line reads “{', '.join(table.header)[:100]}”",
            remedy=f"Name the columns {' and '.join(names)} in the first line, with commas between them, or use a "
            f"file in one of these formats: {'; '.join(row.title for row in FORMATS)}",
            line=1,
        )


def read_price_table(path: Path, symbol: Symbol) -> PriceTable:
    """Read the rows of a symbol. Raises PriceFileError for a file that can't be read, or that matches two formats."""
    text = read_text(path)
    found = recognize(text)
    if len(found) > 1:
        problem = f"can be read as {' or as '.join(row.title for row in found)}, which differ"
        raise PriceFileError(path, problem, remedy="Remove the columns of the other format", line=1)
    row = found[0] if found else PLAIN
    rows, fault = split_rows(text, row.delimiter)
    if not rows and fault is not None:
        raise_fault(path, fault)
    header, ticker = rows[0].cells if rows else [], ""
    match row.layout:
        case Layout.TITLE:
            header = rows[1].cells
        case Layout.TICKERS:
            stated = tickers(rows[:HEAD_ROWS])
            ticker = _choose(path, stated[1:], symbol)
            names = zip(fields(rows[:HEAD_ROWS])[1:], stated[1:], strict=False)
            header = [rows[2].cells[0], *(name if of == ticker else f"{name} {of}" for name, of in names)]
        case Layout.NONE:
            header = row.names
        case Layout.HEADER:
            pass
    table = build_table(path, header, rows[HEADER_LINES[row.layout] :], fault)
    if row.period:
        _require_daily(table, row.period)
    if row.ticker:
        stated = table.column(row.ticker)
        ticker = _choose(path, stated, symbol)
        table = replace(table, rows=[one for one, of in zip(table.rows, stated, strict=True) if of == ticker])
    return PriceTable(format=row, rows=table, lines=[one.line for one in table.rows], ticker=ticker)


def _require_daily(table: CsvTable, period: str) -> None:
    for row in table.rows:
        if table.cell(row, period) != DAILY:
            problem = f"is a bar of period {quote(table.cell(row, period))}, whose time zone the file doesn't state"
            raise table.error(row, problem, "Use daily bars, or hourly bars from another source")


def _choose(path: Path, stated: Sequence[str], symbol: Symbol) -> str:
    """Return the ticker to read: the only one, or the only one that names the symbol. Raises PriceFileError."""
    names = list(dict.fromkeys(stated))
    if len(names) == 1:
        return names[0]
    ours = [name for name in names if _is_of(name, symbol)]
    if len(ours) == 1:
        return ours[0]
    listed = ", ".join(names[:MAX_NAMED]) + (", …" if len(names) > MAX_NAMED else "")
    problem = f"has prices of {listed}, {'several' if ours else 'none'} of which can be {symbol}"
    raise PriceFileError(path, problem, remedy="Use a file with the prices of one symbol")


def _is_of(ticker: str, symbol: Symbol) -> bool:
    """Return whether a ticker such as WGMI.US, BTC-USD, BTC/USDT or BTCUSDT names a symbol."""
    name = ticker.strip().upper()
    first = name[
        : next((at for at, letter in enumerate(name) if letter not in DIGITS | UPPERCASE | LOWERCASE), len(name))
    ]
    return first == symbol or name in {f"{symbol}{quoted}" for quoted in QUOTES}

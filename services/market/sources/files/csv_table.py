"""CSV files as a header and rows with line numbers; errors name the first bad line of the file."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.errors import PriceFileError
from services.core.text import quote
from services.market.sources.files.compressed import unpack

SQLITE_HEADER = b"SQLite format 3\0"
UTF8_REMEDY = "Save it as CSV in UTF-8"
MAX_FILE_BYTES = 64_000_000  # 25 times ten years of hourly bars; a device such as /dev/zero has no end
MAX_ROWS = 2_000_000  # 22 times ten years of hourly bars; without a limit, 64 MB of line ends would take 10 GB
QUOTES_REMEDY = "Close every quote on its own line, or remove the quotes"


class CsvRow(NamedTuple):
    """One row, with its line number in the file."""

    line: int
    cells: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The problem of one line and how to fix it."""

    line: int
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvTable:
    """A header and the rows below it.

    Attributes:
        header: Column names.
        rows: The rows up to the first that can't be split into columns; each has a cell for every column.
        columns: Index of each column by the name that the code knows it by.
        skipped: Rows that hold no data, such as titles, notes and totals.
        parse_fault: The fault of the first line that can't be split, if any.
    """

    path: Path
    header: Sequence[str]
    rows: Sequence[CsvRow]
    columns: Mapping[str, int]
    skipped: Sequence[CsvRow] = ()
    parse_fault: Fault | None = None

    def has(self, *names: str) -> bool:
        """Return whether the file has all these columns."""
        return self.columns.keys() >= set(names)

    def check_unique(self, *names: str) -> None:
        """Raise PriceFileError if two columns share one of these names."""
        for name in names:
            if self.header.count(name) > 1:
                problem = f"two columns are named {quote(name)}"
                raise PriceFileError(self.path, problem, remedy="Keep the correct one", line=1)

    def column(self, name: str) -> list[str]:
        """Return the cells of one column. Raises PriceFileError if two columns share the name."""
        self.check_unique(name)
        index = self.columns[name]
        return [row.cells[index] for row in self.rows]

    def cell(self, row: CsvRow, name: str) -> str:
        """Return the cell of a column, stripped; empty if the file has no such column."""
        return row.cells[self.columns[name]].strip() if name in self.columns else ""

    def error(self, row: CsvRow, problem: str, remedy: str) -> PriceFileError:
        """Build the error of a row."""
        return PriceFileError(self.path, problem, remedy=remedy, line=row.line)

    def raise_first_fault(self, *faults: Fault | None) -> None:
        """Raise PriceFileError for the first bad line, if any."""
        found = [fault for fault in (*faults, self.parse_fault) if fault is not None]
        if found:
            raise_fault(self.path, min(found, key=attrgetter("line")))


def raise_fault(path: Path, fault: Fault) -> None:
    """Raise PriceFileError for a fault."""
    raise PriceFileError(path, fault.problem, remedy=fault.remedy, line=fault.line)


def first_fault(
    lines: Sequence[int], invalid: NDArray[np.bool_], problem: Callable[[int], str], remedy: str
) -> Fault | None:
    """Return the fault of the first True row of a mask, which counts rows from 0; None if all rows are valid."""
    if not invalid.any():
        return None
    row = int(np.argmax(invalid))
    return Fault(line=lines[row], problem=problem(row), remedy=remedy)


def read_table(path: Path) -> CsvTable:
    """Read a CSV file with its header in line 1. Column names become lower case; blank lines at the end are ignored.

    Raises PriceFileError if it can't be read, isn't UTF-8 (with or without BOM) or has no rows.
    """
    rows, fault = split_rows(read_text(path))
    if not rows and fault is not None:
        raise_fault(path, fault)
    header = rows[0].cells if rows else []
    return build_table(path, header, rows[1:], fault)


def build_table(path: Path, header: Sequence[str], rows: list[CsvRow], fault: Fault | None) -> CsvTable:
    """Return the table of split rows up to the first without a cell for every column; `fault` ends the rows.

    Raises PriceFileError if there is no header or no row.
    """
    while rows and not any(cell.strip() for cell in rows[-1].cells):
        rows.pop()
    if not header:
        raise PriceFileError(path, "is empty", remedy="Use a file whose first line names its columns", line=1)
    if not rows and fault is None:
        raise PriceFileError(path, "has column names but no prices", remedy="Use a file with at least one row")
    names = [name.strip().lower() for name in header]
    ragged = next((index for index, row in enumerate(rows) if len(row.cells) != len(names)), None)
    if ragged is not None:
        rows, fault = rows[:ragged], _ragged_fault(rows[ragged], len(names))
    columns = {name: index for index, name in reversed([*enumerate(names)])}  # the first of equal names
    return CsvTable(path=path, header=names, rows=rows, columns=columns, parse_fault=fault)


def _ragged_fault(row: CsvRow, width: int) -> Fault:
    shown = quote(",".join(row.cells))
    problem = f"has {len(row.cells)} columns, but the first line names {width}: {shown}" if row.cells else "is blank"
    return Fault(line=row.line, problem=problem, remedy="Fix or delete the line")


def read_text(path: Path) -> str:
    """Read a UTF-8 file, with or without BOM, as it is or out of .gz or .zip.

    Raises PriceFileError if it can't be read, is too large or no UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise PriceFileError(path, "does not exist", remedy="Check the path") from error
    except IsADirectoryError as error:
        raise PriceFileError(path, "is a directory", remedy="Name one CSV file in it") from error
    except OSError as error:
        reason = error.strerror or "it isn't readable"
        raise PriceFileError(path, f"can't be read ({reason})", remedy="Check its permissions") from error
    if len(content) <= MAX_FILE_BYTES:
        content = unpack(path, content, MAX_FILE_BYTES)
    if len(content) > MAX_FILE_BYTES:
        problem = f"is larger than {MAX_FILE_BYTES // 1_000_000} MB"
        raise PriceFileError(path, problem, remedy="Check the path, or use a file with fewer rows")
    if content.startswith(SQLITE_HEADER):
        raise PriceFileError(path, "is an SQLite database", remedy="Use a CSV file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PriceFileError(path, "isn't UTF-8 text", remedy=UTF8_REMEDY, line=line) from error


def split_rows(text: str, delimiter: str = ",") -> tuple[list[CsvRow], Fault | None]:
    """Split a text into one-line rows, up to the first malformed or multi-line one."""
    lines = io.TextIOWrapper(
        io.BytesIO(text.encode()), encoding="utf-8", newline=""
    )  # a StringIO takes four times this
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    rows: list[CsvRow] = []
    try:
        for line, cells in enumerate(reader, 1):
            if reader.line_num > line:
                break
            if line > MAX_ROWS:
                problem = f"the file has more than {MAX_ROWS:,} lines"
                return rows, Fault(line=line, problem=problem, remedy="Use a file with fewer rows")
            rows.append(CsvRow(line, cells))
        else:
            return rows, None
    except csv.Error as error:
        if "field limit" in str(error):
            problem = f"a cell has more than {csv.field_size_limit():,} characters"
            return rows, Fault(line=len(rows) + 1, problem=problem, remedy="Check that this is the file you mean")
    problem = "a quote isn't closed, or has text after it"
    return rows, Fault(line=len(rows) + 1, problem=problem, remedy=QUOTES_REMEDY)

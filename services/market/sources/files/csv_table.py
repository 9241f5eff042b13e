"""A CSV file as columns of text, where every fault has a line and the first line at fault is the one that is told."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.core.errors import PriceFileError

FIRST_ROW = 2  # the line of row 0, as line 1 names the columns
UTF8 = "Save it as CSV in UTF-8"
QUOTES = "Close every quote on its own line, or remove the quotes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong in one row, and what to do about it; rows count from 0."""

    row: int
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows of a CSV file up to the first that cannot be split into columns; `broken` is that row's fault."""

    path: Path
    header: tuple[str, ...]
    rows: list[list[str]]
    broken: Fault | None

    def has(self, *names: str) -> bool:
        """Tell whether the file has all these columns."""
        return set(names) <= set(self.header)

    def column(self, name: str) -> list[str]:
        """Take the cells of one column. Raises PriceFileError where two columns have that name."""
        if self.header.count(name) > 1:
            raise PriceFileError(
                self.path, f"two columns are named “{name}”", remedy="Keep the one that is meant", line=1
            )
        index = self.header.index(name)
        return [row[index] for row in self.rows]

    def check(self, *faults: Fault | None) -> None:
        """Raise PriceFileError for the first row at fault, where there is one."""
        found = [fault for fault in (*faults, self.broken) if fault is not None]
        if found:
            first = min(found, key=attrgetter("row"))
            raise PriceFileError(self.path, first.problem, remedy=first.remedy, line=first.row + FIRST_ROW)


def first_fault(wrong: NDArray[np.bool_], problem: Callable[[int], str], remedy: str) -> Fault | None:
    """Describe the first row of a mask; None where no row is wrong."""
    if not wrong.any():
        return None
    row = int(np.argmax(wrong))
    return Fault(row=row, problem=problem(row), remedy=remedy)


def read_table(path: Path) -> Table:
    """Read a CSV file with its column names in lower case; blank lines at its end do not count.

    Raises PriceFileError where it cannot be read, is not UTF-8 (with or without a mark) or has no rows.
    """
    records, broken = read_records(read_text(path))
    while len(records) > 1 and not any(cell.strip() for cell in records[-1]):
        records.pop()
    if not records and broken is not None:
        raise PriceFileError(path, broken.problem, remedy=broken.remedy, line=1)
    if not records or not records[0]:
        raise PriceFileError(path, "is empty", remedy="Give a file whose first line names its columns", line=1)
    header, rows = tuple(name.strip().lower() for name in records[0]), records[1:]
    if not rows and broken is None:
        raise PriceFileError(path, "has column names but no prices", remedy="Give a file with at least one row")
    ragged = _ragged(rows, len(header))
    if ragged is not None:
        rows, broken = rows[: ragged.row], ragged
    return Table(path=path, header=header, rows=rows, broken=broken)


def read_text(path: Path) -> str:
    """Read a file of UTF-8, with or without a mark. Raises PriceFileError where it cannot be read or is not UTF-8."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise PriceFileError(path, "does not exist", remedy="Check the path") from error
    except IsADirectoryError as error:
        raise PriceFileError(path, "is a directory", remedy="Name one CSV file in it") from error
    except OSError as error:
        reason = error.strerror or "it is not readable"
        raise PriceFileError(path, f"cannot be read ({reason})", remedy="Check its permissions") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PriceFileError(path, "is not UTF-8 text", remedy=UTF8, line=line) from error


def read_records(text: str, delimiter: str = ",") -> tuple[list[list[str]], Fault | None]:
    """Split into records of one line each, up to the first that is not."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        records = list(reader)
    except csv.Error:
        return _records_before_the_fault(text, delimiter)
    if reader.line_num != len(records):
        return _records_before_the_fault(text, delimiter)
    return records, None


def _records_before_the_fault(text: str, delimiter: str) -> tuple[list[list[str]], Fault]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    records: list[list[str]] = []
    try:
        for record in reader:
            if reader.line_num > len(records) + 1:
                break
            records.append(record)
    except csv.Error:
        pass
    return records, Fault(row=len(records) - 1, problem="a quote is not closed, or has text after it", remedy=QUOTES)


def _ragged(rows: Sequence[Sequence[str]], width: int) -> Fault | None:
    if set(map(len, rows)) <= {width}:
        return None
    row = next(index for index, cells in enumerate(rows) if len(cells) != width)
    found = f"has {len(rows[row])} columns, but the first line names {width}" if rows[row] else "is blank"
    return Fault(row=row, problem=found, remedy="Mend or delete the line")

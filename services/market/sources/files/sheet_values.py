"""Parse spreadsheet cells as numbers, weights and dates, in the formats that people and spreadsheets use."""

import math
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime

EMPTY = frozenset({"", "-", "--", "–", "—", "n/a", "na", "nan", "null", "none"})
EARLIEST, LATEST = date(1990, 1, 1), date(2199, 12, 31)  # outside, the year is a typing error

_DATE_FORMATS = ("%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
_NUMBER = re.compile(r"[-−+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)


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
    bracketed = text.startswith("(") and text.endswith(")")
    text = "".join(text.strip("()").split()) if bracketed else "".join(text.split())
    match = _NUMBER.fullmatch(text.replace("$", "", 1))
    if match is None:
        return None
    number = float(match[0].replace(",", "").replace("−", "-"))
    if not math.isfinite(number):
        return None
    return -number if bracketed else number


def parse_weight(cell: str) -> Weight | None:
    """Parse a weight with or without %; None if it isn't one."""
    text = cell.strip()
    percent = "%" in text
    number = parse_number(text.replace("%", "", 1))
    return None if number is None else Weight(number=number, percent=percent)


def parse_day(cell: str) -> date | None:
    """Parse a date as in 2026-07-07, 2026/07/07 or, month first, 07/07/2026; None if it isn't one."""
    for date_format in _DATE_FORMATS:
        with suppress(ValueError):
            day = datetime.strptime(cell.strip(), date_format).replace(tzinfo=UTC).date()
            return day if EARLIEST <= day <= LATEST else None
    return None

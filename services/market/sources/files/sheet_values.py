"""Cells of a sheet as numbers, weights and days, as people and spreadsheets write them."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime

EMPTY = frozenset({"", "-", "--", "–", "—", "n/a", "na", "nan", "null", "none"})
EARLIEST, LATEST = date(1990, 1, 1), date(2199, 12, 31)  # beyond, a year is mistyped

_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
_NUMBER = re.compile(r"[-−+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """A weight as it is written: a number, and whether a % stands behind it."""

    number: float
    percent: bool


def is_empty(cell: str) -> bool:
    """Tell a cell that says nothing, such as n/a."""
    return cell.strip().lower() in EMPTY


def read_number(cell: str) -> float | None:
    """Read a number with or without $, thousands separators and brackets for below zero; None where it is none."""
    text = cell.strip()
    bracketed = text.startswith("(") and text.endswith(")")
    text = "".join(text.strip("()").split()) if bracketed else "".join(text.split())
    found = _NUMBER.fullmatch(text.replace("$", "", 1))
    if found is None:
        return None
    number = float(found[0].replace(",", "").replace("−", "-"))
    if not math.isfinite(number):
        return None
    return -number if bracketed else number


def read_weight(cell: str) -> Weight | None:
    """Read a weight with or without %; None where it is none."""
    text = cell.strip()
    percent = "%" in text
    number = read_number(text.replace("%", "", 1))
    return None if number is None else Weight(number=number, percent=percent)


def read_day(cell: str) -> date | None:
    """Read a day as in 2026-07-07, 2026/07/07 or, month first, 07/07/2026; None where it is none."""
    for form in _DAYS:
        with suppress(ValueError):
            day = datetime.strptime(cell.strip(), form).replace(tzinfo=UTC).date()
            return day if EARLIEST <= day <= LATEST else None
    return None

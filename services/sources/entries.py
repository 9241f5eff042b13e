"""The lines of a sheet as one fund's holdings, each with its day and its weight as it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.domain.errors import PriceFileError
from services.sources.figures import is_empty, read_day, read_number, read_weight
from services.sources.sheet import is_sum
from services.sources.tickers import kind_of, read_ticker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from services.domain.holdings import HoldingKind
    from services.sources.figures import Weight
    from services.sources.sheet import Line, Sheet

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

"""The file of cohorts, which people edit: a share a line, with its cohort, the day of that judgement and its source."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from services.core.errors import PriceFileError
from services.market.holdings import Cohort, Membership
from services.market.sources.files.csv_table import Fault, read_table

SHIPPED = Path(__file__).with_name("cohorts.csv")
COLUMNS = ("ticker", "cohort", "asof", "source")


def read_cohorts(path: Path = SHIPPED) -> dict[str, Membership]:
    """Read the columns `Ticker`, `Cohort`, `AsOf` and `Source`. Raises PriceFileError at the first line at fault."""
    table = read_table(path)
    if not table.has(*COLUMNS):
        raise PriceFileError(
            path, "lacks a column", remedy="Name them Ticker, Cohort, AsOf and Source, as in the file that ships"
        )
    found: dict[str, Membership] = {}
    rows = zip(*(table.column(name) for name in COLUMNS), strict=True)
    for row, (ticker, cohort, as_of, source) in enumerate(rows):
        member = _member(row, ticker.strip().upper(), cohort.strip(), as_of.strip(), source.strip())
        if isinstance(member, Membership) and member.ticker in found:
            member = Fault(row=row, problem=f"{ticker} is listed twice", remedy="Keep one line for each share")
        if isinstance(member, Fault):
            table.check(member)
        else:
            found[member.ticker] = member
    table.check()
    return found


def _member(row: int, ticker: str, cohort: str, as_of: str, source: str) -> Membership | Fault:
    names = [one.value for one in Cohort]
    if not ticker or not source:
        return Fault(row=row, problem="a ticker or a source is missing", remedy="Say which share, and who says so")
    if cohort not in names:
        return Fault(row=row, problem=f"“{cohort}” is no cohort", remedy=f"Choose one of: {', '.join(names)}")
    try:
        day = date.fromisoformat(as_of)
    except ValueError:
        return Fault(row=row, problem=f"“{as_of}” is not a date", remedy="Write it as in 2026-03-31")
    return Membership(ticker=ticker, cohort=Cohort(cohort), as_of=day, source=source)

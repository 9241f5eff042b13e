"""The user-editable cohort file: one share per line, with its cohort, the classification date and the source."""

from datetime import date
from pathlib import Path

from services.core.errors import PriceFileError
from services.core.text import quote
from services.market.holdings import Cohort, Membership
from services.market.sources.files.csv_table import CsvRow, CsvTable, read_table

DEFAULT_PATH = Path(__file__).with_name("cohorts.csv")
COLUMNS = ("ticker", "cohort", "asof", "source")


def read_cohorts(path: Path = DEFAULT_PATH) -> dict[str, Membership]:
    """Read the columns `Ticker`, `Cohort`, `AsOf` and `Source`. Raises PriceFileError for the first bad line."""
    table = read_table(path)
    if not table.has(*COLUMNS):
        raise PriceFileError(
            path, "lacks a column", remedy="Name the columns Ticker, Cohort, AsOf and Source, as in the built-in file"
        )
    table.check_unique(*COLUMNS)
    memberships: dict[str, Membership] = {}
    for row in table.rows:
        membership = _parse_membership(table, row)
        if membership.ticker in memberships:
            problem = f"{row.cells[table.columns['ticker']]} is listed twice"
            raise table.error(row, problem, "Use one line per ticker")
        memberships[membership.ticker] = membership
    table.raise_first_fault()
    return memberships


def _parse_membership(table: CsvTable, row: CsvRow) -> Membership:
    ticker, cohort, as_of, source = (table.cell(row, name) for name in COLUMNS)
    names = [one.value for one in Cohort]
    if not ticker or not source:
        raise table.error(row, "a ticker or a source is missing", "Add the ticker and the source")
    if cohort not in names:
        raise table.error(row, f"{quote(cohort)} isn't a cohort", f"Choose one of: {', '.join(names)}")
    try:
        day = date.fromisoformat(as_of)
    except ValueError as error:
        raise table.error(row, f"{quote(as_of)} isn't a date", "Write it as in 2026-03-31") from error
    return Membership(ticker=ticker.upper(), cohort=Cohort(cohort), as_of=day, source=source)

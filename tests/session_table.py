"""Write services/core/session_table.py from exchange_calendars: `python -m tests.session_table`, or `make sessions`."""

from calendar import SATURDAY
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from services.core import session_table
from services.core.sessions import DAY, FULL_SESSION, NEW_YORK, OPENS_AT, read_library

MODULE = Path(session_table.__file__)
FIRST_YEAR, LAST_YEAR = 1990, 2050
TEXT = '''"""Weekdays on which XNYS is closed, or closes early, in New York time. `make sessions` writes this module."""

FIRST_YEAR, LAST_YEAR = {first}, {last}
EXCEPTIONS = """
{years}
"""
'''


def module_text() -> str:
    """Return the module's text. Raises ValueError if a session has no place in it: on a weekend, or opened late."""
    columns = read_library(date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 12, 31))
    hours = {day: (opens, closes) for day, opens, closes in zip(*(one.tolist() for one in columns), strict=True)}
    years = [" ".join([str(year), *_exceptions(hours, year)]) for year in range(FIRST_YEAR, LAST_YEAR + 1)]
    return TEXT.format(first=FIRST_YEAR, last=LAST_YEAR, years="\n".join(years))


def _exceptions(hours: Mapping[date, tuple[datetime, datetime]], year: int) -> Iterator[str]:
    """Yield what the table says of a year: 1225 is closed, 1224@1300 closes early."""
    for number in range((date(year + 1, 1, 1) - date(year, 1, 1)).days):
        day = date(year, 1, 1) + number * DAY
        if day not in hours:
            if day.weekday() < SATURDAY:
                yield f"{day:%m%d}"
            continue
        opens, closes = (at.replace(tzinfo=UTC).astimezone(NEW_YORK) for at in hours[day])
        if day.weekday() >= SATURDAY or opens.time() != OPENS_AT:
            raise ValueError(f"{day} has a session from {opens:%H:%M}: only weekdays from 09:30 fit in the table")
        if closes - opens != FULL_SESSION:
            yield f"{day:%m%d}@{closes:%H%M}"


if __name__ == "__main__":
    MODULE.write_text(module_text(), encoding="utf-8")

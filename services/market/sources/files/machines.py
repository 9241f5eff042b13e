"""The user-editable table of mining machines: one machine per line, with its efficiency, release day and source."""

from datetime import date
from pathlib import Path

from services.core.errors import PriceFileError
from services.core.text import quote
from services.market.mining_power import Machine
from services.market.sources.files.csv_table import CsvRow, CsvTable, read_table

DEFAULT_MACHINES = Path(__file__).with_name("machines.csv")
COLUMNS = ("machine", "released", "j/th", "asof", "source")
MIN_EFFICIENCY, MAX_EFFICIENCY = 1.0, 1_000.0  # J/TH; the S9 of 2016 needs 98, the best of 2026 below 10


def read_machines(path: Path = DEFAULT_MACHINES) -> tuple[Machine, ...]:
    """Read the columns `Machine`, `Released`, `J/TH`, `AsOf` and `Source`.

    Raises PriceFileError for the first bad line.
    """
    table = read_table(path)
    if not table.has(*COLUMNS):
        remedy = (
            "Name the columns Machine, Released, J/TH (joules per terahash), AsOf and Source, as in the built-in file"
        )
        raise PriceFileError(path, "lacks a column", remedy=remedy, line=1)
    table.check_unique(*COLUMNS)
    machines: dict[str, Machine] = {}
    for row in table.rows:
        machine = _parse_machine(table, row)
        if machine.name.lower() in machines:
            raise table.error(row, f"{quote(machine.name)} is listed twice", "Keep one line for each machine")
        machines[machine.name.lower()] = machine
    table.raise_first_fault()
    return tuple(machines.values())


def _parse_machine(table: CsvTable, row: CsvRow) -> Machine:
    name, released, efficiency, as_of, source = (table.cell(row, column) for column in COLUMNS)
    if not name or not source:
        raise table.error(
            row, "the machine or the source is missing", "Add the machine, and who published its efficiency"
        )
    return Machine(
        name=name,
        released=_parse_day(table, row, released),
        efficiency=_parse_efficiency(table, row, efficiency),
        as_of=_parse_day(table, row, as_of),
        source=source,
    )


def _parse_day(table: CsvTable, row: CsvRow, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise table.error(row, f"{quote(text)} isn't a date", "Write it as in 2026-03-31") from error


def _parse_efficiency(table: CsvTable, row: CsvRow, text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise table.error(row, f"{quote(text)} isn't a number", "Write J/TH without a unit, as in 17.5") from error
    if 0 < value < MIN_EFFICIENCY:
        raise table.error(row, f"{text} J/TH looks like J/GH", f"Multiply by 1,000: {value * 1_000:g}")
    if not MIN_EFFICIENCY <= value <= MAX_EFFICIENCY:  # also false for NaN
        problem = f"{text} isn't between {MIN_EFFICIENCY:g} and {MAX_EFFICIENCY:,.0f} J/TH"
        raise table.error(row, problem, "Divide the power in W by the hash rate in TH/s")
    return value

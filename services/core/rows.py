"""Tables with a row per key, checked when their module is imported."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

Key = TypeVar("Key")
Row = TypeVar("Row")


def complete(table: str, keys: Iterable[Key], rows: Mapping[Key, Row]) -> Mapping[Key, Row]:
    """Return the rows. Raise AssertionError, which names the table and the keys, if a key has no row."""
    if missing := [str(key) for key in keys if key not in rows]:
        raise AssertionError(f"{table} has no row for {', '.join(missing)}; add one.")
    return rows


def by_key(table: str, key: Callable[[Row], str], rows: Iterable[Row]) -> dict[str, Row]:
    """Return the rows by key, in their order. Raise AssertionError if two rows have the same key."""
    table_rows = dict[str, Row]()
    for row in rows:
        if key(row) in table_rows:
            raise AssertionError(f"{table} has two rows for {key(row)}; rename or delete one.")
        table_rows[key(row)] = row
    return table_rows

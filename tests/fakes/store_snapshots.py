"""Snapshots of in-memory stores, because a schema and prices are costly to create."""

import sqlite3
from collections.abc import Collection, Hashable
from contextlib import closing
from functools import cache, lru_cache

from sqlalchemy import create_engine

from services.storage import SqlStore, schema, tables
from services.storage.engine import Database

MEMORY = "sqlite://"
SCHEMA = "schema"  # key of the snapshot of an empty store
_images: dict[Hashable, sqlite3.Connection] = {}


async def open_snapshot(key: Hashable = SCHEMA) -> SqlStore:
    """Open a store with the snapshot of this key, or an empty one if there is none.

    Only the first empty store of a process creates the schema.
    """
    image = _images.get(key) or _images.get(SCHEMA)
    if image is None:
        store = await SqlStore.open(MEMORY)
        save_snapshot(SCHEMA, store)
        return store
    database = Database(MEMORY)
    image.backup(_memory(database))
    return SqlStore(database)


def save_snapshot(key: Hashable, store: SqlStore) -> None:
    """Save what a store contains, once per key."""
    if key not in _images:
        _images[key] = sqlite3.connect(":memory:", check_same_thread=False)
        _memory(store._database).backup(_images[key])  # noqa: SLF001 -- an image is taken behind the store's back


def load_snapshot(key: Hashable, store: SqlStore) -> None:
    """Replace what a store contains by the snapshot of this key."""
    _images[key].backup(_memory(store._database))  # noqa: SLF001 -- as above


def stored_rows(store: SqlStore, *, apart_from: Collection[str]) -> dict[str, list[object]]:
    """Return the rows of each other table, read behind the store's back: thousands of prices take SQLAlchemy 0.1 s."""
    memory = _memory(store._database)  # noqa: SLF001 -- as above
    return _rows(memory.serialize(), frozenset(tables.metadata.tables.keys() - set(apart_from)))


@lru_cache(maxsize=1)
def _rows(image: bytes, names: frozenset[str]) -> dict[str, list[object]]:
    """Return the rows of tables in an image; most tests compare an image with one that nothing has changed."""
    with closing(sqlite3.connect(":memory:")) as memory:
        memory.deserialize(image)
        return {name: memory.execute(f"SELECT * FROM {name}").fetchall() for name in sorted(names)}  # noqa: S608 -- ours


def _memory(database: Database) -> sqlite3.Connection:
    assert database._memory is not None  # noqa: SLF001 -- as above
    return database._memory  # noqa: SLF001 -- as above


@cache
def schema_statements() -> tuple[str, ...]:
    """Return the statements that create the current schema in an empty SQLite database."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        schema.upgrade(connection)
        memory: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment]
        image = tuple(memory.iterdump())[1:-1]  # without BEGIN and COMMIT
    engine.dispose()
    return image

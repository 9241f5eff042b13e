"""Images: what an in-memory store holds, kept to begin other stores with: a schema and prices are costly to make."""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable

from services.storage import SqlStore
from services.storage.engine import Database

MEMORY = "sqlite://"
_images: dict[Hashable, sqlite3.Connection] = {}


async def opened(key: Hashable) -> SqlStore:
    """Open a memory that holds what was kept under this key; an empty one before anything was."""
    image = _images.get(key)
    if image is None:
        return await SqlStore.open(MEMORY)
    database = Database(MEMORY)
    image.backup(_memory(database))
    return SqlStore(database)


def keep(key: Hashable, store: SqlStore) -> None:
    """Keep what a store holds by now, once."""
    if key not in _images:
        _images[key] = sqlite3.connect(":memory:", check_same_thread=False)
        _memory(store._database).backup(_images[key])  # noqa: SLF001 -- an image is taken behind the store's back


def _memory(database: Database) -> sqlite3.Connection:
    assert database._memory is not None  # noqa: SLF001 -- as above
    return database._memory  # noqa: SLF001 -- as above

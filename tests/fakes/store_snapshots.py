"""Snapshots of in-memory stores, because a schema and prices are costly to create."""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable

from services.storage import SqlStore
from services.storage.engine import Database

MEMORY = "sqlite://"
_images: dict[Hashable, sqlite3.Connection] = {}


async def open_snapshot(key: Hashable) -> SqlStore:
    """Open a store with the snapshot of this key, or an empty one if there is none."""
    image = _images.get(key)
    if image is None:
        return await SqlStore.open(MEMORY)
    database = Database(MEMORY)
    image.backup(_memory(database))
    return SqlStore(database)


def save_snapshot(key: Hashable, store: SqlStore) -> None:
    """Save what a store contains, once per key."""
    if key not in _images:
        _images[key] = sqlite3.connect(":memory:", check_same_thread=False)
        _memory(store._database).backup(_images[key])  # noqa: SLF001 -- an image is taken behind the store's back


def _memory(database: Database) -> sqlite3.Connection:
    assert database._memory is not None  # noqa: SLF001 -- as above
    return database._memory  # noqa: SLF001 -- as above

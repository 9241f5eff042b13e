"""Notices: each is recorded once by its name, and edited in place like an alert."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.notice import Content, Notice
from services.alerting.ports import StoredNotice
from services.core.errors import ConflictError
from services.core.identity import Channel
from services.storage import tables
from services.storage.codec import kind_of, read_notice, write_content
from services.storage.outbox_enqueue import bump_version, enqueue
from services.storage.repository import Repository, insert, rows_of

_columns = tables.notices.c


class Notices(Repository):
    """Implements NoticeStore."""

    async def open_notices(self, kind: type[Content]) -> list[StoredNotice]:
        """Load the notices of one kind that may still change, oldest first."""
        query = select(tables.notices).where(tables.OPEN, _columns.kind == kind_of(kind)).order_by(_columns.id)
        async with self._database.read() as tx:
            return [
                StoredNotice(notice=read_notice(row, row.id), revision=row.revision) for row in await tx.execute(query)
            ]

    async def add_notices(self, notices: Sequence[Notice], at: datetime) -> int:
        """Record new notices in one transaction; give how many there were that nobody had recorded yet."""
        async with self._database.write() as tx:
            added = [await add_notice(tx, notice, at) for notice in notices]
        return sum(number is not None for number in added)

    async def has_notice(self, channel: Channel, name: str) -> bool:
        """Tell whether a channel has a notice of that name."""
        query = select(_columns.id).where(*rows_of(tables.notices, channel), _columns.name == name)
        async with self._database.read() as tx:
            return (await tx.execute(query)).first() is not None

    async def amend_notice(self, stored: StoredNotice, at: datetime) -> None:
        """Let a notice tell something else from now on. Raises ConflictError where it has changed since it was read."""
        notice = stored.notice
        values = {
            "content": write_content(notice.content),
            "closed_at": notice.closed_at,
            "revision": stored.revision + 1,
        }
        here = rows_of(tables.notices, notice.channel)
        as_read = (_columns.id == notice.id, _columns.revision == stored.revision, *here)
        async with self._database.write() as tx:
            if (await tx.execute(update(tables.notices).where(*as_read).values(values))).rowcount != 1:
                raise ConflictError(f"Notice {notice.id} has changed since it was read; read it again.")
            await bump_version(tx, at, notice_id=notice.id)


async def add_notice(
    tx: AsyncConnection, notice: Notice, at: datetime, *, due_at: datetime | None = None
) -> int | None:
    """Record a notice and have it told; give its number, None where its channel has one of that name already.

    With `due_at` it is told as if it had been waiting since then, before what has waited for less long.
    """
    row = {
        "team": notice.channel.team,
        "channel": notice.channel.id,
        "name": notice.name,
        "kind": kind_of(notice.content),
        "opened_at": notice.opened_at,
        "closed_at": notice.closed_at,
        "revision": 1,
        "content": write_content(notice.content),
    }
    new = insert(tx, tables.notices).values(row).on_conflict_do_nothing()
    number: int | None = (await tx.execute(new.returning(_columns.id))).scalar()
    if number is not None:
        await enqueue(tx, notice.channel, due_at or at, notice_id=number)
    return number

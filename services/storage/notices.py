"""Notices: recorded once per name and channel, and edited in place like an alert."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.notice import Content, Notice
from services.alerting.ports import StoredNotice
from services.core.errors import ConflictError
from services.core.identity import Channel
from services.storage import tables
from services.storage.codec import notice_kind, read_notice, write_content
from services.storage.outbox import bump_version, enqueue
from services.storage.repository import Repository, in_channel, insert

_columns = tables.notices.c


class NoticeRepository(Repository):
    """The methods of ChannelStore on notices."""

    async def open_notices(self, kind: type[Content]) -> list[StoredNotice]:
        """Load the notices of one kind that may still change, oldest first."""
        query = select(tables.notices).where(tables.OPEN, _columns.kind == notice_kind(kind)).order_by(_columns.id)
        async with self._database.read() as tx:
            return [
                StoredNotice(notice=read_notice(row, row.id), revision=row.revision) for row in await tx.execute(query)
            ]

    async def add_notices(self, notices: Sequence[Notice], at: datetime) -> int:
        """Save new notices in one transaction; return how many were not recorded yet."""
        async with self._database.write() as tx:
            added = [await add_notice(tx, notice, at) for notice in notices]
        return sum(notice_id is not None for notice_id in added)

    async def has_notice(self, channel: Channel, name: str) -> bool:
        """Return whether a channel has a notice of that name."""
        query = select(_columns.id).where(*in_channel(tables.notices, channel), _columns.name == name)
        async with self._database.read() as tx:
            return (await tx.execute(query)).first() is not None

    async def update_notice(self, stored: StoredNotice, at: datetime) -> None:
        """Save a notice's new content. Raises ConflictError if it has changed since it was read."""
        notice = stored.notice
        values = {
            "content": write_content(notice.content),
            "closed_at": notice.closed_at,
            "revision": stored.revision + 1,
        }
        here = in_channel(tables.notices, notice.channel)
        as_read = (_columns.id == notice.id, _columns.revision == stored.revision, *here)
        async with self._database.write() as tx:
            if (await tx.execute(update(tables.notices).where(*as_read).values(values))).rowcount != 1:
                raise ConflictError(f"Notice {notice.id} has changed since it was read; read it again.")
            await bump_version(tx, at, notice_id=notice.id)


async def add_notice(
    tx: AsyncConnection, notice: Notice, at: datetime, *, due_at: datetime | None = None
) -> int | None:
    """Save a notice and enqueue its message; return its id, None if its channel has one of that name already.

    With `due_at` it is due as if it had waited since then, before messages that have waited for less long.
    """
    row = {
        "team": notice.channel.team,
        "channel": notice.channel.id,
        "name": notice.name,
        "kind": notice_kind(notice.content),
        "opened_at": notice.opened_at,
        "closed_at": notice.closed_at,
        "revision": 1,
        "content": write_content(notice.content),
    }
    new = insert(tx, tables.notices).values(row).on_conflict_do_nothing()
    notice_id: int | None = (await tx.execute(new.returning(_columns.id))).scalar()
    if notice_id is not None:
        await enqueue(tx, notice.channel, due_at or at, notice_id=notice_id)
    return notice_id

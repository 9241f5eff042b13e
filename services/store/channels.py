"""What channels set, and their silences: each change is recorded with who made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from services.domain.channel import ChannelSettings
from services.store import tables
from services.store.codec import read_settings
from services.store.part import rows_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from services.domain.episode import Channel


async def settings_of(tx: AsyncConnection, channel: Channel) -> ChannelSettings:
    """Read what a channel has set; the defaults where it has set nothing."""
    query = select(tables.channels.c.settings).where(*rows_of(tables.channels, channel))
    text = (await tx.execute(query)).scalar()
    return ChannelSettings() if text is None else read_settings(text)

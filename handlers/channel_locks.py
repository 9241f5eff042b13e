"""Locks that serialize work in one channel, so that concurrent starts are announced once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from services.core.identity import Channel


@dataclass(slots=True)
class ChannelLocks:
    """A lock per channel, dropped when unused; locks are not shared between processes."""

    _locks: WeakValueDictionary[Channel, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def of(self, channel: Channel) -> asyncio.Lock:
        """Return the lock of a channel."""
        return self._locks.setdefault(channel, asyncio.Lock())

"""Turns: what two people begin at once in one channel is done by one after the other, so that it is told once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from services.core.identity import Channel


@dataclass(slots=True)
class ChannelLocks:
    """A lock for each channel, for as long as somebody holds or awaits it; another process has its own."""

    _locks: WeakValueDictionary[Channel, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def of(self, channel: Channel) -> asyncio.Lock:
        """Give the lock of a channel."""
        return self._locks.setdefault(channel, asyncio.Lock())

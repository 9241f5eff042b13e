"""Outbox: delivery of due messages, and its schedule."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from services.core.identity import Channel
from services.delivery.dispatcher import Dispatcher
from services.delivery.loop import DeliveryLoop
from services.delivery.ports import Delivery, DeliveryMeter, Notifier, OutboxStore

MAX_CONCURRENT = 25  # concurrent sends in one process: more would only wait for each other in the database


@dataclass(slots=True, kw_only=True)
class Outbox(DeliveryLoop):
    """Level-triggered delivery: only the newest version of a message is ever sent.

    An attempt is recorded before the call, and its outcome after it. A message whose response was lost is looked up
    before it is sent again: once, or at least once if the app may not read the channel. The same applies to an attempt
    that a crash cut off, after its lease of up to a minute: until then another process might still be sending.
    """

    what = "delivery"

    store: OutboxStore
    notifier: Notifier
    meter: DeliveryMeter | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _random: Random = field(default_factory=Random)
    _dispatcher: Dispatcher = field(init=False)

    def __post_init__(self) -> None:
        self._dispatcher = Dispatcher(store=self.store, notifier=self.notifier, clock=self.clock, meter=self.meter)

    async def time_until_due(self) -> timedelta:
        """Return the time until a message is due, at most `max_sleep`."""
        now = self.clock.now()
        return self.until(await self.store.next_due_at(now), now)

    async def _start_round(self) -> None:
        await self.deliver(self.clock.now())

    async def deliver(self, now: datetime) -> int:
        """Deliver everything due, channels side by side and each in order; return how many messages were sent.

        Only one delivery runs at a time, in rounds of one message per channel. So a queue in one channel delays the
        others by one response at most, and a channel that becomes silent meanwhile gets nothing more. If our own error
        stops a channel, the others are finished before the error is raised.
        """
        sent = 0
        failures: dict[Channel, BaseException] = {}
        async with self._lock:
            while not self._stopping and (due := await self._due(max(now, self.clock.now()), failures)):
                done = await asyncio.gather(
                    *(self._dispatcher.deliver_one(one, now) for one in due), return_exceptions=True
                )
                sent += done.count(True)
                outcomes = zip(due, done, strict=True)
                failures |= {one.channel: error for one, error in outcomes if isinstance(error, BaseException)}
        for error in failures.values():
            raise error
        return sent

    async def _due(self, now: datetime, exclude: Collection[Channel]) -> list[Delivery]:
        """Return what is due; a random sample if there is much, so that workers don't all try the same messages."""
        due = [one for one in await self.store.due(now) if one.channel not in exclude]
        return due if len(due) <= MAX_CONCURRENT else self._random.sample(due, MAX_CONCURRENT)

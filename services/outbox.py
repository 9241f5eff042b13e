"""Outbox: make the channel show what the store says it should."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from services.courier import Courier, Went

if TYPE_CHECKING:
    from datetime import datetime

    from services.domain.episode import Channel
    from services.ports import Clock, Delivery, Notifier, OutboxStore

IDLE = timedelta(seconds=30)  # how long the outbox sleeps at most, should a nudge get lost
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outbox:
    """Level-triggered delivery: only the newest wording of a message is ever sent.

    An attempt is noted before the call, and what the answer was after it. A message whose answer was lost is sent
    again: at least once, and once only where the answer arrives. One whose attempt a crash cut off is sent again when
    its lease is over, up to a minute later: until then another process might still be at it.
    """

    store: OutboxStore
    notifier: Notifier
    clock: Clock
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _stopping: bool = False
    _courier: Courier = field(init=False)

    def __post_init__(self) -> None:
        self._courier = Courier(store=self.store, notifier=self.notifier, clock=self.clock)

    def nudge(self) -> None:
        """Tell that something may be due."""
        self._wake.set()

    def stop(self) -> None:
        """Begin no attempt any more; `run` returns once those under way have ended and been noted."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver whatever becomes due, until stopped; a failure of ours is logged once, and tried again."""
        failing = False
        while not self._stopping:
            self._wake.clear()
            try:
                await self.deliver(self.clock.now())
                wait = await self.until_due()
            except Exception:
                if not failing:
                    log.exception("delivery fails; it is tried again every %s", IDLE)
                failing, wait = True, IDLE
            else:
                if failing:
                    log.info("delivery works again")
                failing = False
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait.total_seconds())

    async def until_due(self) -> timedelta:
        """Tell how long there is nothing to do, 30 s at most."""
        due_at = await self.store.next_due_at()
        return IDLE if due_at is None else min(IDLE, max(due_at - self.clock.now(), timedelta(0)))

    async def deliver(self, now: datetime) -> int:
        """Deliver everything due at `now`, channels side by side, each in its order; give how many were sent.

        Only one delivery runs at a time. Where a channel meets an error of ours the others come to their end before it
        is raised, so that no attempt goes on that nobody waits for.
        """
        sent = 0
        async with self._one_at_a_time:
            while not self._stopping and (due := await self.store.due(now)):
                sent += await self._deliver(due, now)
        return sent

    async def _deliver(self, due: list[Delivery], now: datetime) -> int:
        queues: dict[Channel, list[Delivery]] = {}
        for delivery in due:
            queues.setdefault(delivery.alert.channel, []).append(delivery)
        done = await asyncio.gather(
            *(self._deliver_channel(queue, now) for queue in queues.values()), return_exceptions=True
        )
        failures = [one for one in done if isinstance(one, BaseException)]
        if failures:
            raise failures[0]
        return sum(one for one in done if isinstance(one, int))

    async def _deliver_channel(self, queue: list[Delivery], now: datetime) -> int:
        """Send one channel's messages in order, until one bars those behind it."""
        sent = 0
        for delivery in queue:
            if self._stopping:
                break
            went = await self._courier.attempt(delivery, now)
            if went is Went.BARRED:
                break
            sent += went is Went.SENT
        return sent

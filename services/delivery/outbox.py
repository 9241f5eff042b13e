"""Outbox: make the channel show what the store says it should."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from services.core.clock import Clock
from services.core.identity import Channel
from services.delivery.dispatcher import Dispatcher
from services.delivery.ports import Delivery, Notifier, OutboxStore

AT_ONCE = 25  # messages under way in one process: more would only wait for each other in the database
IDLE = timedelta(seconds=30)  # how long the outbox sleeps at most, should a nudge get lost
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outbox:
    """Level-triggered delivery: only the newest wording of a message is ever sent.

    An attempt is noted before the call, and what the answer was after it. A message whose answer was lost is looked
    up before it is sent again: once, and at least once where the app may not read the channel. So is one whose attempt
    a crash cut off, when its lease is over, up to a minute later: until then another process might still be at it.
    What other processes record is found by looking each `idle`: nobody nudges then.
    """

    store: OutboxStore
    notifier: Notifier
    clock: Clock
    idle: timedelta = IDLE
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _stopping: bool = False
    _lots: Random = field(default_factory=Random)
    _courier: Dispatcher = field(init=False)

    def __post_init__(self) -> None:
        self._courier = Dispatcher(store=self.store, notifier=self.notifier, clock=self.clock)

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
                    log.exception("delivery fails; it is tried again every %s", self.idle)
                failing, wait = True, self.idle
            else:
                if failing:
                    log.info("delivery works again")
                failing = False
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait.total_seconds())

    async def until_due(self) -> timedelta:
        """Tell how long there is nothing to do, `idle` at most."""
        now = self.clock.now()
        due_at = await self.store.next_due_at(now)
        return self.idle if due_at is None else min(self.idle, max(due_at - now, timedelta(0)))

    async def deliver(self, now: datetime) -> int:
        """Deliver everything due from `now` on, channels side by side, each in its order; give how many were sent.

        Only one delivery runs at a time, in rounds of one message for each channel: a queue in one keeps the others
        waiting for a single answer at most, and a channel that falls silent meanwhile is told nothing more. Where a
        channel meets an error of ours, it is left alone and the others come to their end before that is raised.
        """
        sent = 0
        failures: dict[Channel, BaseException] = {}
        async with self._one_at_a_time:
            while not self._stopping and (due := await self._due(max(now, self.clock.now()), failures)):
                done = await asyncio.gather(*(self._courier.attempt(one, now) for one in due), return_exceptions=True)
                sent += done.count(True)
                failed = zip(due, done, strict=True)
                failures |= {one.channel: error for one, error in failed if isinstance(error, BaseException)}
        for error in failures.values():
            raise error
        return sent

    async def _due(self, now: datetime, without: Collection[Channel]) -> list[Delivery]:
        """Take what is due; some by lot where there is much, so that workers do not all go for the same."""
        due = [one for one in await self.store.due(now) if one.channel not in without]
        return due if len(due) <= AT_ONCE else self._lots.sample(due, AT_ONCE)

"""Outbox: delivery of due messages, and its schedule."""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.core.identity import Channel
from services.delivery.dispatcher import Dispatcher
from services.delivery.loop import DeliveryLoop
from services.delivery.pacing import WorkspacePacer
from services.delivery.ports import Delivery, DeliveryMeter, DueKey, Notifier, OutboxStore

MAX_CONCURRENT = 150  # messages in flight in one process: about 100 at Slack, and 50 being recorded
REFILL = 33  # free places that are waited for, so that messages are loaded and marked together
REFILL_WAIT_S = 0.03  # longest wait for them
POLL_S = 1.0  # how often due messages are looked for while others are in flight
KEYS = 500  # due messages that are looked up at once
KEYS_VALID_S = 1.0  # after that they are looked up again, as a more urgent one may have come


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
    _pacer: WorkspacePacer = field(init=False)
    _dispatcher: Dispatcher = field(init=False)
    _keys: deque[DueKey] = field(default_factory=deque)
    _keys_valid_until: float = 0.0  # on the event loop's clock
    _failures: dict[Channel, BaseException] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pacer = WorkspacePacer()
        self._dispatcher = Dispatcher(
            store=self.store, notifier=self.notifier, clock=self.clock, pacer=self._pacer, meter=self.meter
        )

    def nudge(self) -> None:
        """Wake the loop, as something may be due that is more urgent than what is known."""
        self._keys_valid_until = 0.0
        self._wake.set()

    async def time_until_due(self) -> timedelta:
        """Return the time until a message may be sent, at most `max_sleep`."""
        now = self.clock.now()
        due_at = await self.store.next_due_at(now, self._pacer.held_teams(now))
        paced_at = self._pacer.next_at(now)
        return min(self.until(due_at, now), self.until(paced_at, now))

    async def _start_round(self) -> None:
        await self.deliver(self.clock.now())

    async def deliver(self, now: datetime) -> int:
        """Deliver everything due, channels side by side and each in order; return how many messages were sent.

        Only one delivery runs at a time, with up to 150 messages in flight and one per channel. As soon as places are
        free, the next messages are started, so a slow channel doesn't delay the others. If our own error stops a
        channel, the others are finished before the error is raised.
        """
        async with self._lock:
            self._keys_valid_until, self._failures = 0.0, {}
            running: dict[asyncio.Task[bool], Delivery] = {}
            try:
                sent = await self._deliver_window(now, running)
            except asyncio.CancelledError:
                for task in running:
                    task.cancel()
                raise
            finally:
                await asyncio.gather(*running, return_exceptions=True)
            for error in self._failures.values():
                raise error
            return sent

    async def _deliver_window(self, now: datetime, running: dict[asyncio.Task[bool], Delivery]) -> int:
        """Start due messages until none is left and all have ended; return how many were sent."""
        sent = 0
        while True:
            self._wake.clear()
            batch = [] if self._stopping else await self._next_batch(max(now, self.clock.now()), running)
            for delivery in batch:
                task = asyncio.create_task(self._dispatcher.deliver_one(delivery, now))
                task.add_done_callback(lambda _: self._wake.set())
                running[task] = delivery
            if not running:
                return sent
            await self._wait(running, found=bool(batch))
            for task in [one for one in running if one.done()]:
                channel = running.pop(task).channel
                error = asyncio.CancelledError() if task.cancelled() else task.exception()
                if error is not None:
                    self._failures[channel] = error
                sent += error is None and task.result()

    async def _wait(self, running: dict[asyncio.Task[bool], Delivery], *, found: bool) -> None:
        """Wait until the next messages may be started: enough places are free, one has become due, or all have ended.

        If nothing was `found`, it is looked for again after a second at most.
        """
        if not found:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL_S)
            return
        await self._wake.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(REFILL_WAIT_S):
                while MAX_CONCURRENT - sum(not task.done() for task in running) < min(REFILL, MAX_CONCURRENT):
                    self._wake.clear()
                    await self._wake.wait()

    async def _next_batch(self, now: datetime, running: dict[asyncio.Task[bool], Delivery]) -> list[Delivery]:
        """Load the next messages, as many as there are places free, and at most one per channel."""
        busy = {*self._failures, *(delivery.channel for delivery in running.values())}
        batch: list[Delivery] = []
        looked_up = False
        while (free := MAX_CONCURRENT - len(running) - len(batch)) > 0:
            if not self._keys or asyncio.get_running_loop().time() >= self._keys_valid_until:
                if looked_up:
                    break
                self._keys = deque(await self.store.due_keys(now, KEYS, self._pacer.held_teams(now)))
                self._keys_valid_until = asyncio.get_running_loop().time() + KEYS_VALID_S
                looked_up = True
            chosen = self._take(free, busy, now)
            loaded = await self.store.load_due(chosen, now) if chosen else []
            batch += loaded
            busy |= {delivery.channel for delivery in loaded}
            looked_up = looked_up and len(loaded) == len(chosen)  # else one was unreadable, or another process has it
        return batch

    def _take(self, number: int, busy: set[Channel], now: datetime) -> list[DueKey]:
        """Remove and return the next messages whose channels are free."""
        chosen: list[DueKey] = []
        while self._keys and len(chosen) < number:
            key = self._keys.popleft()
            if key.channel not in busy and self._pacer.take(key.channel.team, now):
                chosen.append(key)
        return chosen

"""Outbox: make the channel show what the store says it should."""

from __future__ import annotations

import asyncio
import logging
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from services.domain.errors import DeliveryError, MessageGoneError

if TYPE_CHECKING:
    from datetime import datetime

    from services.domain.episode import Channel
    from services.ports import Clock, Delivery, Notifier, OutboxStore

FIRST_RETRY = timedelta(seconds=2)
LONGEST_RETRY = timedelta(minutes=5)
IDLE = timedelta(seconds=30)  # how long the outbox sleeps at most, should a nudge get lost
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outbox:
    """Level-triggered delivery: only the newest wording of a message is ever sent.

    An attempt is noted before the call, and what the answer was after it. A message whose answer was lost is sent
    again: at least once, and once only where the answer arrives.
    """

    store: OutboxStore
    notifier: Notifier
    clock: Clock
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def nudge(self) -> None:
        """Tell that something may be due."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver whatever becomes due, until cancelled; a failure of ours is logged once, and tried again."""
        failing = False
        while True:
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
        """Deliver everything due at `now`, channels side by side, each in its order; give how many were sent."""
        sent = 0
        while due := await self.store.due(now):
            channels: dict[Channel, list[Delivery]] = {}
            for delivery in due:
                channels.setdefault(delivery.alert.channel, []).append(delivery)
            sent += sum(await asyncio.gather(*(self._deliver_channel(queue, now) for queue in channels.values())))
        return sent

    async def _deliver_channel(self, queue: list[Delivery], now: datetime) -> int:
        """Send one channel's messages in order; after a failure all of them wait as long as the failed one."""
        sent = 0
        for delivery in queue:
            retry_at = await self._attempt(delivery, now)
            if retry_at is not None:
                await self.store.hold(delivery.alert.channel, retry_at)
                break
            sent += 1
        return sent

    async def _attempt(self, delivery: Delivery, now: datetime) -> datetime | None:
        """Send one message; give the time until which the channel must rest, None where it may go on.

        What only a person can mend is tried again all the same, slowly: once it is mended, nothing has been lost.
        """
        await self.store.mark_attempting(delivery, now)
        try:
            message_id = await self._send(delivery)
        except MessageGoneError as error:
            await self._post_anew_or_bury(delivery, error, now)
            return None
        except DeliveryError as error:
            wait = LONGEST_RETRY if error.permanent else error.retry_after or backoff(delivery)
            counts = error.permanent or error.retry_after is None
            return await self._try_later(delivery, str(error), now + wait, counts=counts)
        except Exception as error:  # a message that cannot be made must not hold up other channels
            log.exception("alert %d cannot be told", delivery.alert.id)
            return await self._try_later(delivery, f"{type(error).__name__}: {error}", now + backoff(delivery))
        await self.store.mark_sent(delivery, message_id, now)
        if delivery.attempts:
            log.info("alert %d is delivered after %d failures", delivery.alert.id, delivery.attempts)
        return None

    async def _post_anew_or_bury(self, delivery: Delivery, error: MessageGoneError, now: datetime) -> None:
        """Post an alert anew whose message is gone; a line for a thread that is gone has no place any more."""
        if delivery.entry is None:
            await self.store.mark_failed(delivery, str(error), now, gone=True)
        else:
            await self.store.mark_dead(delivery, str(error), now)

    async def _try_later(
        self, delivery: Delivery, problem: str, retry_at: datetime, *, counts: bool = True
    ) -> datetime:
        if counts and not delivery.attempts:
            log.warning("alert %d is not delivered yet: %s", delivery.alert.id, problem)
        await self.store.mark_failed(delivery, problem, retry_at, counts=counts)
        return retry_at

    async def _send(self, delivery: Delivery) -> str:
        if delivery.entry is not None:
            return await self.notifier.reply(delivery.alert, delivery.entry, str(delivery.thread_id), key=delivery.key)
        if delivery.message_id is None:
            return await self.notifier.post(delivery.alert, key=delivery.key)
        await self.notifier.edit(delivery.alert, delivery.message_id)
        return delivery.message_id


def backoff(delivery: Delivery) -> timedelta:
    """Double the wait with each failure, to five minutes; spread by the message's key, so that retries do not march."""
    spread = 0.75 + zlib.crc32(f"{delivery.key}:{delivery.attempts}".encode()) / 2**33
    doubled: timedelta = FIRST_RETRY * 2 ** min(delivery.attempts, 10)
    return min(doubled, LONGEST_RETRY) * spread

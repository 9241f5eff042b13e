"""The loop that delivers what is due, until it is stopped."""

import asyncio
import logging
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from services.core.clock import Clock
from services.core.errors import DatabaseUnavailableError

MAX_SLEEP = timedelta(seconds=30)  # longest sleep, in case a nudge gets lost
log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class DeliveryLoop(ABC):
    """Delivers in rounds, each as soon as something is due. Our own failures are logged once and retried.

    What other processes save is found by polling every `max_sleep`, as those can't nudge this one.
    """

    what: ClassVar[str]  # as the log names it

    clock: Clock
    max_sleep: timedelta = MAX_SLEEP
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: bool = False

    def nudge(self) -> None:
        """Wake the loop, as something may be due."""
        self._wake.set()

    def stop(self) -> None:
        """Start no more attempts; `run` returns once the current ones have ended and are recorded."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver what becomes due, until stopped."""
        failing = False
        while not self._stopping:
            self._wake.clear()
            try:
                await self._start_round()
                wait = await self.time_until_due()
            except Exception as error:
                wait = self.max_sleep
                if not failing and not (isinstance(error, DatabaseUnavailableError) and error.is_logged):
                    log.exception("%s failed; retrying every %s", self.what, self.max_sleep)
                    failing = True
            else:
                if failing:
                    log.info("%s has recovered", self.what)
                failing = False
            await self._sleep(wait)

    async def _sleep(self, wait: timedelta) -> None:
        """Wait until nudged, for at most `wait`; not if stopped, as the round may have cleared that event."""
        if not self._stopping:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait.total_seconds())

    @abstractmethod
    async def time_until_due(self) -> timedelta:
        """Return the time until something is due, at most `max_sleep`."""

    def until(self, due_at: datetime | None, now: datetime) -> timedelta:
        """Return the time from `now` to `due_at`, at most `max_sleep`; that too if nothing is due."""
        return self.max_sleep if due_at is None else min(self.max_sleep, max(due_at - now, timedelta(0)))

    @abstractmethod
    async def _start_round(self) -> None:
        """Deliver what is due, or start to."""

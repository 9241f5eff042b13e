"""Backfill: load the prices of coins before the live look-back in the background, newest first."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.core.clock import Clock
from services.core.errors import DatabaseUnavailableError, SourceError
from services.core.prices import Symbol
from services.market.feeds.crypto import HOUR
from services.market.price_history import OlderBars, PriceHistory

PAGE_PAUSE = timedelta(seconds=1)  # one call a second and venue leaves the rest of each quota to the ticks
IDLE = timedelta(minutes=1)  # until it looks again for pairs that want older prices
MAX_RETRY = timedelta(hours=1)
SHARED_WAIT = timedelta(minutes=10)  # a process that shares the database lets the other one load first
LOGGED_PAGES = 20
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Backfill:
    """Loads one page at a time from each venue and saves it, so that a restart goes on after the last saved page.

    1. Daily bars since the venue's first day, for the high of bitcoin.
    2. Hourly bars from the first session of the oldest pair that was asked for, at most since 2015.

    A venue that fails is asked again after a minute, then after twice as long each time, up to an hour.

    Attributes:
        only_stored_until: Until then, pages are loaded from the database only, because another process fetches them;
            None if this process fetches.
    """

    history: PriceHistory
    clock: Clock
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    only_stored_until: datetime | None = None
    _retries: dict[str, tuple[datetime, timedelta]] = field(default_factory=dict)
    _pages: dict[tuple[str, Symbol, timedelta], int] = field(default_factory=dict)

    async def run(self) -> None:
        """Load pages until cancelled; a page that is cancelled is not saved."""
        while True:
            try:
                pause = await self.step()
            except Exception:
                log.exception("loading older prices failed; next try in %s", MAX_RETRY)
                pause = MAX_RETRY
            await self.sleep(pause.total_seconds())

    async def complete(self) -> None:
        """Load all pages now, without a pause; a venue that fails is left out."""
        while pending := self._pending(self.clock.now()):
            await asyncio.gather(*map(self._load, pending))

    async def step(self) -> timedelta:
        """Load one page from each venue, and return how long to wait before the next step."""
        now = self.clock.now()
        await asyncio.gather(*map(self._load, self._pending(now)))
        return PAGE_PAUSE if self._pending(self.clock.now()) and not self._is_only_stored(now) else IDLE

    def _pending(self, now: datetime) -> list[OlderBars]:
        """Return the next page of each venue that is not to be left alone; of stored pages, all."""
        wanted, pending = self.history.wanted_older(now), dict[str, OlderBars]()
        if self._is_only_stored(now):
            return wanted
        for older in wanted:
            retry_at, _ = self._retries.get(older.feeds.source.name, (now, IDLE))
            if retry_at <= now:
                pending.setdefault(older.feeds.source.name, older)
        return [*pending.values()]

    def _is_only_stored(self, now: datetime) -> bool:
        return self.only_stored_until is not None and now < self.only_stored_until

    async def _load(self, older: OlderBars) -> None:
        now, feeds = self.clock.now(), older.feeds
        try:
            if self.only_stored_until is not None:
                await feeds.load_stored(older.symbol, older.interval)
            if not self._is_only_stored(now) and feeds.has_older(older.symbol, older.interval, older.since, now):
                await feeds.load_older(older.symbol, older.interval, older.since, now)
        except (SourceError, DatabaseUnavailableError) as error:
            self._back_off(feeds.source.name, error, now)
            return
        self._retries.pop(feeds.source.name, None)
        if feeds.latest(older.symbol) is not None:
            self._log(older, now)

    def _back_off(self, venue: str, error: Exception, now: datetime) -> None:
        _, last = self._retries.get(venue, (now, IDLE / 2))
        wait = min(2 * last, MAX_RETRY)
        self._retries[venue] = now + wait, wait
        log.warning("older prices cannot be loaded: %s; next try in %s", error, wait)

    def _log(self, older: OlderBars, now: datetime) -> None:
        """Log the progress of a venue from time to time, and when it is complete."""
        key = older.feeds.source.name, older.symbol, older.interval
        self._pages[key] = pages = self._pages.get(key, 0) + 1
        kind = "hourly" if older.interval == HOUR else "daily"
        oldest = older.feeds.oldest(older.symbol, older.interval, now).date()
        if not older.feeds.has_older(older.symbol, older.interval, older.since, now):
            log.info("%s (%s): all older %s prices are loaded, back to %s", *key[:2], kind, oldest)
        elif pages % LOGGED_PAGES == 1:
            log.info("%s (%s): loading older %s prices, now back to %s", *key[:2], kind, oldest)

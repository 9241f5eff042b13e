"""Health: whether the app does its work, as /readyz tells it and as the heartbeat proves it to a watchdog."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.scheduler import Ticker
from handlers.slack_errors import translate_slack_error
from services.core.errors import DeliveryError, StoreError
from services.delivery.ports import Backlog, DeliveryProblem, OutboxStore
from services.rules.decide import GRACE

NOT_READY_AFTER = 5  # ticks
BEAT_WITHIN_S = 5
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is wrong, in sentences, and what is not delivered; `backlog` is None where the database cannot tell.

    `stuck` tells what waits for a person to mend something: messages, and tokens; the app is no less ready for it.
    """

    troubles: tuple[str, ...]
    backlog: Backlog | None
    stuck: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether all is well; a backlog alone makes the app no less ready: another process would deliver no more."""
        return not self.troubles


@dataclass(slots=True)
class Heartbeat:
    """A watchdog's address, asked for while all is well; whoever watches it tells a person when that ends."""

    url: str
    session: aiohttp.ClientSession
    _failing: bool = False

    async def beat(self) -> None:
        """Ask once. A failure is logged when it begins and when it ends, without the address, which is a secret."""
        try:
            async with self.session.get(self.url) as answer:
                answer.raise_for_status()
        except aiohttp.ClientResponseError as error:
            self._tell(f"it answers {error.status}")
        except (aiohttp.ClientError, OSError) as error:
            self._tell(type(error).__name__)
        else:
            if self._failing:
                log.info("the heartbeat arrives again")
            self._failing = False

    def _tell(self, problem: str) -> None:
        if not self._failing:
            log.warning("the heartbeat does not arrive (%s); its watchdog will tell of an outage", problem)
        self._failing = True


@dataclass(slots=True)
class Health:
    """Asks in each round whether Slack takes the token; ticks, prices and the database are looked at when asked.

    Where each workspace has a token of its own, Slack is asked without one.
    Where another process ticks, `ticks` is False, and neither ticks nor prices are told of here. `overdue` says which
    workspaces' tokens are not renewed, where they have their own.
    """

    ticker: Ticker
    store: OutboxStore
    client: AsyncWebClient
    heartbeat: Heartbeat | None = None
    ticks: bool = True
    overdue: Callable[[datetime], Awaitable[tuple[str, ...]]] | None = None
    slack_trouble: str | None = None

    async def work(self) -> None:
        """Tick, where this process does; look whether Slack can be reached; beat where nothing at all is wrong."""
        if self.ticks:
            await self.ticker.tick()
        self.slack_trouble = await self._ask_slack()
        if self.heartbeat is not None and (await self.report()).ready:
            await self.heartbeat.beat()

    async def report(self) -> Report:
        """Say what is wrong now."""
        now = self.ticker.clock.now()
        backlog = await self._backlog(now)
        found = (
            _of_ticks(self.ticker, now) if self.ticks else None,
            _of_prices(self.ticker, now) if self.ticks else None,
            "the database does not answer" if backlog is None else None,
            self.slack_trouble,
        )
        troubles = tuple(trouble for trouble in found if trouble is not None)
        return Report(troubles=troubles, backlog=backlog, stuck=await self._stuck(now))

    async def _stuck(self, now: datetime) -> tuple[str, ...]:
        try:
            unrenewed = () if self.overdue is None else await self.overdue(now)
            return (*unrenewed, *(sentence_on(one) for one in await self.store.troubles()))
        except StoreError:
            return ()

    async def _backlog(self, now: datetime) -> Backlog | None:
        try:
            return await self.store.backlog(now)
        except StoreError:
            return None

    async def _ask_slack(self) -> str | None:
        try:
            with translate_slack_error():
                await (self.client.auth_test() if self.client.token else self.client.api_test())
        except DeliveryError as error:
            if error.retry_after is None:  # to be asked to wait is an answer too
                return _sentence(error)
        return None


def sentence_on(trouble: DeliveryProblem) -> str:
    """Tell what does not arrive where, why, and so what to do."""
    what = "given up" if trouble.given_up else "waiting"
    return f"channel {trouble.channel.id}: {trouble.messages} {what}: {trouble.problem}"


def _of_ticks(ticker: Ticker, now: datetime) -> str | None:
    if ticker.last_good_at is None:
        return "the first tick has not ended yet"
    age = now - ticker.last_good_at
    if age > NOT_READY_AFTER * ticker.monitor.every:
        return f"the last good tick was {int(age.total_seconds())} s ago"
    return None


def _of_prices(ticker: Ticker, now: datetime) -> str | None:
    """Tell of a pair that nothing usable is known of: for longer than rules wait, or ever since the start."""
    for pair, sight in ticker.monitor.sights.items():
        if sight.reason is not None and (sight.last_at is None or now - sight.last_at > GRACE):
            return f"no usable prices of {pair} {_since(sight.last_at)}: {sight.reason}"
    return None


def _since(last_at: datetime | None) -> str:
    return "yet" if last_at is None else f"since {last_at:%Y-%m-%d %H:%M} UTC"


def _sentence(error: DeliveryError) -> str:
    return f"Slack does not accept the app: {error}" if error.permanent else "Slack does not answer"

"""Health checks for /readyz, and the heartbeat to an external watchdog."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.scheduler import TickScheduler
from handlers.render.reasons import sentence
from handlers.slack_errors import translate_slack_error
from services.core.errors import DatabaseUnavailableError, DeliveryError
from services.delivery.ports import Backlog, DeliveryProblem, OutboxStore
from services.rules.decide import NODATA_GRACE

MAX_MISSED_TICKS = 5  # ticks
HEARTBEAT_TIMEOUT_S = 5
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """The state of the app.

    Attributes:
        problems: What is wrong, one sentence each; empty if the app is ready.
        backlog: Undelivered messages; None if the database is unavailable.
        action_needed: Messages and tokens that need a person. They do not affect readiness.
    """

    problems: tuple[str, ...]
    backlog: Backlog | None
    action_needed: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether there are no problems. A backlog alone is not a problem: another process could not deliver more."""
        return not self.problems


@dataclass(slots=True)
class Heartbeat:
    """Requests a watchdog's URL while the app is healthy; the watchdog alerts when requests stop."""

    url: str
    session: aiohttp.ClientSession
    _failing: bool = False

    async def send(self) -> None:
        """Send one heartbeat. Log the first failure and the recovery, without the URL, which is a secret."""
        try:
            async with self.session.get(self.url) as response:
                response.raise_for_status()
        except aiohttp.ClientResponseError as error:
            self._log_failure(f"it answers {error.status}")
        except (aiohttp.ClientError, OSError) as error:
            self._log_failure(type(error).__name__)
        else:
            if self._failing:
                log.info("heartbeat recovered")
            self._failing = False

    def _log_failure(self, problem: str) -> None:
        if not self._failing:
            log.warning("heartbeat failed (%s); the watchdog will report an outage", problem)
        self._failing = True


@dataclass(slots=True)
class Health:
    """Checks Slack in each run; checks ticks, prices and the database on request.

    Attributes:
        runs_ticks: Whether this process ticks. If not, ticks and prices are not checked.
        overdue_tokens: Returns the workspaces whose tokens are overdue for renewal, if workspaces have their own.
        slack_problem: The result of the last Slack check. A client without a token checks the connection only.
    """

    scheduler: TickScheduler
    store: OutboxStore
    client: AsyncWebClient
    heartbeat: Heartbeat | None = None
    runs_ticks: bool = True
    overdue_tokens: Callable[[datetime], Awaitable[tuple[str, ...]]] | None = None
    slack_problem: str | None = None

    async def run(self) -> None:
        """Tick if this process does, check Slack, and send the heartbeat if nothing is wrong."""
        if self.runs_ticks:
            await self.scheduler.tick()
        self.slack_problem = await self._check_slack()
        if self.heartbeat is not None and (await self.report()).ready:
            await self.heartbeat.send()

    async def report(self) -> HealthReport:
        """Return the current health."""
        now = self.scheduler.clock.now()
        backlog = await self._backlog(now)
        checks = (
            _tick_problem(self.scheduler, now) if self.runs_ticks else None,
            _price_problem(self.scheduler, now) if self.runs_ticks else None,
            "the database does not answer" if backlog is None else None,
            self.slack_problem,
        )
        problems = tuple(problem for problem in checks if problem is not None)
        return HealthReport(problems=problems, backlog=backlog, action_needed=await self._action_needed(now))

    async def _action_needed(self, now: datetime) -> tuple[str, ...]:
        try:
            overdue = () if self.overdue_tokens is None else await self.overdue_tokens(now)
            return (*overdue, *(describe_delivery_problem(problem) for problem in await self.store.delivery_problems()))
        except DatabaseUnavailableError:
            return ()

    async def _backlog(self, now: datetime) -> Backlog | None:
        try:
            return await self.store.backlog(now)
        except DatabaseUnavailableError:
            return None

    async def _check_slack(self) -> str | None:
        try:
            with translate_slack_error():
                await (self.client.auth_test() if self.client.token else self.client.api_test())
        except DeliveryError as error:
            if error.retry_after is None:  # a rate limit is an answer, too
                return _slack_problem(error)
        return None


def describe_delivery_problem(problem: DeliveryProblem) -> str:
    """Return a sentence with the channel, the number of messages and the problem."""
    what = "given up" if problem.dead_lettered else "waiting"
    return f"channel {problem.channel.id}: {problem.messages} {what}: {sentence(problem.problem)}"


def _tick_problem(scheduler: TickScheduler, now: datetime) -> str | None:
    if scheduler.last_good_at is None:
        return "the first tick has not ended yet"
    age = now - scheduler.last_good_at
    if age > MAX_MISSED_TICKS * scheduler.monitor.every:
        return f"the last good tick was {int(age.total_seconds())} s ago"
    return None


def _price_problem(scheduler: TickScheduler, now: datetime) -> str | None:
    """Return the first pair without usable prices for longer than the grace period, or since the start."""
    for pair, status in scheduler.monitor.feed_statuses.items():
        if status.reason is not None and (status.last_at is None or now - status.last_at > NODATA_GRACE):
            return f"no usable prices of {pair} {_since(status.last_at)}: {sentence(status.reason)}"
    return None


def _since(last_at: datetime | None) -> str:
    return "yet" if last_at is None else f"since {last_at:%Y-%m-%d %H:%M} UTC"


def _slack_problem(error: DeliveryError) -> str:
    return f"Slack does not accept the app: {error}" if error.permanent else "Slack does not answer"

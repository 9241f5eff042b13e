"""Health checks for /readyz, and the heartbeat to an external watchdog."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

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
DATABASE_TIMEOUT_S = 1.5
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """The state of the app.

    Attributes:
        problems: What is wrong, one sentence each; empty if the app is ready.
        categories: What each problem is about: `ticks`, `prices`, `database` or `slack`.
        backlog: Undelivered messages; None if the database is unavailable.
        action_needed: Messages and tokens that need a person. They do not affect readiness.
    """

    problems: tuple[str, ...]
    backlog: Backlog | None
    action_needed: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether there are no problems. A backlog alone is not a problem: another process could not deliver more."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseAnswer:
    """What the database answers to a health check, or the problem that it has."""

    backlog: Backlog | None = None
    action_needed: tuple[str, ...] = ()
    problem: str | None = None


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
        socket_problem: Returns why Socket Mode is not connected, in processes that use it.
    """

    scheduler: TickScheduler
    store: OutboxStore
    client: AsyncWebClient
    heartbeat: Heartbeat | None = None
    runs_ticks: bool = True
    overdue_tokens: Callable[[datetime], Awaitable[tuple[str, ...]]] | None = None
    slack_problem: str | None = None
    socket_problem: Callable[[], str | None] | None = None
    database_timeout_s: float = DATABASE_TIMEOUT_S
    _question: asyncio.Task[DatabaseAnswer] | None = None

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
        database = await self._ask_database(now)
        checks = {
            "ticks": _tick_problem(self.scheduler, now) if self.runs_ticks else None,
            "prices": _price_problem(self.scheduler, now) if self.runs_ticks else None,
            "database": database.problem,
            "slack": (self.socket_problem and self.socket_problem()) or self.slack_problem,
        }
        problems = {category: problem for category, problem in checks.items() if problem is not None}
        return HealthReport(
            problems=tuple(problems.values()),
            categories=tuple(problems),
            backlog=database.backlog,
            action_needed=database.action_needed,
        )

    async def _ask_database(self, now: datetime) -> DatabaseAnswer:
        """Return what the database answers in time. A question that hangs is not asked again until it ends."""
        if self._question is None or self._question.done():
            self._question = asyncio.create_task(self._read_database(now), name="health")
        done, _ = await asyncio.wait({self._question}, timeout=self.database_timeout_s)
        if not done:
            return DatabaseAnswer(problem=f"the database does not answer within {self.database_timeout_s:g} s")
        return self._question.result()

    async def _read_database(self, now: datetime) -> DatabaseAnswer:
        try:
            backlog = await self.store.backlog(now)
            overdue = () if self.overdue_tokens is None else await self.overdue_tokens(now)
            problems = tuple(describe_delivery_problem(problem) for problem in await self.store.delivery_problems())
        except DatabaseUnavailableError as error:
            return DatabaseAnswer(problem=str(error))
        except Exception as error:
            log.exception("the health check cannot read the database; please report it")
            return DatabaseAnswer(problem=f"the database cannot be read ({type(error).__name__}); see the log")
        return DatabaseAnswer(backlog=backlog, action_needed=(*overdue, *problems))

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
    if age < timedelta(0):
        return (
            f"the last good tick is {-int(age.total_seconds())} s ahead of this machine's clock, which was set back; "
            "it clears with the next tick"
        )
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

"""Health checks for /readyz and `minerpulse health`, and the heartbeat to an external watchdog."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.metrics import SOURCE_NAMES
from bot.scheduler import TickScheduler
from bot.settings import Settings
from handlers.render import fmt
from handlers.render.reasons import sentence
from handlers.slack_errors import translate_slack_error
from services.alerting.monitor import FeedStatus
from services.alerting.tick_log import WAITING, LastTick, PairStatus
from services.core.errors import DatabaseUnavailableError, DeliveryError
from services.core.prices import Pair
from services.delivery.ports import Backlog, DeliveryProblem, OutboxStore
from services.market.source_log import SourceRecord, SourceRecordStore
from services.rules.decide import NODATA_GRACE

MAX_MISSED_TICKS = 5  # ticks
HEARTBEAT_TIMEOUT_S = 5
DATABASE_TIMEOUT_S = 1.5
REFUSED = "Slack doesn't accept the app"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """A configured source and what it answered.

    Attributes:
        name: As settings name it.
        used_for: What it is asked for: `etf`, `crypto` or `network`.
        record: None if it was not asked yet.
    """

    name: str
    used_for: tuple[str, ...]
    record: SourceRecord | None

    @property
    def failures(self) -> int:
        """Failed requests in a row."""
        return self.record.failures if self.record else 0


class HealthStore(OutboxStore, SourceRecordStore, Protocol):
    """What health reads from the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """The state of the app.

    Attributes:
        problems: What is wrong, one sentence each; empty if the app is ready.
        categories: What each problem is about: `ticks`, `prices`, `database` or `slack`.
        sources: What each configured source answered. Failures don't affect readiness as long as prices are usable.
        backlog: Undelivered messages; None if the database is unavailable.
        action_needed: Messages and tokens that need a person. They do not affect readiness.
    """

    problems: tuple[str, ...]
    backlog: Backlog | None
    action_needed: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    sources: tuple[SourceState, ...] = ()

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
    sources: tuple[SourceState, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What ticks and prices are judged by: as a process that ticks knows it, or as the database has it.

    Attributes:
        last_good_at: When the last tick of all pairs succeeded; None before the first.
        every: The time between two ticks.
        feeds: The status of each pair's prices.
    """

    last_good_at: datetime | None
    every: timedelta
    feeds: Mapping[Pair, FeedStatus]


def judge(now: datetime, vitals: Vitals | None, database: DatabaseAnswer, slack_problem: str | None) -> HealthReport:
    """Return the health at `now`; without vitals, ticks and prices are not checked."""
    checks = {
        "ticks": None if vitals is None else _tick_problem(vitals, now),
        "prices": None if vitals is None else _price_problem(vitals.feeds, now),
        "database": database.problem,
        "slack": slack_problem,
    }
    problems = {category: problem for category, problem in checks.items() if problem is not None}
    return HealthReport(
        problems=tuple(problems.values()),
        categories=tuple(problems),
        backlog=database.backlog,
        action_needed=database.action_needed,
        sources=database.sources,
    )


def stored_vitals(
    pairs: Collection[Pair], ticks: Mapping[Pair, LastTick], statuses: Collection[PairStatus], every: timedelta
) -> Vitals:
    """Return the vitals of the processes that tick these pairs, from what they have stored."""
    ended = [ticks[pair].at if pair in ticks else None for pair in pairs]
    known = [at for at in ended if at is not None]
    feeds = {}
    for status in statuses:
        is_waiting = status.pair in ticks and ticks[status.pair].verdict == WAITING
        is_usable = status.reason is None or status.nodata_since is None or is_waiting
        feeds[status.pair] = FeedStatus(
            last_at=status.at if is_usable else status.nodata_since, reason=None if is_usable else status.reason
        )
    return Vitals(
        last_good_at=min(known) if len(known) == len(ended) else None,
        every=every,
        feeds={pair: feeds[pair] for pair in pairs if pair in feeds},
    )


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
            self._log_failure(f"the watchdog returned HTTP {error.status}")
        except (aiohttp.ClientError, OSError) as error:
            self._log_failure(type(error).__name__)
        else:
            if self._failing:
                log.info("heartbeat recovered")
            self._failing = False

    def _log_failure(self, problem: str) -> None:
        if not self._failing:
            log.warning("heartbeat failed (%s); the watchdog may report an outage", problem)
        self._failing = True


@dataclass(slots=True)
class Health:
    """Checks Slack in each run; checks ticks, prices and the database on request.

    Attributes:
        runs_ticks: Whether this process ticks. If not, ticks and prices are not checked.
        overdue_tokens: Returns the workspaces whose tokens are overdue for renewal, if workspaces have their own.
        sources: What each configured source is asked for, by name.
        slack_problem: The result of the last Slack check. A client without a token checks the connection only.
        socket_problem: Returns why Socket Mode is not connected, in processes that use it.
    """

    scheduler: TickScheduler
    store: HealthStore
    client: AsyncWebClient
    heartbeat: Heartbeat | None = None
    runs_ticks: bool = True
    overdue_tokens: Callable[[datetime], Awaitable[tuple[str, ...]]] | None = None
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    slack_problem: str | None = None
    socket_problem: Callable[[], str | None] | None = None
    database_timeout_s: float = DATABASE_TIMEOUT_S
    _question: asyncio.Task[DatabaseAnswer] | None = None

    async def run(self) -> None:
        """Tick if this process does, check Slack, and send the heartbeat if nothing is wrong."""
        if self.runs_ticks:
            await self.scheduler.tick()
        self.slack_problem = await find_slack_problem(self.client)
        if self.heartbeat is not None and (await self.report()).ready:
            await self.heartbeat.send()

    @property
    def is_token_refused(self) -> bool:
        """Whether Slack refused the token at the last check. No answer is no refusal."""
        return self.slack_problem is not None and self.slack_problem.startswith(REFUSED)

    async def report(self) -> HealthReport:
        """Return the current health."""
        now = self.scheduler.clock.now()
        database = await self._ask_database(now)
        slack_problem = (self.socket_problem and self.socket_problem()) or self.slack_problem
        return judge(now, self._vitals() if self.runs_ticks else None, database, slack_problem)

    def _vitals(self) -> Vitals:
        monitor = self.scheduler.monitor
        return Vitals(last_good_at=self.scheduler.last_good_at, every=monitor.every, feeds=monitor.feed_statuses)

    async def _ask_database(self, now: datetime) -> DatabaseAnswer:
        """Return what the database answers in time. A question that hangs is not asked again until it ends."""
        if self._question is None or self._question.done():
            self._question = asyncio.create_task(self._read_database(now), name="health")
        done, _ = await asyncio.wait({self._question}, timeout=self.database_timeout_s)
        if not done:
            return DatabaseAnswer(problem=f"the database didn't respond within {self.database_timeout_s:g} s")
        return self._question.result()

    async def _read_database(self, now: datetime) -> DatabaseAnswer:
        try:
            return await ask_database(self.store, self.overdue_tokens, self.sources, now)
        except DatabaseUnavailableError as error:
            return DatabaseAnswer(problem=str(error))
        except Exception as error:
            log.exception("the health check hit an unexpected database error; report this traceback as a bug")
            return DatabaseAnswer(problem=f"the database can't be read ({type(error).__name__}); see the log")


async def ask_database(
    store: HealthStore,
    overdue_tokens: Callable[[datetime], Awaitable[tuple[str, ...]]] | None,
    sources: Mapping[str, tuple[str, ...]],
    now: datetime,
) -> DatabaseAnswer:
    """Return the backlog, what needs a person, and what the sources answered. Raises DatabaseUnavailableError."""
    backlog = await store.backlog(now)
    overdue = () if overdue_tokens is None else await overdue_tokens(now)
    problems = tuple(describe_delivery_problem(problem) for problem in await store.delivery_problems())
    records = {SOURCE_NAMES.get(record.source, record.source): record for record in await store.source_records()}
    return DatabaseAnswer(
        backlog=backlog,
        action_needed=(*overdue, *problems),
        sources=tuple(
            SourceState(name=name, used_for=used_for, record=records.get(name)) for name, used_for in sources.items()
        ),
    )


def sources_by_name(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Return what each configured source is asked for, by its name in settings, in order of preference."""
    kinds = {
        "etf": settings.etf_sources,
        "crypto": settings.crypto_sources,
        "network": settings.network_source_names,
    }
    names = dict.fromkeys(name for listed in kinds.values() for name in listed)
    return {name: tuple(kind for kind, listed in kinds.items() if name in listed) for name in names}


async def find_slack_problem(client: AsyncWebClient) -> str | None:
    """Ask Slack whether it accepts the client's token, or without one whether it answers; return the problem."""
    try:
        with translate_slack_error():
            await (client.auth_test() if client.token else client.api_test())
    except DeliveryError as error:
        if error.retry_after is None:  # a rate limit is an answer, too
            return _slack_problem(error)
    return None


def describe_delivery_problem(problem: DeliveryProblem) -> str:
    """Return a sentence with the channel, the number of messages and the problem."""
    what = "dead-lettered" if problem.dead_lettered else "waiting"
    return f"channel {problem.channel.id}: {problem.messages} {what} ({sentence(problem.problem).rstrip('.')})"


def _tick_problem(vitals: Vitals, now: datetime) -> str | None:
    if vitals.last_good_at is None:
        return "the first tick hasn't finished yet"
    age = now - vitals.last_good_at
    if age < timedelta(0):
        return (
            f"the last good tick is {fmt.duration(-age)} ahead of this machine's clock, which was set back; "
            "this resolves with the next tick"
        )
    if age > MAX_MISSED_TICKS * vitals.every:
        return f"the last good tick was {fmt.duration(age)} ago"
    return None


def _price_problem(feeds: Mapping[Pair, FeedStatus], now: datetime) -> str | None:
    """Return the first pair without usable prices for longer than the grace period, or since the start."""
    for pair, status in feeds.items():
        if status.reason is not None and (status.last_at is None or now - status.last_at > NODATA_GRACE):
            return f"no usable prices for {pair} {_since(status.last_at)}: {sentence(status.reason)}"
    return None


def _since(last_at: datetime | None) -> str:
    return "yet" if last_at is None else f"since {fmt.plain_instant(last_at)}"


def _slack_problem(error: DeliveryError) -> str:
    return f"{REFUSED}: {error}" if error.permanent else "Slack isn't responding"

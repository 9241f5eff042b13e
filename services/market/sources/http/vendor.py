"""Client for one vendor: rate limits, backoff, circuit breaker, error texts, and one log line per outage."""

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import TypeVar
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from services.core.clock import Clock, SteadyClock
from services.core.errors import DataError, SourceError, SourceFault
from services.core.prices import Quote, Symbol
from services.market.ports import RequestOutcome
from services.market.sources.http.cache import parse_retry_after
from services.market.sources.http.client import (
    SERVER_ERROR,
    ConnectionFailedError,
    HttpClient,
    HttpStatusError,
    Params,
    RequestTimeoutError,
)
from services.market.sources.http.odd_values import NOTHING, Droppable, parse_without_odd_values

Explain = Callable[[HttpStatusError], str | None]
T = TypeVar("T")

NOT_FOUND = 404
TOO_MANY_REQUESTS = 429
ACCESS_DENIED = {401, 403, 451}
KEY_REFUSED = {401, 403}  # where a key was sent
REDIRECTS = range(300, 400)
MAX_PROBLEM_LENGTH = 300  # characters; some vendors answer with whole pages
INITIAL_BACKOFF, MAX_BACKOFF = timedelta(seconds=30), timedelta(minutes=5)
FAILURE_THRESHOLD = 5  # in a row, before the circuit opens
MIN_QUOTA_WINDOW = timedelta(minutes=1)  # shorter limits only pace the calls
AD_HOC_SHARE = 4  # questions about symbols that nothing watches get one call in four
MAX_WAIT = timedelta(seconds=10)  # a longer wait is raised as an error instead
NEVER = datetime.min.replace(tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_ERROR_BODY = TypeAdapter(dict[str, object])

logger = logging.getLogger(__name__)


class CircuitBreaker:
    """Circuit breaker: opens after 5 failures in a row or one timeout, then probes half-open after each backoff.

    A timeout opens it at once, because every caller would wait as long; a refusal costs nothing.
    """

    def __init__(self) -> None:
        self._failures, self._opened_at = 0, NEVER
        self.open_until = NEVER  # end of the latest backoff; in the past if the circuit is closed

    def wait(self, now: datetime) -> timedelta | None:
        """Return the rest of the backoff, or None to allow this call.

        A call that is allowed while the circuit is half-open starts the next backoff, so that it is the only probe.
        """
        if now < self.open_until:
            return self.open_until - now
        self._back_off(now)
        return None

    def record_failure(self, started_at: datetime, now: datetime, *, timed_out: bool = False) -> None:
        """Count a failure. Failures of calls that started before the circuit opened are ignored."""
        if started_at <= self._opened_at:
            return
        self._failures = max(self._failures + 1, FAILURE_THRESHOLD if timed_out else 0)
        self._opened_at = now if self._failures >= FAILURE_THRESHOLD else NEVER
        self._back_off(now)

    def record_success(self) -> None:
        """Close the circuit."""
        self._failures, self._opened_at, self.open_until = 0, NEVER, NEVER

    def _back_off(self, now: datetime) -> None:
        if self._failures >= FAILURE_THRESHOLD:
            doublings = min(self._failures - FAILURE_THRESHOLD, 10)
            self.open_until = now + min(INITIAL_BACKOFF * 2**doublings, MAX_BACKOFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `calls` calls in any window of `per`; bursts are allowed."""

    calls: int
    per: timedelta


class SlidingWindow:
    """Sliding-window rate limiter over several limits; slots are granted in order of request."""

    def __init__(self, limits: Iterable[Limit] = ()) -> None:
        self._windows: list[tuple[timedelta, deque[datetime]]] = [
            (limit.per, deque(maxlen=limit.calls)) for limit in limits
        ]

    def reserve(self, now: datetime) -> timedelta:
        """Return the wait until the next free slot, and reserve it unless the wait exceeds MAX_WAIT."""
        free_at = [calls[0] + per for per, calls in self._windows if len(calls) == calls.maxlen]
        starts_at = max([now, *free_at])
        if starts_at - now <= MAX_WAIT:
            for _, calls in self._windows:
                calls.append(starts_at)
        return starts_at - now


class ThrottledError(DataError):
    """Raised by a `parse` callback when a response with status 200 reports too many calls."""

    def __init__(self) -> None:
        super().__init__("too many calls")


class Stopwatch:
    """Measures one request from the first try on."""

    def __init__(self) -> None:
        self.started_s: float | None = None  # of time.perf_counter

    def start(self) -> None:
        """Start, unless it runs."""
        if self.started_s is None:
            self.started_s = time.perf_counter()


class VendorClient:
    """Client for one vendor's API, between the vendor module and HttpClient.

    Circuit breaker: opens after five retryable failures in a row or one timeout, for 30 seconds. Then one call probes
    the vendor, and each failed probe doubles the backoff, up to 5 minutes. Any other response closes the circuit.

    Args:
        backoff: Pause after a throttled call whose response has no Retry-After.
        limits: Rate limits, applied before each call. Short waits are slept; longer ones raise SourceError.
        throttle_statuses: Status codes that mean too many calls.
        headers: Sent with each call.
        secrets: Values, such as API keys in `headers`, that are redacted from all messages.
    """

    def __init__(
        self,
        client: HttpClient,
        clock: Clock,
        *,
        source: str,
        base_url: str,
        backoff: timedelta,
        limits: Collection[Limit] = (),
        throttle_statuses: frozenset[int] = frozenset({TOO_MANY_REQUESTS}),
        headers: Mapping[str, str] = NO_HEADERS,
        secrets: Iterable[str] = (),
        unknown_symbol_statuses: Collection[int] = (),
    ) -> None:
        self.source, self._unknown_symbol_statuses = source, unknown_symbol_statuses
        self._client, self._base_url = client, base_url.rstrip("/")
        self._clock, self._steady = clock, SteadyClock(clock)
        self._rate_limit, self._throttle_statuses, self._headers = SlidingWindow(limits), throttle_statuses, headers
        self._secrets = tuple(filter(None, secrets))
        self._backoff, self._backoff_until, self._throttle_reason = backoff, NEVER, ""
        self._breaker, self._last_problem = CircuitBreaker(), ""
        self._failing: dict[Symbol, str] = {}  # by symbol, the first problem of its outage
        quotas = [limit for limit in limits if limit.per >= MIN_QUOTA_WINDOW]
        self._ad_hoc_limit = SlidingWindow(replace(one, calls=max(1, one.calls // AD_HOC_SHARE)) for one in quotas)
        self.watched: frozenset[Symbol] = frozenset()
        self.key_refused = False  # by the last answer that was about the key or a success
        # When the last answer was sent, by the earlier of the vendor's clock and ours. Read it before the next await.
        self.answered_at = NEVER
        self._odd: dict[tuple[Symbol, str], tuple[str, ...]] = {}  # by symbol and path, what the last answer lost

    async def get(
        self,
        path: str,
        params: Params,
        *,
        symbol: Symbol,
        other_symbols: Iterable[Symbol] = (),
        parse: Callable[[bytes], T],
        explain: Explain = lambda _error: None,
        droppable: Droppable = NOTHING,
    ) -> T:
        """GET a document and parse it. Raises SourceError for `symbol`; logs the first failure and the recovery.

        Args:
            other_symbols: Further symbols that the call serves.
            parse: Parses the body; may raise ValidationError, SourceError and ThrottledError.
            explain: Describes an error status in this vendor's terms; None falls back to the status.
            droppable: The values that the answer can do without; see `odd_values`.
        """
        other_symbols = tuple(other_symbols)
        url, stopwatch = self._base_url + path, Stopwatch()
        before_attempt = partial(self._wait_for_slot, stopwatch, symbol, *other_symbols)
        asked_at = self._clock.now()
        with self._log_outage(symbol, *other_symbols), self._circuit(symbol), self._count(stopwatch):
            try:
                body, sent_at = await self._client.get(url, params, self._headers, before_attempt)
                self.answered_at = asked_at if sent_at is None else min(asked_at, sent_at)
                parse_odd = partial(parse_without_odd_values, parse=parse, droppable=droppable)
                parsed, odd = self._parse(body, url, params, parse_odd)
            except ConnectionFailedError as error:
                raise self.error(symbol, str(error), retryable=True) from error
            except HttpStatusError as error:
                raise self._status_error(symbol, error, explain) from error
            except ThrottledError as error:
                raise self._start_backoff(symbol, "reports too many requests", None) from error
            except ValidationError as error:
                raise self.error(symbol, _parse_problem(error), retryable=True) from error
        self.record_odd(symbol, path, odd)
        self.key_refused = False
        return parsed

    def backoff_until(self, now: datetime) -> datetime | None:
        """Return when the vendor may be called again; None if it may be called now."""
        until = max(self._backoff_until, self._breaker.open_until)
        return until - self._steady.ahead if until > now + self._steady.ahead else None

    def error(
        self,
        symbol: Symbol,
        problem: str,
        *,
        retryable: bool,
        retry_after: timedelta | None = None,
        fault: SourceFault = SourceFault.OTHER,
    ) -> SourceError:
        """Build a SourceError of this vendor, with secrets redacted and a long text truncated."""
        self.key_refused |= fault is SourceFault.KEY_REFUSED
        for secret in self._secrets:
            problem = problem.replace(secret, "…")
        problem = problem if len(problem) <= MAX_PROBLEM_LENGTH else f"{problem[:MAX_PROBLEM_LENGTH]}…"
        return SourceError(
            problem, source=self.source, symbol=symbol, retryable=retryable, retry_after=retry_after, fault=fault
        )

    def record_odd(self, symbol: Symbol, path: str, odd: tuple[str, ...]) -> None:
        """Record which values of an answer were unusable and dropped; logs the first answer that has some."""
        if odd and (symbol, path) not in self._odd:
            logger.warning("%s (%s): ignored values in an unusable form: %s", self.source, symbol, ", ".join(odd))
        self._odd.pop((symbol, path), None)
        if odd:
            self._odd[symbol, path] = odd

    def dropped(self, symbol: Symbol) -> tuple[str, ...]:
        """Return the places of the values that were dropped from the last answers about a symbol."""
        return tuple(place for (about, _path), odd in self._odd.items() if about == symbol for place in odd)

    def _parse(self, body: bytes, url: str, params: Params, parse: Callable[[bytes], T]) -> T:
        """Parse a body; if that fails, drop it from the cache."""
        try:
            return parse(body)
        except Exception:
            self._client.invalidate(url, params, self._headers)
            raise

    @contextmanager
    def _count(self, stopwatch: Stopwatch) -> Iterator[None]:
        """Count a request with its retries, from its first slot to its end; one that got no slot was not sent."""
        try:
            yield
        except SourceError as error:
            problem = None if error.fault is SourceFault.UNKNOWN_SYMBOL else error.problem
            self._count_request(stopwatch, self._outcome(error), problem)
            raise
        self._count_request(stopwatch, RequestOutcome.OK)

    def _count_request(self, stopwatch: Stopwatch, outcome: RequestOutcome, problem: str | None = None) -> None:
        if self._client.meter is not None and stopwatch.started_s is not None:
            seconds = time.perf_counter() - stopwatch.started_s
            self._client.meter.count_request(self.source, outcome, seconds, problem)

    def _outcome(self, error: SourceError) -> RequestOutcome:
        match error.__cause__:
            case RequestTimeoutError():
                return RequestOutcome.TIMEOUT
            case ThrottledError():
                return RequestOutcome.RATE_LIMITED
            case HttpStatusError(status=status) if status in self._throttle_statuses:
                return RequestOutcome.RATE_LIMITED
            case _:
                return RequestOutcome.ERROR

    async def _wait_for_slot(self, stopwatch: Stopwatch, symbol: Symbol, *other_symbols: Symbol) -> None:
        """Wait for a slot within the rate limits, then start the stopwatch. Raises SourceError after MAX_WAIT.

        If symbols are watched, calls about others use at most a quarter of each quota.
        """
        now = self._clock.now()
        if self.watched and self.watched.isdisjoint((symbol, *other_symbols)):
            wait = self._ad_hoc_limit.reserve(now)
            if wait > MAX_WAIT:
                problem = f"has no requests left for symbols without a rule; {_next_try(now + wait)}"
                raise self.error(symbol, problem, retryable=True, retry_after=wait)
        wait = self._rate_limit.reserve(self._steady.now())
        if wait > MAX_WAIT:
            problem = f"reached its request limit; {_next_try(now + wait)}"
            raise self.error(symbol, problem, retryable=True, retry_after=wait)
        if wait > timedelta(0):
            await self._client.sleep(wait.total_seconds())
        stopwatch.start()

    def _status_error(self, symbol: Symbol, error: HttpStatusError, explain: Explain) -> SourceError:
        wait = parse_retry_after(error.retry_after, self._clock.now())
        if error.status in self._throttle_statuses:
            return self._start_backoff(symbol, f"HTTP {error.status_line}", wait)
        problem = explain(error) or f"HTTP {error.status_line}; {_status_hint(error.status)}"
        retryable, fault = error.status >= SERVER_ERROR, self._fault_of(error.status)
        return self.error(symbol, problem, retryable=retryable, retry_after=wait, fault=fault)

    def _fault_of(self, status: int) -> SourceFault:
        if status in self._unknown_symbol_statuses:
            return SourceFault.UNKNOWN_SYMBOL
        return SourceFault.KEY_REFUSED if self._secrets and status in KEY_REFUSED else SourceFault.OTHER

    def _start_backoff(self, symbol: Symbol, reason: str, wait: timedelta | None) -> SourceError:
        self._backoff_until, self._throttle_reason = self._steady.now() + (wait or self._backoff), reason
        return self._backoff_error(symbol)

    def _backoff_error(self, symbol: Symbol) -> SourceError:
        wait = self._backoff_until - self._steady.now()
        again_at = self._clock.now() + wait
        problem = f"throttled: {self._throttle_reason}; {_next_try(again_at)}"
        return self.error(symbol, problem, retryable=True, retry_after=wait)

    @contextmanager
    def _circuit(self, symbol: Symbol) -> Iterator[None]:
        """Apply backoff and circuit breaker to a call, and record its result.

        A failure that names its own retry time isn't counted.
        """
        now = self._steady.now()
        if now < self._backoff_until:
            raise self._backoff_error(symbol)
        if wait := self._breaker.wait(now):
            raise self.error(symbol, self._last_problem, retryable=True, retry_after=wait)
        try:
            yield
        except SourceError as error:
            if not error.retryable:
                self._breaker.record_success()
            elif error.retry_after is None:
                self._last_problem = error.problem
                timed_out = isinstance(error.__cause__, RequestTimeoutError)
                self._breaker.record_failure(now, self._steady.now(), timed_out=timed_out)
            raise
        self._breaker.record_success()

    @contextmanager
    def _log_outage(self, *symbols: Symbol) -> Iterator[None]:
        """Log an outage and its recovery once each, across symbols that fail together or with the same problem."""
        try:
            yield
        except SourceError as error:
            if self._failing.keys().isdisjoint(symbols) and error.problem not in self._failing.values():
                logger.warning("%s", error)
            self._failing = dict.fromkeys(symbols, error.problem) | self._failing
            raise
        for symbol in symbols:
            problem = self._failing.pop(symbol, None)
            if problem is not None and problem not in self._failing.values():
                logger.info("%s (%s): recovered", self.source, symbol)


class VendorSource:
    """Base of a source backed by one vendor; its class attributes declare how the vendor is called.

    Attributes:
        name: The vendor's name, shown to people.
        base_url: URL of the API, unless the constructor gets another one.
        backoff, limits, throttle_statuses: See VendorClient.
        headers: Sent with each call; `{0}` and `{1}` stand for the API keys.
        unknown_symbol_statuses: Status codes that mean an unknown symbol.
        unknown_symbol: The problem that an unknown symbol is reported with.
        message_field: The field of an error body that holds the vendor's message; empty if there is none.
        min_interval: See EquitySource.
    """

    name: str
    simulated = False
    base_url: str
    backoff: timedelta
    limits: tuple[Limit, ...] = ()
    throttle_statuses = frozenset({TOO_MANY_REQUESTS})
    headers: Mapping[str, str] = NO_HEADERS
    unknown_symbol_statuses: Collection[int] = ()
    unknown_symbol = "doesn't know the symbol {symbol}; check the spelling, and whether it was renamed"
    message_field = ""
    min_interval = timedelta(0)

    def __init__(self, client: HttpClient, clock: Clock, *keys: str, base_url: str | None = None) -> None:
        self._clock = clock
        self._vendor = VendorClient(
            client,
            clock,
            source=self.name,
            base_url=base_url or self.base_url,
            backoff=self.backoff,
            limits=self.limits,
            throttle_statuses=self.throttle_statuses,
            headers={name: value.format(*keys) for name, value in self.headers.items()},
            secrets=keys,
            unknown_symbol_statuses=self.unknown_symbol_statuses,
        )

    def backoff_until(self, now: datetime) -> datetime | None:
        """Return when the vendor may be called again; None if it may be called now."""
        return self._vendor.backoff_until(now)

    @property
    def key_refused(self) -> bool:
        """Whether the vendor refuses the API key, or it has expired."""
        return self._vendor.key_refused

    def reserve_calls_for(self, symbols: frozenset[Symbol]) -> None:
        """Limit the calls about all other symbols to a quarter of each quota."""
        self._vendor.watched = symbols

    def dropped(self, symbol: Symbol) -> tuple[str, ...]:
        """Return the places of the unusable values that were dropped from the last answers about a symbol."""
        return self._vendor.dropped(symbol)

    async def _get(
        self,
        path: str,
        params: Params,
        symbol: Symbol,
        parse: Callable[[bytes], T],
        *,
        other_symbols: Iterable[Symbol] = (),
        droppable: Droppable = NOTHING,
    ) -> T:
        """GET a document and parse it. Raises SourceError, in this vendor's terms."""
        return await self._vendor.get(
            path,
            params,
            symbol=symbol,
            other_symbols=other_symbols,
            parse=parse,
            explain=partial(self._explain, symbol),
            droppable=droppable,
        )

    def _explain(self, symbol: Symbol, error: HttpStatusError) -> str | None:
        """Describe an error status in this vendor's terms; None if it has none."""
        if error.status in self.unknown_symbol_statuses:
            return self.unknown_symbol.format(symbol=symbol)
        message = error_message(error.body, self.message_field) if self.message_field else None
        return None if message is None else refusal(message)

    def _unknown_symbol(self, symbol: Symbol) -> SourceError:
        problem = self.unknown_symbol.format(symbol=symbol)
        return self._vendor.error(symbol, problem, retryable=False, fault=SourceFault.UNKNOWN_SYMBOL)

    def _check_symbol(self, symbol: Symbol, answered: str) -> None:
        """Raise SourceError if a response is about another symbol."""
        if answered.upper() != symbol.upper():
            raise self._vendor.error(symbol, f"sent data on {answered[:20]} instead", retryable=True)

    def _last_trade(self, symbol: Symbol, price: float | Decimal, at: datetime) -> Quote:
        return Quote(symbol=symbol, price=float(price), at=at.astimezone(UTC), source=self.name)


def error_message(body: bytes, field: str) -> str | None:
    """Return a vendor's message from a field of an error body; None if the body has no such text."""
    try:
        message = _ERROR_BODY.validate_json(body).get(field)
    except ValidationError:
        return None
    return message if isinstance(message, str) else None


def refusal(message: str) -> str:
    """Return the problem of a refused request, with the vendor's own message."""
    return f"refused the request: “{message[:200]}”"


def _next_try(at: datetime) -> str:
    return f"next try at {at.astimezone(NEW_YORK):%-I:%M:%S %p} ET"


def _status_hint(status: int) -> str:
    if status >= SERVER_ERROR:
        return "a fault at the source; MinerPulse retries"
    if status in ACCESS_DENIED or status in REDIRECTS:
        return "it blocks this machine: choose another source, or try another network"
    return "it rejects the request: update MinerPulse, or choose another source"


def _parse_problem(error: ValidationError) -> str:
    """Describe why a response can't be parsed, without quoting it."""
    first = error.errors(include_url=False)[0]
    if first["type"] != "json_invalid":
        where = ".".join(str(part) for part in first["loc"])
        return f"sent an unusable response ({where}: {first['msg']}); MinerPulse retries"
    if bytes(first["input"]).lstrip().startswith(b"<"):
        return "sent a web page instead of prices (it may be down, or ask for consent); MinerPulse retries"
    return "sent something that isn't JSON; MinerPulse retries"

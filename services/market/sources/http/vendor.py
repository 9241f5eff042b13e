"""One vendor's line: its limits, its rests, its failures in words, and one log line for each outage."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from pydantic import ValidationError

from services.core.clock import Clock
from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.sources.http.cache import retry_after
from services.market.sources.http.client import (
    SERVER_FAULT,
    ConnectionFailedError,
    HttpClient,
    HttpStatusError,
    RequestTimeoutError,
)
from services.market.sources.http.limits import PATIENCE, CircuitBreaker, Limit, SlidingWindow

Explain = Callable[[HttpStatusError], str | None]


T = TypeVar("T")

THROTTLED = 429
TURNED_AWAY = {401, 403, 451}
DETOURS = range(300, 400)
LONGEST_PROBLEM = 300  # characters; some vendors answer with whole pages
NO_HEADERS: Mapping[str, str] = MappingProxyType({})

logger = logging.getLogger(__name__)


class ThrottledError(Exception):
    """What `read` raises where an answer of 200 says that there were too many calls."""


class VendorClient:
    """What stands between a vendor's file and the network.

    `rest` is how long the vendor is left alone after it was asked too often and names no time of its own. `limits`
    are kept to before each call: a short wait is waited, a long one is a SourceError. `throttles` are the statuses
    that mean "too often". `headers` go with each call, and `secrets`, which some of them hold, into no message.

    After five failures in a row that a later call may mend, or one call without an answer in time, the vendor is left
    alone for half a minute; then one call goes through, and where it fails too the pause doubles, up to five minutes.
    Any other answer ends this.
    """

    def __init__(
        self,
        client: HttpClient,
        clock: Clock,
        *,
        source: str,
        base_url: str,
        rest: timedelta,
        limits: Iterable[Limit] = (),
        throttles: frozenset[int] = frozenset({THROTTLED}),
        headers: Mapping[str, str] = NO_HEADERS,
        secrets: Iterable[str] = (),
    ) -> None:
        self.source = source
        self._client, self._clock, self._base_url = client, clock, base_url.rstrip("/")
        self._pace, self._throttles, self._headers = SlidingWindow(limits), throttles, headers
        self._secrets = tuple(filter(None, secrets))
        self._rest, self._rests_until, self._throttled_by = rest, datetime.min.replace(tzinfo=UTC), ""
        self._breaker, self._last_problem = CircuitBreaker(), ""
        self._failing: dict[Symbol, str] = {}  # symbol: the problem as it was first met

    async def get(
        self,
        path: str,
        params: Mapping[str, str | int],
        *,
        symbol: Symbol,
        neighbours: Iterable[Symbol] = (),
        read: Callable[[bytes], T],
        explain: Explain = lambda _refusal: None,
    ) -> T:
        """GET a document and read it. Raises SourceError; the first failure and the recovery are logged.

        `neighbours` are what else the call is for; an error names `symbol` alone. `read` turns the body into an answer,
        and may raise ValidationError, SourceError and ThrottledError. `explain` puts a refusal into this vendor's
        words; where it gives None, the status speaks.
        """
        url, turn = self._base_url + path, partial(self._turn, symbol)
        with self._noted(symbol, *neighbours), self._counted(symbol):
            try:
                return self._read(await self._client.get(url, params, self._headers, turn), url, params, read)
            except ConnectionFailedError as error:
                raise self.error(symbol, str(error), retryable=True) from error
            except HttpStatusError as refusal:
                raise self._refused(symbol, refusal, explain) from refusal
            except ThrottledError as error:
                raise self._throttled(symbol, "says that it was asked too often", None) from error
            except ValidationError as error:
                raise self.error(symbol, _unreadable(error), retryable=True) from error

    def rests_until(self, now: datetime) -> datetime | None:
        """Tell until when the vendor is left alone; None where it would be asked now."""
        until = max(self._rests_until, self._breaker.open_until)
        return until if until > now else None

    def error(
        self, symbol: Symbol, problem: str, *, retryable: bool, retry_after: timedelta | None = None
    ) -> SourceError:
        """Make an error in this vendor's name."""
        for secret in self._secrets:
            problem = problem.replace(secret, "…")
        problem = problem if len(problem) <= LONGEST_PROBLEM else f"{problem[:LONGEST_PROBLEM]}…"
        return SourceError(problem, source=self.source, symbol=symbol, retryable=retryable, retry_after=retry_after)

    def _read(self, body: bytes, url: str, params: Mapping[str, str | int], read: Callable[[bytes], T]) -> T:
        """Read a body; one that is of no use is not kept."""
        try:
            return read(body)
        except Exception:
            self._client.forget(url, params, self._headers)
            raise

    async def _turn(self, symbol: Symbol) -> None:
        """Wait for a turn within the vendor's limits."""
        now = self._clock.now()
        wait = self._pace.book(now)
        if wait > PATIENCE:
            problem = f"was asked as often as it allows; it will be asked again at {now + wait:%H:%M:%S} UTC"
            raise self.error(symbol, problem, retryable=True, retry_after=wait)
        if wait > timedelta(0):
            await self._client.sleep(wait.total_seconds())

    def _refused(self, symbol: Symbol, refusal: HttpStatusError, explain: Explain) -> SourceError:
        wish = retry_after(refusal.retry_after, self._clock.now())
        if refusal.status in self._throttles:
            return self._throttled(symbol, f"answered {refusal.answer}", wish)
        problem = explain(refusal) or f"answered {refusal.answer}; {_meaning(refusal.status)}"
        return self.error(symbol, problem, retryable=refusal.status >= SERVER_FAULT, retry_after=wish)

    def _throttled(self, symbol: Symbol, words: str, wish: timedelta | None) -> SourceError:
        self._rests_until, self._throttled_by = self._clock.now() + (wish or self._rest), words
        return self._resting(symbol)

    def _resting(self, symbol: Symbol) -> SourceError:
        problem = f"throttled: {self._throttled_by}; it will be asked again at {self._rests_until:%H:%M:%S} UTC"
        return self.error(symbol, problem, retryable=True, retry_after=self._rests_until - self._clock.now())

    @contextmanager
    def _counted(self, symbol: Symbol) -> Iterator[None]:
        """Let a call through unless the vendor is left alone; count its failure unless that names its own time."""
        now = self._clock.now()
        if now < self._rests_until:
            raise self._resting(symbol)
        if wait := self._breaker.wait(now):
            raise self.error(symbol, self._last_problem, retryable=True, retry_after=wait)
        try:
            yield
        except SourceError as error:
            if not error.retryable:
                self._breaker.answered()
            elif error.retry_after is None:
                self._last_problem = error.problem
                hung = isinstance(error.__cause__, RequestTimeoutError)
                self._breaker.failed(now, self._clock.now(), hung=hung)
            raise
        self._breaker.answered()

    @contextmanager
    def _noted(self, *symbols: Symbol) -> Iterator[None]:
        """Log a failure where none of these symbols and not this problem has been told, and the end of a problem."""
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
                logger.info("%s on %s: answers again", self.source, symbol)


class VendorSource:
    """A source that asks one vendor, and can tell until when that is left alone."""

    _vendor: VendorClient

    def rests_until(self, now: datetime) -> datetime | None:
        """Tell until when the vendor is left alone; None where it would be asked now."""
        return self._vendor.rests_until(now)


def _meaning(status: int) -> str:
    if status >= SERVER_FAULT:
        return "the fault is on its side, and it will be asked again"
    if status in TURNED_AWAY or status in DETOURS:
        return "it turns this machine away: choose another source, or try another network"
    return "it does not understand the request: update MinerPulse, or choose another source"


def _unreadable(error: ValidationError) -> str:
    """Say what is wrong with an answer, without quoting it."""
    fault = error.errors(include_url=False)[0]
    if fault["type"] != "json_invalid":
        where = ".".join(str(step) for step in fault["loc"])
        return f"sent an unusable answer ({where}: {fault['msg']}); it will be asked again"
    if bytes(fault["input"]).lstrip().startswith(b"<"):
        return "sent a web page instead of prices, as when it is down or wants a consent; it will be asked again"
    return "sent something that is not JSON; it will be asked again"

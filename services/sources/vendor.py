"""One vendor's line: its rests after a 429, its pace, its failures in words, and one log line for each outage."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from services.domain.errors import SourceError
from services.sources.http import SERVER_FAULT, RefusedError, UnreachedError, retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from services.domain.prices import Symbol
    from services.ports import Clock
    from services.sources.http import HttpClient

    Explain = Callable[[RefusedError], str | None]

T = TypeVar("T")

THROTTLED = 429
TURNED_AWAY = {401, 403, 451}
DETOURS = range(300, 400)

logger = logging.getLogger(__name__)


class Vendor:
    """What stands between a vendor's file and the network.

    `rest` is how long the vendor is left alone after a 429 that names no time of its own, and `spacing` the least
    time between the starts of two calls.
    """

    def __init__(
        self,
        client: HttpClient,
        clock: Clock,
        *,
        source: str,
        base_url: str,
        rest: timedelta,
        spacing: timedelta = timedelta(0),
    ) -> None:
        self.source = source
        self._client, self._clock, self._base_url = client, clock, base_url.rstrip("/")
        self._rest, self._rests_until = rest, datetime.min.replace(tzinfo=UTC)
        self._spacing_s, self._next_turn = spacing.total_seconds(), 0.0
        self._failing: dict[Symbol, str] = {}  # symbol: the problem as it was first met

    async def get(
        self,
        path: str,
        params: Mapping[str, str | int],
        *,
        symbol: Symbol,
        read: Callable[[bytes], T],
        explain: Explain,
    ) -> T:
        """GET a document and read it. Raises SourceError; the first failure and the recovery are logged.

        `read` turns the body into an answer, and may raise ValidationError. `explain` puts a refusal into this
        vendor's words; where it gives None, the status speaks.
        """
        with self._noted(symbol):
            if self._clock.now() < self._rests_until:
                raise self._resting(symbol)
            await self._turn()
            try:
                return read(await self._client.get(self._base_url + path, params))
            except UnreachedError as error:
                raise self.error(symbol, str(error), retryable=True) from error
            except RefusedError as refusal:
                raise self._refused(symbol, refusal, explain) from refusal
            except ValidationError as error:
                raise self.error(symbol, _unreadable(error), retryable=True) from error

    def error(self, symbol: Symbol, problem: str, *, retryable: bool) -> SourceError:
        """Make an error in this vendor's name."""
        return SourceError(problem, source=self.source, symbol=symbol, retryable=retryable)

    async def _turn(self) -> None:
        """Wait until `spacing` has passed since the last call began, whoever made it."""
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next_turn)
        self._next_turn = turn + self._spacing_s
        if turn > now:
            await asyncio.sleep(turn - now)

    def _refused(self, symbol: Symbol, refusal: RefusedError, explain: Explain) -> SourceError:
        now = self._clock.now()
        wish = retry_after(refusal.retry_after, now)
        if refusal.status == THROTTLED:
            self._rests_until = now + (wish or self._rest)
            return self._resting(symbol)
        return SourceError(
            explain(refusal) or f"answered {refusal.answer}; {_meaning(refusal.status)}",
            source=self.source,
            symbol=symbol,
            retryable=refusal.status >= SERVER_FAULT,
            retry_after=wish,
        )

    def _resting(self, symbol: Symbol) -> SourceError:
        return SourceError(
            f"throttled: answered 429 Too Many Requests; it will be asked again at {self._rests_until:%H:%M:%S} UTC",
            source=self.source,
            symbol=symbol,
            retryable=True,
            retry_after=self._rests_until - self._clock.now(),
        )

    @contextmanager
    def _noted(self, symbol: Symbol) -> Iterator[None]:
        """Log a failure where neither this symbol nor this problem has been told, and the end of the problem."""
        try:
            yield
        except SourceError as error:
            if symbol not in self._failing and error.problem not in self._failing.values():
                logger.warning("%s", error)
            self._failing.setdefault(symbol, error.problem)
            raise
        problem = self._failing.pop(symbol, None)
        if problem is not None and problem not in self._failing.values():
            logger.info("%s on %s: answers again", self.source, symbol)


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

"""The gate that every command, button, shortcut and form passes: rate limit, permission, one study at a time."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import TypeVar

from cachetools import LRUCache

from handlers.request import Request
from services.channels.permissions import Act
from services.core.errors import TooManyRequestsError

MAX_BUCKETS = 10_000  # people and channels; the least recently used are dropped, which refills their bucket
SECONDS_PER_MINUTE = 60
STUDY_RUNNING = "Your last study is still running. Wait for the result, then try again."
Result = TypeVar("Result")


@dataclass(slots=True)
class TokenBucket:
    """Tokens left at an instant; they come back at a constant rate, up to the bucket's size."""

    left: float
    at: datetime


@dataclass(slots=True, kw_only=True)
class Gate:
    """Admits requests of this process.

    Attributes:
        commands_per_minute: Per person and channel, which is also the size of a burst; None for no limit.
    """

    commands_per_minute: int | None = None
    _buckets: LRUCache[tuple[str, str, str], TokenBucket] = field(default_factory=lambda: LRUCache(MAX_BUCKETS))
    _studying: set[tuple[str, str]] = field(default_factory=set)

    async def run(
        self, request: Request, act: Act, work: Callable[[], Awaitable[Result]], *, is_study: bool = False
    ) -> Result:
        """Run the work of a request if this person may do it, now.

        Raises TooManyRequestsError or NotAllowedError before the work starts.
        """
        self._take_token(request)
        await request.commands.authorize(request.channel, act, request.user_id)
        if not is_study:
            return await work()
        with self._study(request):
            return await work()

    def _take_token(self, request: Request) -> None:
        if self.commands_per_minute is None:
            return
        size, now = self.commands_per_minute, request.now
        key = request.channel.team, request.channel.id, request.user_id
        bucket = self._buckets.get(key) or TokenBucket(left=size, at=now)
        rate_hz = size / SECONDS_PER_MINUTE
        elapsed_s = max(0.0, (now - bucket.at).total_seconds())  # 0 if the clock was set back
        left = min(size, bucket.left + elapsed_s * rate_hz)
        if left < 1:
            wait_s = ceil((1 - left) / rate_hz)
            raise TooManyRequestsError(
                f"You can send {size} commands a minute in a channel. Nothing was done; try again in {wait_s} s."
            )
        self._buckets[key] = TokenBucket(left=left - 1, at=now)

    @contextmanager
    def _study(self, request: Request) -> Iterator[None]:
        person = request.channel.team, request.user_id
        if person in self._studying:
            raise TooManyRequestsError(STUDY_RUNNING)
        self._studying.add(person)
        try:
            yield
        finally:
            self._studying.discard(person)

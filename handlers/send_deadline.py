"""Last look: the time is looked at right before a request's first byte, and what is late by then is not sent.

Between a message's lease and its first byte lie rendering, resolving and connecting, and a process can be frozen in
each of them. Once there is a connection nothing is waited for any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from services.core.clock import Clock
from services.core.errors import SendDeadlineError

_last_moment: ContextVar[datetime | None] = ContextVar("last_moment", default=None)


@contextmanager
def sent_by(moment: datetime | None) -> Iterator[None]:
    """Have each request of a session with this connector begin by that moment; None: whenever it can."""
    token = _last_moment.set(moment)
    try:
        yield
    finally:
        _last_moment.reset(token)


class LastLookConnector(aiohttp.TCPConnector):
    """Gives connections out only in time. Requests that are late raise SendDeadlineError."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- as aiohttp has it
    ) -> Connection:
        """Give a connection, of the pool or a new one, on which nothing is sent yet."""
        connection = await super().connect(req, traces, timeout)
        moment = _last_moment.get()
        if moment is not None and self._clock.now() > moment:
            connection.release()
            raise SendDeadlineError
        return connection

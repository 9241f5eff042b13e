"""Send deadline, checked right before a request's first byte; a late request is not sent.

Rendering, name resolution and connecting happen between a message's lease and its first byte, and the process can
stall in each. Once the connection exists, nothing waits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from services.core.clock import Clock
from services.core.errors import SendDeadlineError

_deadline: ContextVar[datetime | None] = ContextVar("send_deadline", default=None)


@contextmanager
def send_before(deadline: datetime | None) -> Iterator[None]:
    """Require every request of a session with this connector to start by the deadline; None means no limit."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


class DeadlineConnector(aiohttp.TCPConnector):
    """Connector that raises SendDeadlineError for a request past its deadline."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- as aiohttp has it
    ) -> Connection:
        """Return a pooled or new connection on which nothing has been sent yet."""
        connection = await super().connect(req, traces, timeout)
        deadline = _deadline.get()
        if deadline is not None and self._clock.now() > deadline:
            connection.release()
            raise SendDeadlineError
        return connection

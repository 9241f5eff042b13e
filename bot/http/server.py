"""A uvicorn server on our own socket, with bounds on connections, on the bytes of unfinished requests, and on time."""

import asyncio
import logging
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEADER_TIMEOUT_S = 5.0
UVICORN_LOG = logging.getLogger("uvicorn.error")
GRACEFUL_SHUTDOWN_S = 3  # Slack's own timeout for a response
MAX_CONNECTIONS = 500
MAX_PENDING_BYTES = 32_000_000
READ_BYTES = 32_768  # at once from one connection; asyncio's default times 500 connections would be 128 MB
ACCEPTED_AT_ONCE = 20  # in one turn of the loop; a closed connection has its descriptor for four more turns
QUEUE = 4_096  # connections that the kernel holds until they are accepted; it drops others, which then try for seconds
log = logging.getLogger(__name__)


class BoundedProtocol(H11Protocol):
    """An HTTP connection that is closed if the client does not send a whole request in time, or if there are too many.

    uvicorn would wait forever.
    """

    _deadline: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, waiting: "WaitingConnections", **kwargs: Any) -> None:  # noqa: ANN401 -- uvicorn's
        super().__init__(*args, **kwargs)
        self._waiting = waiting

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Start the timer for the first request, bound the size of reads, and set TCP_NODELAY.

        A response is written in two parts. With Nagle's algorithm the second would wait up to 40 ms for the delayed ACK
        of the first. asyncio sets TCP_NODELAY only on sockets that name their protocol.
        """
        super().connection_made(transport)
        transport.max_size = READ_BYTES  # type: ignore[attr-defined]  # of asyncio's socket transports
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._start_timer()
        self._track(0)
        self._waiting.limit_connections(len(self.connections))

    def data_received(self, data: bytes) -> None:
        """Handle data; incomplete headers do not extend the timeout."""
        super().data_received(data)
        if self._awaits_headers():
            self._start_timer()
        else:
            self._cancel_timer()
        self._track(len(data))

    def on_response_complete(self) -> None:
        """Wait for the next request, or close."""
        self._waiting.discard(self)
        super().on_response_complete()
        self._track(0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer."""
        self._cancel_timer()
        self._waiting.discard(self)
        super().connection_lost(exc)

    def abort(self) -> None:
        """Close the connection at once, without an answer."""
        self._cancel_timer()
        self.connections.discard(self)
        self.transport.abort()

    def _track(self, size: int) -> None:
        """Count received bytes while the request is unfinished."""
        if not self.transport.is_closing() and (self._awaits_headers() or self.cycle.more_body):
            self._waiting.add(self, size)
        else:
            self._waiting.discard(self)

    def _awaits_headers(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, despite uvicorn's types
        return cycle is None or cycle.response_complete

    def _start_timer(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_TIMEOUT_S, self.transport.close)

    def _cancel_timer(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


@dataclass(slots=True)
class WaitingConnections:
    """The connections whose client has not sent a whole request, in the order in which they began to wait.

    None of them is authenticated, so they make room for others: the oldest if there are too many connections, and the
    largest if their requests take too much memory. A client that sends its request at once is always served.
    """

    max_connections: int = MAX_CONNECTIONS
    max_bytes: int = MAX_PENDING_BYTES
    _sizes: dict[BoundedProtocol, int] = field(default_factory=dict)
    _total: int = 0

    def add(self, connection: BoundedProtocol, size: int) -> None:
        """Add received bytes of an unfinished request; close the connection that sent most if there are too many."""
        self._sizes[connection] = self._sizes.get(connection, 0) + size
        self._total += size
        while self._total > self.max_bytes:
            self._close(max(self._sizes, key=self._sizes.__getitem__), "too many bytes of unfinished requests")

    def discard(self, connection: BoundedProtocol) -> None:
        """Remove a connection that sent a whole request, or is closed."""
        self._total -= self._sizes.pop(connection, 0)

    def limit_connections(self, count: int) -> None:
        """Close the connection that waited longest if there are too many; there is one at least, the newest."""
        if count > self.max_connections:
            self._close(next(iter(self._sizes)), "too many connections")

    def _close(self, connection: BoundedProtocol, reason: str) -> None:
        log.warning("%s; closed a connection that had not sent its request", reason)
        self.discard(connection)
        connection.abort()


def max_connections() -> int:
    """Return how many connections leave half of this process's file descriptors to everything else."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, soft // 2)


def _expect_cancelled(record: logging.LogRecord) -> bool:
    """Turn uvicorn's errors about cancelled requests into warnings without a traceback."""
    is_cancelled = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    if is_cancelled or record.getMessage().startswith("Cancel "):
        record.levelno, record.levelname, record.exc_info = logging.WARNING, "WARNING", None
    return True


class Server(uvicorn.Server):
    """Serves an ASGI app until `stop`. uvicorn would re-raise signals before everything is closed."""

    def __init__(self, web: Starlette) -> None:
        self.waiting = WaitingConnections(max_connections=max_connections())

        def connect(*args: Any, **kwargs: Any) -> BoundedProtocol:  # noqa: ANN401 -- uvicorn's
            return BoundedProtocol(*args, waiting=self.waiting, **kwargs)

        super().__init__(
            uvicorn.Config(
                web,
                http=connect,  # type: ignore[arg-type]  # uvicorn only calls it
                log_config=None,
                log_level="warning",
                access_log=False,
                lifespan="off",
                ws="none",
                backlog=ACCEPTED_AT_ONCE,
                timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen. asyncio has one number for what it accepts at once and for the kernel's queue."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(QUEUE)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down; requests that are cancelled then are warnings, as a stop is no error."""
        requests = list(self.server_state.tasks)
        UVICORN_LOG.addFilter(_expect_cancelled)
        try:
            await super().shutdown(sockets)
            await asyncio.gather(*requests, *self.server_state.tasks, return_exceptions=True)
        finally:
            UVICORN_LOG.removeFilter(_expect_cancelled)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield

    def stop(self) -> None:
        """Accept no more requests, give running ones 3 s to finish, and return from `serve`."""
        self.should_exit = True

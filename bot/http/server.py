"""A uvicorn server on our own socket, without signal handlers, with a header timeout and without Nagle's delay."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEADER_TIMEOUT_S = 5.0
GRACEFUL_SHUTDOWN_S = 3  # Slack's own timeout for a response


class HeaderTimeoutProtocol(H11Protocol):
    """Closes a connection whose headers do not arrive in time; uvicorn would wait forever."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Start the timer for the first request, and set TCP_NODELAY.

        A response is written in two parts. With Nagle's algorithm the second would wait up to 40 ms for the delayed ACK
        of the first. asyncio sets TCP_NODELAY only on sockets that name their protocol.
        """
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Handle data; incomplete headers do not extend the timeout."""
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, despite uvicorn's types
        if cycle is None or cycle.response_complete:
            self._start_timer()
        else:
            self._cancel_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer."""
        self._cancel_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_TIMEOUT_S, self.transport.close)

    def _cancel_timer(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Server(uvicorn.Server):
    """Serves an ASGI app until `stop`. uvicorn would re-raise signals before everything is closed."""

    def __init__(self, web: Starlette) -> None:
        super().__init__(
            uvicorn.Config(
                web,
                http=HeaderTimeoutProtocol,
                log_config=None,
                log_level="warning",
                access_log=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield

    def stop(self) -> None:
        """Accept no more requests, give running ones 3 s to finish, and return from `serve`."""
        self.should_exit = True

"""A uvicorn server on a socket of our own that leaves signals to the program around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from bot.http.header_timeout import HeaderTimeoutProtocol

REQUESTS_END_WITHIN_S = 3  # Slack waits no longer for an answer either


class Server(uvicorn.Server):
    """Serves an ASGI app until `stop`; uvicorn's own handling would raise a signal anew before all is closed."""

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
                timeout_graceful_shutdown=REQUESTS_END_WITHIN_S,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    def stop(self) -> None:
        """Take no more requests, give those that have begun 3 s to end, and return from `serve`."""
        self.should_exit = True

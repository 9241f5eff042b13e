"""A uvicorn server on our own socket that leaves signal handling to the program."""

from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from bot.http.header_timeout import HeaderTimeoutProtocol

GRACEFUL_SHUTDOWN_S = 3  # Slack's own timeout for a response


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

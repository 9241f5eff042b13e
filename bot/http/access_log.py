"""The journal: one line for each request, with the number that every other line about it carries too."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.logs import numbered

PROBES = frozenset({"/healthz", "/readyz"})  # asked for every few seconds
RETRY = b"x-slack-retry-num"
REQUEST_ID = "x-request-id"
log = logging.getLogger(__name__)


class AccessLog:
    """Wraps an ASGI app; what a request carries, in its body or behind its path, is never written."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give a request its number, have it answered, and write its line."""
        began, status = time.perf_counter(), int(HTTPStatus.INTERNAL_SERVER_ERROR)

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = number
            await send(message)

        with numbered() as number:
            try:
                await self.app(scope, receive, answer)
            finally:
                _write(scope, status, 1_000 * (time.perf_counter() - began))


def _write(scope: Scope, status: int, ms: float) -> None:
    fields = {"method": scope["method"], "path": scope["path"], "status": status, "ms": round(ms, 1)}
    outcome = scope.get("state", {}).get("outcome")
    retries = [value.decode("latin-1") for name, value in scope["headers"] if name == RETRY]
    more = {"outcome": outcome, "retry": retries[0] if retries else None}
    fields |= {name: value for name, value in more.items() if value is not None}
    log.log(logging.DEBUG if scope["path"] in PROBES else logging.INFO, "request", extra={"fields": fields})

"""Access log: one line per request, with its request ID."""

import logging
import time
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.logs import request_id_scope

PROBES = frozenset({"/healthz", "/readyz"})  # polled every few seconds
RETRY = b"x-slack-retry-num"
REQUEST_ID = "x-request-id"
log = logging.getLogger(__name__)


class AccessLog:
    """ASGI middleware. Request bodies and query strings are never logged."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the request ID, run the app and log the request."""
        started, status = time.perf_counter(), int(HTTPStatus.INTERNAL_SERVER_ERROR)

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        with request_id_scope() as request_id:
            try:
                await self.app(scope, receive, send_with_id)
            finally:
                _log_request(scope, status, 1_000 * (time.perf_counter() - started))


def _log_request(scope: Scope, status: int, duration_ms: float) -> None:
    fields = {"method": scope["method"], "path": scope["path"], "status": status, "ms": round(duration_ms, 1)}
    outcome = scope.get("state", {}).get("outcome")
    retries = [value.decode("latin-1") for name, value in scope["headers"] if name == RETRY]
    optional = {"outcome": outcome, "retry": retries[0] if retries else None}
    fields |= {name: value for name, value in optional.items() if value is not None}
    log.log(logging.DEBUG if scope["path"] in PROBES else logging.INFO, "request", extra={"fields": fields})

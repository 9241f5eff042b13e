"""The web app: Slack's requests, OAuth routes, liveness, readiness and the access log."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.health import HealthReport
from bot.http.slack_requests import SlackRequests
from bot.logs import request_id_scope

SLACK_PATH = "/slack/events"
PROBES = frozenset({"/healthz", "/readyz"})  # polled every few seconds
RETRY = b"x-slack-retry-num"
REQUEST_ID = "x-request-id"
log = logging.getLogger("bot.http.access_log")


def build_web(
    slack_requests: SlackRequests | None,
    report: Callable[[], Awaitable[HealthReport]],
    oauth_routes: Sequence[Route] = (),
) -> Starlette:
    """Build the ASGI app.

    Without `slack_requests` it serves only health and OAuth routes. `report` returns the health for /readyz.
    """

    async def alive(_request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def ready(_request: Request) -> Response:
        health = await report()
        reason = "; ".join(health.problems) or None
        body = {"ready": health.ready, "why": reason, "undelivered": _undelivered(health)}
        return JSONResponse(body, status_code=200 if health.ready else 503)

    slack = [] if slack_requests is None else [Route(SLACK_PATH, slack_requests.handle, methods=["POST"])]
    return Starlette(
        routes=[*slack, *oauth_routes, Route("/healthz", alive), Route("/readyz", ready)],
        middleware=[Middleware(AccessLog)],
    )


def _undelivered(health: HealthReport) -> dict[str, int | list[str] | None] | None:
    """Return the delivery backlog and what needs a person; None if the database is unavailable."""
    backlog = health.backlog
    if backlog is None:
        return None
    oldest_s = None if backlog.oldest_age is None else int(backlog.oldest_age.total_seconds())
    return {
        "waiting": backlog.waiting,
        "given_up": backlog.dead_lettered,
        "kept_back": backlog.withheld,
        "oldest_s": oldest_s,
        "needs_a_person": list(health.action_needed),
    }


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

"""The web app: Slack's requests, OAuth routes, liveness, readiness and the access log."""

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.documents.health import source_fields
from bot.health import HealthReport
from bot.http.slack_requests import SlackRequests
from bot.logs import request_id_scope

SLACK_PATH = "/slack/events"
PROBES = frozenset({"/healthz", "/readyz"})  # polled every few seconds
RETRY = b"x-slack-retry-num"
REQUEST_ID = "x-request-id"
FORWARDED_PROTO = b"x-forwarded-proto"
HSTS = "max-age=31536000"
log = logging.getLogger("bot.http.access_log")


def build_web(
    slack_requests: SlackRequests | None,
    report: Callable[[], Awaitable[HealthReport]],
    oauth_routes: Sequence[Route] = (),
    status_token: str = "",
) -> Starlette:
    """Build the ASGI app.

    Without `slack_requests` it serves only health and OAuth routes. `report` returns the health for /readyz, which
    shows its details to requests with the `status_token` only; requests at the same time share one report.
    """
    running: asyncio.Future[HealthReport] | None = None

    async def alive(_request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def ready(request: Request) -> Response:
        nonlocal running
        if running is None or running.done():
            running = asyncio.ensure_future(report())
        health = await asyncio.shield(running)
        body = _details(health) if _has_token(request, status_token) else _categories(health)
        return JSONResponse(body, status_code=200 if health.ready else 503)

    slack = (
        []
        if slack_requests is None
        else [Route(path, slack_requests.handle, methods=["POST"]) for path in (SLACK_PATH, f"{SLACK_PATH}/")]
    )
    return Starlette(
        routes=[*slack, *oauth_routes, Route("/healthz", alive), Route("/readyz", ready)],
        middleware=[Middleware(AccessLog)],
    )


def _has_token(request: Request, status_token: str) -> bool:
    expected = f"Bearer {status_token}".encode()
    return bool(status_token) and hmac.compare_digest(request.headers.get("authorization", "").encode(), expected)


def _categories(health: HealthReport) -> dict[str, object]:
    """Return what anyone may know: whether the app is ready, and which parts are not."""
    return {"ready": health.ready, "why": ", ".join(health.categories) or None}


def _details(health: HealthReport) -> dict[str, object]:
    reason = "; ".join(health.problems) or None
    sources = [_json(source_fields(state)) for state in health.sources]
    return {"ready": health.ready, "why": reason, "undelivered": _undelivered(health), "sources": sources}


def _json(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}


def _undelivered(health: HealthReport) -> dict[str, int | list[str] | None] | None:
    """Return the delivery backlog and what needs a person; None if the database is unavailable."""
    backlog = health.backlog
    if backlog is None:
        return None
    oldest_s = None if backlog.oldest_age is None else int(backlog.oldest_age.total_seconds())
    return {
        "waiting": backlog.waiting,
        "dead_lettered": backlog.dead_lettered,
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
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                if _is_https(scope):
                    headers["strict-transport-security"] = HSTS
            await send(message)

        with request_id_scope() as request_id:
            try:
                await self.app(scope, receive, send_with_id)
            finally:
                _log_request(scope, status, 1_000 * (time.perf_counter() - started))


def _is_https(scope: Scope) -> bool:
    """Return whether the browser used https, as a proxy in front says. A forged header affects its sender alone."""
    return scope["scheme"] == "https" or (FORWARDED_PROTO, b"https") in scope["headers"]


def _log_request(scope: Scope, status: int, duration_ms: float) -> None:
    fields = {"method": scope["method"], "path": scope["path"], "status": status, "ms": round(duration_ms, 1)}
    outcome = scope.get("state", {}).get("outcome")
    retries = [value.decode("latin-1") for name, value in scope["headers"] if name == RETRY]
    optional = {"outcome": outcome, "retry": retries[0] if retries else None}
    fields |= {name: value for name, value in optional.items() if value is not None}
    log.log(logging.DEBUG if scope["path"] in PROBES else logging.INFO, "request", extra={"fields": fields})

"""The HTTP front: Slack's requests, whether the app is alive and ready, and what it has not delivered yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.health import Report
from bot.http.access_log import AccessLog
from bot.http.slack_requests import SlackRequests

SLACK_PATH = "/slack/events"


def build_web(
    gate: SlackRequests | None, report: Callable[[], Awaitable[Report]], installing: Sequence[Route] = ()
) -> Starlette:
    """Make the ASGI app; `report` says how it does its work. Without a gate it tells the health and nothing else.

    `installing` are the addresses at which workspaces let the app in, where they do.
    """

    async def alive(_request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def ready(_request: Request) -> Response:
        told = await report()
        why = "; ".join(told.troubles) or None
        body = {"ready": told.ready, "why": why, "undelivered": _undelivered(told)}
        return JSONResponse(body, status_code=200 if told.ready else 503)

    slack = [] if gate is None else [Route(SLACK_PATH, gate.answer, methods=["POST"])]
    return Starlette(
        routes=[*slack, *installing, Route("/healthz", alive), Route("/readyz", ready)],
        middleware=[Middleware(AccessLog)],
    )


def _undelivered(told: Report) -> dict[str, int | list[str] | None] | None:
    """Tell what waits, what has been given up, for how long, and what a person must mend; None without a database."""
    counted = told.backlog
    if counted is None:
        return None
    oldest_s = None if counted.oldest is None else int(counted.oldest.total_seconds())
    return {
        "waiting": counted.waiting,
        "given_up": counted.dead,
        "kept_back": counted.withheld,
        "oldest_s": oldest_s,
        "needs_a_person": list(told.stuck),
    }

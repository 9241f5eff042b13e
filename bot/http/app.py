"""The web app: Slack's requests, OAuth routes, liveness and readiness."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.health import HealthReport
from bot.http.access_log import AccessLog
from bot.http.slack_requests import SlackRequests

SLACK_PATH = "/slack/events"


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

"""The HTTP front: Slack's requests, whether the app is alive and ready, and what it has not delivered yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from slack_bolt.async_app import AsyncApp
    from starlette.requests import Request
    from starlette.responses import Response

    from bot.health import Report

SLACK_PATH = "/slack/events"


def build_web(bolt: AsyncApp | None, report: Callable[[], Awaitable[Report]]) -> Starlette:
    """Make the ASGI app; `report` says how it does its work. Without `bolt` it tells the health and nothing else."""

    async def alive(_request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def ready(_request: Request) -> Response:
        told = await report()
        why = "; ".join(told.troubles) or None
        body = {"ready": told.ready, "why": why, "undelivered": _undelivered(told)}
        return JSONResponse(body, status_code=200 if told.ready else 503)

    return Starlette(
        routes=[
            *([] if bolt is None else [_slack(bolt)]),
            Route("/healthz", alive),
            Route("/readyz", ready),
        ]
    )


def _slack(bolt: AsyncApp) -> Route:
    slack = AsyncSlackRequestHandler(bolt)

    async def from_slack(request: Request) -> Response:
        return await slack.handle(request)

    return Route(SLACK_PATH, from_slack, methods=["POST"])


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

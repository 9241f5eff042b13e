"""The HTTP front: Slack's requests, whether the app is alive and ready, and what it has not delivered yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from services.domain.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from slack_bolt.async_app import AsyncApp
    from starlette.requests import Request
    from starlette.responses import Response

    from services.ports import Backlog

SLACK_PATH = "/slack/events"


def build_web(
    bolt: AsyncApp, trouble: Callable[[], str | None], backlog: Callable[[], Awaitable[Backlog]]
) -> Starlette:
    """Make the ASGI app; `trouble` says why the app is not ready, None where it is.

    A backlog makes it no less ready: another process would deliver no more.
    """
    slack = AsyncSlackRequestHandler(bolt)

    async def from_slack(request: Request) -> Response:
        return await slack.handle(request)

    async def alive(_request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def ready(_request: Request) -> Response:
        why = trouble()
        told = {"ready": why is None, "why": why, "undelivered": await _undelivered(backlog)}
        return JSONResponse(told, status_code=200 if why is None else 503)

    return Starlette(
        routes=[
            Route(SLACK_PATH, from_slack, methods=["POST"]),
            Route("/healthz", alive),
            Route("/readyz", ready),
        ]
    )


async def _undelivered(backlog: Callable[[], Awaitable[Backlog]]) -> dict[str, int | None] | None:
    """Tell what waits, what has been given up, and for how long; None where the database cannot tell."""
    try:
        counted = await backlog()
    except StoreError:
        return None
    oldest_s = None if counted.oldest is None else int(counted.oldest.total_seconds())
    return {"waiting": counted.waiting, "given_up": counted.dead, "oldest_s": oldest_s}

"""The HTTP front: Slack's requests, and whether the app is alive and ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from slack_bolt.async_app import AsyncApp
    from starlette.requests import Request
    from starlette.responses import Response

SLACK_PATH = "/slack/events"


def build_web(bolt: AsyncApp, trouble: Callable[[], str | None]) -> Starlette:
    """Make the ASGI app; `trouble` says why the app is not ready, None where it is."""
    slack = AsyncSlackRequestHandler(bolt)

    async def from_slack(request: Request) -> Response:
        return await slack.handle(request)

    async def alive(_request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def ready(_request: Request) -> Response:
        why = trouble()
        return JSONResponse({"ready": why is None, "why": why}, status_code=200 if why is None else 503)

    return Starlette(
        routes=[
            Route(SLACK_PATH, from_slack, methods=["POST"]),
            Route("/healthz", alive),
            Route("/readyz", ready),
        ]
    )

"""The HTTP front: Slack's requests, whether the app is alive and ready, and what it has not delivered yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from bot.front.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from bot.front.gate import Gate
    from bot.health import Report
    from services.ports import Backlog

SLACK_PATH = "/slack/events"


def build_web(gate: Gate | None, report: Callable[[], Awaitable[Report]]) -> Starlette:
    """Make the ASGI app; `report` says how it does its work. Without a gate it tells the health and nothing else."""

    async def alive(_request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def ready(_request: Request) -> Response:
        told = await report()
        why = "; ".join(told.troubles) or None
        body = {"ready": told.ready, "why": why, "undelivered": _undelivered(told.backlog)}
        return JSONResponse(body, status_code=200 if told.ready else 503)

    slack = [] if gate is None else [Route(SLACK_PATH, gate.answer, methods=["POST"])]
    return Starlette(
        routes=[*slack, Route("/healthz", alive), Route("/readyz", ready)], middleware=[Middleware(Journal)]
    )


def _undelivered(counted: Backlog | None) -> dict[str, int | None] | None:
    """Tell what waits, what has been given up, and for how long; None where the database cannot tell."""
    if counted is None:
        return None
    oldest_s = None if counted.oldest is None else int(counted.oldest.total_seconds())
    return {"waiting": counted.waiting, "given_up": counted.dead, "oldest_s": oldest_s}

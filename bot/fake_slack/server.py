"""HTTP server of the fake Slack, on a free port of the loopback address."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bot.fake_slack.workspace import Arguments, Workspace
from bot.http.server import Server

LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def serve_workspace(workspace: Workspace) -> AsyncIterator[Workspace]:
    """Serve a workspace until the end of the block."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        workspace.origin = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        server = Server(_build_app(workspace))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield workspace
        finally:
            server.stop()
            await task


def _build_app(workspace: Workspace) -> Starlette:
    async def method(request: Request) -> JSONResponse:
        arguments = await _arguments(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ") or arguments.get("token")
        result = workspace.call(request.path_params["method"], arguments, token)
        return JSONResponse(result, headers={"x-oauth-scopes": workspace.scopes})

    async def response(request: Request) -> JSONResponse:
        result = workspace.respond(request.path_params["key"], await _arguments(request))
        return JSONResponse(result, status_code=200 if result["ok"] else 404)

    return Starlette(routes=[_route("/api/{method}", method), _route("/response/{key}", response)])


def _route(path: str, endpoint: Callable[[Request], Awaitable[JSONResponse]]) -> Route:
    return Route(path, endpoint, methods=["POST"])


async def _arguments(request: Request) -> Arguments:
    """Read arguments from JSON, a form or the query string, as Slack does; unreadable JSON counts as none."""
    body = (await request.body()).decode(errors="replace")
    if not request.headers.get("content-type", "").startswith("application/json"):
        return {**request.query_params, **dict(parse_qsl(body))}
    try:
        body = json.loads(body)
    except json.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}

"""The stand-in for Slack on this machine: serves a workspace in memory at a free port of the loopback address."""

from __future__ import annotations

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
async def serving(workspace: Workspace) -> AsyncIterator[Workspace]:
    """Serve a workspace, and stop at the end."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        workspace.origin = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        server = Server(_web(workspace))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield workspace
        finally:
            server.stop()
            await task


def _web(workspace: Workspace) -> Starlette:
    async def method(request: Request) -> JSONResponse:
        arguments = await _arguments(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ") or arguments.get("token")
        answer = workspace.call(request.path_params["method"], arguments, token)
        return JSONResponse(answer, headers={"x-oauth-scopes": workspace.scopes})

    async def response(request: Request) -> JSONResponse:
        answer = workspace.respond(request.path_params["key"], await _arguments(request))
        return JSONResponse(answer, status_code=200 if answer["ok"] else 404)

    return Starlette(routes=[_route("/api/{method}", method), _route("/response/{key}", response)])


def _route(path: str, endpoint: Callable[[Request], Awaitable[JSONResponse]]) -> Route:
    return Route(path, endpoint, methods=["POST"])


async def _arguments(request: Request) -> Arguments:
    """Read arguments from JSON, from a form or from the address, as Slack accepts them; unreadable ones are none."""
    text = (await request.body()).decode(errors="replace")
    if not request.headers.get("content-type", "").startswith("application/json"):
        return {**request.query_params, **dict(parse_qsl(text))}
    try:
        body = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}

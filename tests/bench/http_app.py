"""A process of its own that serves /minerpulse over HTTP: the whole front, or a bare Bolt app, on the same uvicorn.

`python -m tests.bench.http_app ours|bare` prints its port, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.health import HealthReport
from bot.http.app import SLACK_PATH, build_web
from bot.http.server import Server
from bot.http.slack_requests import SlackRequests
from bot.logs import LogFormat, configure_logging
from bot.slack import build_bolt
from handlers import listeners
from tests.fakes.harness import CHANNEL, open_harness
from tests.fakes.slack import SECRET, TOKEN

RULES = ("1d 8pp", "5d 15pp", "20d 30pp")


@asynccontextmanager
async def ours() -> AsyncIterator[Starlette]:
    """The whole front before the real services, over a store in memory and prices that are known."""
    async with open_harness() as harness, aiohttp.ClientSession() as session:
        for rule in RULES:
            await harness.commands.add_rule(CHANNEL, rule, "U1")
        bolt = build_bolt(AsyncWebClient(token=TOKEN, session=session), SECRET)
        errands = listeners.register(bolt, harness.commands, harness.research, harness.clock)
        yield build_web(SlackRequests(bolt=bolt, signing_secret=SECRET), _well)
        await errands.drain()


@asynccontextmanager
async def bare() -> AsyncIterator[Starlette]:
    """Bolt as it comes, in the same mode: `help` is answered in the acknowledgement, all else by its response_url."""
    app, tasks = AsyncApp(signing_secret=SECRET, authorize=_authorize, process_before_response=True), set()

    async def listen(ack: AsyncAck, respond: AsyncRespond, command: dict[str, str]) -> None:
        if command["text"] == "help":
            await ack("ok")
            return
        await ack()
        task = asyncio.create_task(respond("ok"))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    app.command("/minerpulse")(listen)
    handler = AsyncSlackRequestHandler(app)

    async def answer(request: Request) -> Response:
        return await handler.handle(request)

    yield Starlette(routes=[Route(SLACK_PATH, answer, methods=["POST"])])


async def _authorize(**_request: object) -> AuthorizeResult:
    return AuthorizeResult(enterprise_id=None, team_id="T1", bot_token=TOKEN)


async def _well() -> HealthReport:
    return HealthReport(problems=(), backlog=None)


async def serve(which: str) -> None:
    """Serve one of the two until nobody is there any more."""
    async with {"ours": ours, "bare": bare}[which]() as web:
        listening = socket.create_server(("127.0.0.1", 0))
        server = Server(web)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        print(listening.getsockname()[1], flush=True)  # noqa: T201 -- for whoever has started it
        await asyncio.to_thread(sys.stdin.read)
        server.stop()
        await serving


if __name__ == "__main__":
    configure_logging("INFO", LogFormat.TEXT)
    asyncio.run(serve(sys.argv[1]))

"""A process that serves /minerpulse over HTTP on uvicorn: the whole web app, or a bare Bolt app.

`python -m tests.bench.http_app ours|file|bare` prints its port, and serves until its standard input ends. `file` stores
in an SQLite file, shares processed keys through it as in production, and calls a Slack whose URL follows.
"""

import asyncio
import socket
import sys
import tempfile
import time
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

from bot.bolt_app import build_bolt
from bot.health import HealthReport
from bot.http.app import SLACK_PATH, build_web
from bot.http.server import Server
from bot.http.slack_requests import SlackRequests
from bot.logs import LogFormat, configure_logging
from handlers import listeners
from tests.fakes.harness import CHANNEL, open_harness
from tests.fakes.slack import SECRET, TOKEN

RULES = ("1d 8pp", "5d 15pp", "20d 30pp")


@asynccontextmanager
async def ours() -> AsyncIterator[Starlette]:
    """Build the whole web app on the real services, with a store in memory and prices loaded."""
    async with open_harness() as harness, aiohttp.ClientSession() as session:
        for rule in RULES:
            await harness.commands.add_rule(CHANNEL, rule, "U1")
        bolt = build_bolt(AsyncWebClient(token=TOKEN, session=session), SECRET)
        background = listeners.register(bolt, harness.commands, harness.research, harness.clock)
        yield build_web(SlackRequests(bolt=bolt, signing_secret=SECRET), _healthy)
        await background.drain()


@asynccontextmanager
async def file() -> AsyncIterator[Starlette]:
    """Build the whole web app as in production, on an SQLite file."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_harness(f"sqlite:///{folder}/app.db") as harness, aiohttp.ClientSession() as session:
            for rule in RULES:
                await harness.commands.add_rule(CHANNEL, rule, "U1")
            client = AsyncWebClient(token=TOKEN, session=session, base_url=f"{sys.argv[2]}api/")
            bolt = build_bolt(client, SECRET, shared_keys=harness.store, clock=harness.clock)
            background = listeners.register(bolt, harness.commands, harness.research, harness.clock)
            requests = SlackRequests(
                bolt=bolt, signing_secret=SECRET, shared_keys=harness.store, clock=harness.clock, now_s=time.time
            )
            yield build_web(requests, _healthy)
            await background.drain()


@asynccontextmanager
async def bare() -> AsyncIterator[Starlette]:
    """Build a bare Bolt app in the same mode: `help` is acknowledged with text, the rest uses the response_url."""
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

    async def handle(request: Request) -> Response:
        return await handler.handle(request)

    yield Starlette(routes=[Route(SLACK_PATH, handle, methods=["POST"])])


async def _authorize(**_request: object) -> AuthorizeResult:
    return AuthorizeResult(enterprise_id=None, team_id="T1", bot_token=TOKEN)


async def _healthy() -> HealthReport:
    return HealthReport(problems=(), backlog=None)


async def serve(which: str) -> None:
    """Serve one of the two until standard input ends."""
    async with {"ours": ours, "file": file, "bare": bare}[which]() as web:
        listener = socket.create_server(("127.0.0.1", 0))
        server = Server(web)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        print(listener.getsockname()[1], flush=True)  # noqa: T201 -- read by the parent process
        await asyncio.to_thread(sys.stdin.read)
        server.stop()
        await task


if __name__ == "__main__":
    configure_logging("INFO", LogFormat.TEXT)
    asyncio.run(serve(sys.argv[1]))

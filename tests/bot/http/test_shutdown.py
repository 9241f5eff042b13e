"""A stop while requests run: they are cancelled after their time, and nothing of it is an error."""

import asyncio
import logging
import socket

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.http.server import Server


async def test_a_stop_that_cancels_a_request_logs_no_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.http.server.GRACEFUL_SHUTDOWN_S", 0)
    caplog.set_level(logging.INFO)
    began = asyncio.Event()

    async def hang(_request: Request) -> Response:
        began.set()
        await asyncio.Event().wait()
        return Response()

    server = Server(Starlette(routes=[Route("/", hang)]))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        _, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        await began.wait()
        server.stop()
        await serving
    writer.close()

    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert "Cancel 1 running task(s)" in caplog.text

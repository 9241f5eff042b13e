"""A server without free file descriptors: what it logs, and that it serves again afterwards."""

import asyncio
import io
import logging
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bot.logs import RepeatLimitHandler, TextFormatter
from tests.bot.http.conftest import RunningServer, http_head
from tests.bot.test_serve import eventually


@contextmanager
def no_free_descriptors() -> Iterator[None]:
    """Let this process open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_running_out_of_descriptors_logs_a_line_a_minute(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("asyncio.constants.ACCEPT_RETRY_DELAY", 0.001)
    now_s, output, loop = 1_000.0, io.StringIO(), asyncio.get_running_loop()
    handler = RepeatLimitHandler(lambda: now_s)
    handler.setStream(output)
    handler.setFormatter(TextFormatter())
    monkeypatch.setattr(logging.getLogger("asyncio"), "handlers", [handler])

    async def fail_again() -> int:
        """Wait until it failed a hundred more times; return the number of all failures."""
        wanted = len(caplog.records) + 100
        await eventually(lambda: len(caplog.records) >= wanted)
        return len(caplog.records)

    with socket.socket() as client:
        client.settimeout(0)
        with no_free_descriptors():
            await loop.sock_connect(client, ("127.0.0.1", server.port))
            first_minute = await fail_again()
            now_s += 60
            await fail_again()
        await loop.sock_sendall(client, http_head("GET", "/healthz", {}))
        response = await loop.sock_recv(client, 1_000)

    lines = [line for line in output.getvalue().splitlines() if "socket.accept() out of system resource" in line]
    assert [False, True] == [line.endswith(f" repeated={first_minute - 1}") for line in lines]
    assert (1, 1) == (output.getvalue().count("Traceback"), output.getvalue().count("OSError: [Errno 24]"))
    assert response.startswith(b"HTTP/1.1 200")

"""The time from the start of a process to its first answer: of the server at /readyz, and of `minerpulse pulse`."""

import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median

import aiohttp

from services.storage import migrate
from tests.bench.measurement import Measurement
from tests.bench.memory import IMPORTS_ONLY
from tests.fakes.slack import SECRET, TOKEN, FakeSlack, slack_server

MINERPULSE = str(Path(sys.executable).with_name("minerpulse"))
RUNS = 7
POLL_S = 0.01
READY_S, PULSE_S = 1.5, 1.2


async def bench() -> list[Measurement]:
    """Measure both on an existing database and simulated prices, compared with a process that imports the libraries."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/minerpulse.db"
        await migrate(url)
        async with slack_server(FakeSlack()) as slack:
            environment = {
                "PATH": os.environ["PATH"],
                "HOME": folder,
                "MINERPULSE_DATABASE_URL": url,
                "MINERPULSE_ETF_SOURCES": "simulated",
                "MINERPULSE_CRYPTO_SOURCES": "simulated",
                "MINERPULSE_SLACK_API_URL": f"{slack.url}api/",
                "SLACK_BOT_TOKEN": TOKEN,
                "SLACK_SIGNING_SECRET": SECRET,
            }
            ready, pulse, imports = await _medians_s(
                lambda: _until_ready(environment),
                lambda: _until_end([MINERPULSE, "pulse"], environment),
                lambda: _until_end([sys.executable, "-c", IMPORTS_ONLY], environment),
            )
    return [
        Measurement(
            name=name, measured=measured, baseline=imports, baseline_name="imports only", unit="s", budget=budget
        )
        for name, measured, budget in (
            ("start of a process until /readyz", ready, READY_S),
            ("minerpulse pulse", pulse, PULSE_S),
        )
    ]


async def _medians_s(*works: Callable[[], Awaitable[float]]) -> list[float]:
    """Return the median result of each work; they take turns, under the same load, after one warm-up."""
    runs = [[await work() for work in works] for _ in range(RUNS + 1)]
    return [median(times) for times in zip(*runs[1:], strict=True)]


async def _until_end(command: Sequence[str], environment: dict[str, str]) -> float:
    start = time.perf_counter()
    process = await _start(command, environment)
    if await process.wait():
        raise RuntimeError(f"{command} failed")
    return time.perf_counter() - start


async def _until_ready(environment: dict[str, str]) -> float:
    """Return the time until /readyz answers 200."""
    with closing(socket.create_server(("127.0.0.1", 0))) as reserved:
        port = reserved.getsockname()[1]
    start = time.perf_counter()
    process = await _start([MINERPULSE, "run"], {**environment, "MINERPULSE_HOST": "127.0.0.1", "PORT": f"{port}"})
    try:
        async with aiohttp.ClientSession() as session:
            while not await _is_ready(session, f"http://127.0.0.1:{port}/readyz"):
                if process.returncode is not None:
                    raise RuntimeError("minerpulse run ended")
                await asyncio.sleep(POLL_S)
        return time.perf_counter() - start
    finally:
        process.terminate()
        await process.wait()


async def _start(command: Sequence[str], environment: dict[str, str]) -> asyncio.subprocess.Process:
    nowhere = asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(
        *command, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere, cwd=environment["HOME"]
    )


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
